//! The real programs that are driven, and waiting.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a condition may take that should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// Finds a program, or says which package brings it.
#[track_caller]
pub(crate) fn tool(name: &str) -> PathBuf {
    let package = match name {
        "aws" => "awscli (pip install 'awscli<2' boto3)",
        "setpriv" | "unshare" | "mount" => "util-linux",
        "dbus-daemon" | "dbus-monitor" | "dbus-run-session" | "dbus-send" => "dbus",
        "notify-send" => "libnotify-bin",
        "gnome-keyring-daemon" => "gnome-keyring",
        "secret-tool" => "libsecret-tools",
        "Xvfb" => "xvfb",
        "dunstctl" => "dunst",
        "node" => "nodejs",
        "kubens" => "kubectx",
        other => other,
    };
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is missing: install {package}, or run tests/run"))
}

/// The AWS CLI v2.
#[track_caller]
pub(crate) fn aws_v2() -> PathBuf {
    let named = std::env::var_os("EKSD_TEST_AWS_V2").map(PathBuf::from);
    let usual = std::env::var_os("HOME")
        .map(|home| Path::new(&home).join(".cache/eksd-tests/aws-v2/awscli/aws"));
    named.or_else(|| usual.filter(|path| path.is_file())).unwrap_or_else(|| {
        panic!("EKSD_TEST_AWS_V2 names no AWS CLI v2: set it to what tests/lab/fetch-aws-v2 prints")
    })
}

/// The folder with the AWS SDK for JavaScript.
#[track_caller]
pub(crate) fn js_sdk() -> PathBuf {
    let named = std::env::var_os("EKSD_TEST_JS").map(PathBuf::from);
    let usual = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/eksd-tests/js"));
    let is_there = |folder: &PathBuf| folder.join("node_modules/@aws-sdk").is_dir();
    named.or(usual).filter(is_there).unwrap_or_else(|| {
        panic!("the AWS SDK for JavaScript is missing: npm install --prefix ~/.cache/eksd-tests/js @aws-sdk/credential-provider-ini, or run tests/run")
    })
}

/// A program that runs until the test is over, however that ends; with its group, where it leads one.
pub(crate) struct Guarded(pub(crate) std::process::Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It is not waited for before this, or has no group of its own: the number is nobody else's.
        if matches!(self.0.try_wait(), Ok(None)) {
            let leader = rustix::process::Pid::from_child(&self.0);
            let _none = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
            drop(self.0.kill());
        }
        drop(self.0.wait());
    }
}

/// Waits for something to be so; false if the deadline comes first.
pub(crate) fn comes(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if is_so() {
            return true;
        }
        if deadline < Instant::now() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for something to be so, and fails with what did not come.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(comes(SOON, is_so), "still not: {what}");
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Reads an instant as AWS and eksd write them.
#[track_caller]
pub(crate) fn instant(text: &serde_json::Value) -> i64 {
    let text = text.as_str().unwrap_or_else(|| panic!("not an instant: {text}"));
    let read: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    read.as_second()
}

/// Random numbers from a seed (xorshift64*, Marsaglia and Vigna).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}
