//! The terminal's clipboard: OSC 52 (xterm control sequences, "Manipulate Selection Data"). It works
//! over SSH too, and does nothing where the terminal does not allow it.

use crate::config::Env;

/// Longest text that every terminal takes: xterm and others stop at some thousand bytes.
const LONGEST: usize = 4096;

/// Returns the sequence that puts `text` into the clipboard; `None` where there is no way.
pub(super) fn copy(env: &Env, is_terminal: bool, text: &str) -> Option<String> {
    let term = env.term.as_deref().unwrap_or("dumb");
    let is_plain = term == "dumb" || term == "linux";
    // screen lets short sequences through only, and shows the rest as text.
    let in_screen = env.tmux.is_none() && (env.sty.is_some() || term.starts_with("screen"));
    if !is_terminal || is_plain || in_screen || LONGEST < text.len() {
        return None;
    }
    let sequence = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
    if env.tmux.is_none() {
        return Some(sequence);
    }
    // tmux takes the plain one with `set-clipboard on`, and hands the wrapped one to the terminal
    // outside with `allow-passthrough on`; what is not allowed it drops.
    Some(format!("{sequence}\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_usize, |group, byte| group << 8 | usize::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if chunk.len() < place {
                text.push('=');
            } else {
                text.push(char::from(DIGITS[group >> (18 - 6 * place) & 63]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn the_vectors_of_the_rfc() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn only_where_the_terminal_can() {
        let plain = "\x1b]52;c;Zm9v\x07";
        let wrapped = format!("{plain}\x1bPtmux;\x1b\x1b]52;c;Zm9v\x07\x1b\\");
        for (pairs, is_terminal, expected) in [
            (&[("TERM", "xterm-256color")][..], true, Some(plain)),
            (&[("TERM", "xterm-256color")], false, None),
            (&[("TERM", "dumb")], true, None),
            (&[("TERM", "linux")], true, None),
            (&[], true, None),
            (&[("TERM", "screen.xterm"), ("STY", "1.pts")], true, None),
            (&[("TERM", "xterm"), ("STY", "1.pts")], true, None),
            (&[("TERM", "screen-256color")], true, None),
            (&[("TERM", "screen-256color"), ("TMUX", "/tmp/t,1,0")], true, Some(wrapped.as_str())),
        ] {
            let env = Env::from_map(pairs.iter().copied());
            assert_eq!(copy(&env, is_terminal, "foo").as_deref(), expected, "{pairs:?}");
        }
        let env = Env::from_map([("TERM", "xterm")]);
        assert_eq!(copy(&env, true, &"x".repeat(5000)), None);
    }
}
