//! A desktop's notification service on a bus of its own: what eksd sends to a desktop is seen here,
//! and the person's own desktop stays quiet.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::home::Home;

/// What happened on the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bubble {
    /// A notice is shown.
    Shown {
        /// Its title.
        title: String,
        /// Its text, as the desktop shows it.
        body: String,
    },
    /// The notice was taken back.
    Closed,
}

/// The desktop, while it lives.
#[derive(Debug)]
pub(crate) struct Desk {
    daemon: Child,
    address: String,
    bubbles: Receiver<Bubble>,
}

/// Lets everyone on the bus do everything: the folder of its socket is private.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

impl Desk {
    /// Opens one; none where no `dbus-daemon` is installed, or where it does not run.
    pub(crate) fn open(home: &Home) -> io::Result<Option<Self>> {
        let Some(program) = home.find("dbus-daemon") else { return Ok(None) };
        let socket = home.folder().join("bus").display().to_string();
        home.write("bus.conf", &BUS.replace("SOCKET", &socket))?;
        let mut daemon = home
            .command(program)
            .args(["--config-file=bus.conf", "--nofork", "--nopidfile", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is not for it: the end of the program is its end.
            .process_group(0)
            .spawn()?;
        let mut address = String::new();
        if let Some(stdout) = daemon.stdout.take() {
            BufReader::new(stdout).read_line(&mut address)?;
        }
        address.truncate(address.trim_end().len());
        let Some(bubbles) = serve(&address) else {
            end(&mut daemon);
            return Ok(None);
        };
        Ok(Some(Self { daemon, address, bubbles }))
    }

    /// For `DBUS_SESSION_BUS_ADDRESS`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The next thing that happens, or happened since the last look.
    pub(crate) fn next(&self, patience: Duration) -> Result<Bubble, RecvTimeoutError> {
        self.bubbles.recv_timeout(patience)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        end(&mut self.daemon);
    }
}

fn end(daemon: &mut Child) {
    let _ = daemon.kill();
    let _ = daemon.wait();
}

#[cfg(target_os = "linux")]
fn serve(address: &str) -> Option<Receiver<Bubble>> {
    crate::bus::serve(address).ok()
}

/// Elsewhere notices do not go over D-Bus.
#[cfg(not(target_os = "linux"))]
fn serve(_: &str) -> Option<Receiver<Bubble>> {
    None
}
