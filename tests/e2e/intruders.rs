//! Other users of the machine, folders that are not one's own, and a home that cannot be written.
//!
//! As root the tests play the other user themselves; as somebody else, root is the other user.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::tool;

const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_runtime_folder_of_somebody_else_is_not_used() {
    let mut place = Place::new();
    let theirs = place.path("theirs");
    if is_root() {
        fs::create_dir(&theirs).unwrap();
        chown(&theirs, Some(NOBODY), None).unwrap();
    } else {
        // Root's, everywhere.
        std::os::unix::fs::symlink("/usr", &theirs).unwrap();
    }
    place.set("EKSD_RUNTIME_DIR", theirs.to_str().unwrap());
    for words in ["status", "credential-process --profile keys"] {
        let said = place.eksd(words).fails(1);
        assert!(said.contains("belongs to") || said.contains("not safe to use"), "{words}: {said}");
        assert!(said.contains("EKSD_RUNTIME_DIR"), "{words}: {said}");
    }
    assert!(place.agents().is_empty());
}

#[test]
fn a_runtime_folder_that_others_can_write_to_is_not_used() {
    let mut place = Place::new();
    let shared = place.path("everybodys");
    fs::create_dir(&shared).unwrap();
    open_to_all(&shared, 0o777);
    place.set("EKSD_RUNTIME_DIR", shared.to_str().unwrap());
    // Whoever could write there could have put a socket there.
    let listener = UnixListener::bind(shared.join("agent.sock")).unwrap();
    let said = place.eksd("credential-process --profile keys").fails(1);
    assert!(said.contains("others can write to it"), "{said}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
}

/// The socket is guarded by its folder and by the kernel's word on who connects; here only by the
/// latter.
#[test]
fn another_user_gets_not_one_byte() {
    if !is_root() {
        return the_peer_is_asked_of_the_kernel();
    }
    let place = Place::new();
    place.eksd("agent start").ok();
    let connect = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(10)\ns.connect({:?})\n\
         try:\n s.sendall(b'{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{{\
         \"protocol\":1,\"client\":\"x\"}}}}\\n')\n print(len(s.recv(9999)))\n\
         except (ConnectionResetError, BrokenPipeError):\n print(0)\n",
        place.socket().to_str().unwrap()
    );
    let ask = || -> Ran {
        let mut command = place.command(tool("setpriv"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]);
        command.args(["-c", &connect]).current_dir("/").output().unwrap().into()
    };
    let said = ask().failed();
    assert!(said.contains("Permission"), "the folder keeps others out: {said}");
    for path in [place.path(""), place.path("run"), place.path("run/eksd")] {
        open_to_all(&path, 0o777);
    }
    open_to_all(&place.socket(), 0o666);
    for _ in 0..20 {
        assert_eq!(ask().ok().trim(), "0");
    }
    // And the client does not trust a folder like that.
    let said = place.eksd("status").fails(1);
    assert!(said.contains("others can write to it"), "{said}");
    open_to_all(&place.path("run/eksd"), 0o700);
    place.eksd("status").ok();
}

/// What can be shown without root: the agent answers its own user, so it is not simply deaf.
fn the_peer_is_asked_of_the_kernel() {
    let place = Place::new();
    place.eksd("agent start").ok();
    let mut peer = UnixStream::connect(place.socket()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":1,"client":"x"}}"#;
    writeln!(peer, "{hello}").unwrap();
    assert_ne!(peer.read(&mut [0; 64]).unwrap(), 0);
    assert_eq!(fs::metadata(place.socket()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(place.path("run/eksd")).unwrap().mode() & 0o777, 0o700);
}

/// A home on a full or read-only disk: reports, and what can be served is served.
#[test]
fn a_home_that_cannot_be_written() {
    let place = Place::new();
    place.login();
    place.credentials("dev");
    place.end_agent();
    let home = place.path("home");
    let run = |words: &str| -> Ran {
        let eksd = place.program("eksd");
        if is_root() {
            // Root is not stopped by modes, but by a mount.
            let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && \
                          exec \"$@\"";
            let mut command = place.command(tool("unshare"));
            command.args(["-m", "sh", "-c", script, "sh"]).arg(&home).arg(eksd);
            return command.args(words.split(' ')).output().unwrap().into();
        }
        for folder in ["home", "home/.aws", "home/.aws/sso/cache", "home/.local/state/eksd"] {
            open_to_all(&place.path(folder), 0o500);
        }
        let mut command = place.command(eksd);
        let ran = command.args(words.split(' ')).output().unwrap().into();
        for folder in ["home", "home/.aws", "home/.aws/sso/cache", "home/.local/state/eksd"] {
            open_to_all(&place.path(folder), 0o700);
        }
        ran
    };
    let before = fs::read_dir(place.path("home/.aws/sso/cache")).unwrap().count();
    // No agent can be started where it can keep nothing; a process for this call alone can serve.
    let given = run("credential-process --profile dev").json();
    assert!(given["SessionToken"].is_string(), "{given}");
    let shown = run("status dev --json").json();
    assert_ne!(shown["profiles"][0]["phase"], "needs-login", "{shown}");
    let said = run("cluster add demo --profile dev").failed();
    assert!(said.contains("error: ") && said.contains("fix: "), "{said}");
    assert_eq!(fs::read_dir(place.path("home/.aws/sso/cache")).unwrap().count(), before);
    assert!(place.agents().is_empty());
    place.credentials("dev");
}
