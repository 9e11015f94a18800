//! What there is to show a page with, and the way of logging in that follows from it.

use std::path::Path;

use crate::{
    cli::args::LoginArgs,
    config::{Env, LoginFlow},
    ipc::wire::Flow,
};

/// What there is to show a page with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Place {
    /// Logged in from elsewhere: a browser here would open on the wrong machine.
    is_remote: bool,
    in_container: bool,
    has_display: bool,
    /// The desktop is Windows'.
    pub(super) is_wsl: bool,
    /// The person says which program shows pages.
    has_chosen_browser: bool,
}

impl Place {
    /// Looks around.
    pub(super) fn around(env: &Env) -> Self {
        let in_container =
            ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
        Self::new(env, in_container)
    }

    /// Judges by the environment.
    pub(super) fn new(env: &Env, in_container: bool) -> Self {
        let is_wsl = env.wsl_distro_name.is_some() || env.wsl_interop.is_some();
        let has_display = if is_wsl {
            // Without interop the browser that the person sees cannot be started from here.
            env.wsl_interop.is_some()
        } else {
            cfg!(target_os = "macos") || env.display.is_some() || env.wayland_display.is_some()
        };
        Self {
            is_remote: env.ssh_connection.is_some() || env.ssh_tty.is_some(),
            in_container,
            has_display,
            is_wsl,
            has_chosen_browser: env.browser.is_some(),
        }
    }

    /// Returns whether a page can be shown.
    pub(super) fn has_browser(self) -> bool {
        // A development container sets BROWSER to a program that opens the page outside.
        self.has_chosen_browser || (!self.is_remote && !self.in_container && self.has_display)
    }
}

/// Decides the way: flags, then settings, then the surroundings.
pub(super) fn decide(args: &LoginArgs, setting: LoginFlow, place: Place) -> Flow {
    // An address for a phone has to work there.
    if args.device_code || args.qr {
        return Flow::DeviceCode;
    }
    match setting {
        LoginFlow::Browser => Flow::Browser,
        // The page sends the browser back to this machine: over SSH or into a container it would
        // not arrive, even where BROWSER can show it.
        LoginFlow::Auto if !place.is_remote && !place.in_container && place.has_browser() => {
            Flow::Browser
        }
        LoginFlow::Auto | LoginFlow::DeviceCode => Flow::DeviceCode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(pairs: &[(&str, &str)], in_container: bool) -> (Flow, bool) {
        let env = Env::from_map(pairs.iter().copied());
        let place = Place::new(&env, in_container);
        (decide(&LoginArgs::default(), LoginFlow::Auto, place), place.has_browser())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_way_follows_from_the_surroundings() {
        for (pairs, in_container, expected) in [
            (&[("DISPLAY", ":0")][..], false, (Flow::Browser, true)),
            (&[("WAYLAND_DISPLAY", "w")], false, (Flow::Browser, true)),
            (&[("BROWSER", "lynx")], false, (Flow::Browser, true)),
            (&[], false, (Flow::DeviceCode, false)),
            (&[("DISPLAY", ":10"), ("SSH_CONNECTION", "a")], false, (Flow::DeviceCode, false)),
            (&[("SSH_TTY", "/dev/pts/1"), ("BROWSER", "b")], false, (Flow::DeviceCode, true)),
            (&[("DISPLAY", ":0")], true, (Flow::DeviceCode, false)),
            (&[("BROWSER", "code --open")], true, (Flow::DeviceCode, true)),
            (&[("WSL_INTEROP", "/run/1"), ("WSL_DISTRO_NAME", "D")], false, (Flow::Browser, true)),
            (&[("WSL_DISTRO_NAME", "D")], false, (Flow::DeviceCode, false)),
            (&[("WSL_DISTRO_NAME", "D"), ("DISPLAY", ":0")], false, (Flow::DeviceCode, false)),
            (&[("WSL_DISTRO_NAME", "D"), ("BROWSER", "b")], false, (Flow::Browser, true)),
        ] {
            assert_eq!(flow(pairs, in_container), expected, "{pairs:?} {in_container}");
        }
    }

    #[test]
    fn flags_and_settings_go_first() {
        let desk = Place::new(&Env::from_map([("DISPLAY", ":0")]), false);
        let bare = Place::new(&Env::default(), true);
        let args = LoginArgs::default();
        assert_eq!(decide(&args, LoginFlow::DeviceCode, desk), Flow::DeviceCode);
        assert_eq!(decide(&args, LoginFlow::Browser, bare), Flow::Browser);
        let by_code = LoginArgs { device_code: true, ..LoginArgs::default() };
        assert_eq!(decide(&by_code, LoginFlow::Browser, desk), Flow::DeviceCode);
        let by_phone = LoginArgs { qr: true, ..LoginArgs::default() };
        assert_eq!(decide(&by_phone, LoginFlow::Browser, desk), Flow::DeviceCode);
    }
}
