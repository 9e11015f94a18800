//! What a shell's variables do to a profile.

/// Variables that credentials come from before any profile does (botocore `EnvProvider`, and its like
/// in the SDKs).
pub const SHADOWING: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// The variables of a shell, as far as they play a part; of those that may hold a secret only the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shell {
    /// Which of [`SHADOWING`] are set.
    pub set: Vec<String>,
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
    /// `AWS_DEFAULT_PROFILE`.
    pub default_profile: Option<String>,
    /// `AWS_REGION`.
    pub region: Option<String>,
    /// `AWS_DEFAULT_REGION`.
    pub default_region: Option<String>,
}

/// Returns what other programs in that shell make of the profile `name`.
pub fn shadowing(shell: &Shell, name: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let is_set = |name: &str| shell.set.iter().any(|set| set == name);
    let keys: Vec<&str> = SHADOWING[..4].iter().copied().filter(|name| is_set(name)).collect();
    if !keys.is_empty() {
        notes.push(format!(
            "{} set in this shell: the AWS CLI, the Rust SDK and the Go SDK take these keys and not \
             the profile, unless it is named with `--profile` or in code; the JavaScript SDK takes \
             AWS_PROFILE; run `unset {}`",
            are(&keys),
            keys.join(" ")
        ));
    }
    let web: Vec<&str> = SHADOWING[4..].iter().copied().filter(|name| is_set(name)).collect();
    if web.len() == 2 {
        notes.push(format!(
            "{} set in this shell: the Go SDK, and a profile without credentials everywhere, take that \
             web identity",
            are(&web)
        ));
    }
    if let (Some(profile), Some(other)) = (&shell.profile, &shell.default_profile)
        && profile != other
    {
        notes.push(format!(
            "AWS_PROFILE is `{profile}` and AWS_DEFAULT_PROFILE `{other}`: Python programs and AWS CLI \
             v1 take `{other}`, all others `{profile}`"
        ));
    } else if let (None, Some(other)) = (&shell.profile, &shell.default_profile) {
        notes.push(format!(
            "only AWS_DEFAULT_PROFILE is set (`{other}`): the SDKs for Rust, JavaScript and Go do not \
             look at it and take `default`"
        ));
    }
    let region = match (&shell.region, &shell.default_region) {
        (Some(region), Some(other)) if region != other => Some(format!(
            "AWS_REGION is `{region}` and AWS_DEFAULT_REGION `{other}`: Python programs and AWS CLI v1 \
             take `{other}`, all others `{region}`"
        )),
        (Some(region), _) => {
            Some(format!("AWS_REGION is `{region}`, which goes before the region of `{name}`"))
        }
        (None, Some(region)) => Some(format!(
            "AWS_DEFAULT_REGION is `{region}`, which goes before the region of `{name}`"
        )),
        (None, None) => None,
    };
    notes.extend(region);
    notes
}

fn are(names: &[&str]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(set: &[&str], profiles: [Option<&str>; 2], regions: [Option<&str>; 2]) -> Vec<String> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let shell = Shell {
            set: set.iter().map(ToString::to_string).collect(),
            profile: text(profiles[0]),
            default_profile: text(profiles[1]),
            region: text(regions[0]),
            default_region: text(regions[1]),
        };
        shadowing(&shell, "dev")
    }

    #[test]
    fn variables_that_shadow() {
        let none = [None, None];
        assert_eq!(notes(&[], none, none), [""; 0]);
        assert_eq!(notes(&[], [Some("dev"), Some("dev")], none), [""; 0]);
        let keys = &notes(&["AWS_ACCESS_KEY_ID", "AWS_SECURITY_TOKEN"], none, none)[0];
        assert!(keys.starts_with("AWS_ACCESS_KEY_ID, AWS_SECURITY_TOKEN are set in this shell"));
        assert!(keys.ends_with("run `unset AWS_ACCESS_KEY_ID AWS_SECURITY_TOKEN`"), "{keys}");
        assert_eq!(notes(&["AWS_ROLE_ARN"], none, none), [""; 0]);
        assert_eq!(notes(&["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"], none, none).len(), 1);
        assert_eq!(
            notes(&[], [Some("a"), Some("b")], none),
            [
                "AWS_PROFILE is `a` and AWS_DEFAULT_PROFILE `b`: Python programs and AWS CLI v1 take `b`, \
              all others `a`"
            ]
        );
        assert_eq!(notes(&[], [None, Some("b")], none).len(), 1);
        assert_eq!(
            notes(&[], none, [Some("r"), Some("r")]),
            ["AWS_REGION is `r`, which goes before the region of `dev`"]
        );
        assert!(notes(&[], none, [Some("r"), Some("s")])[0].ends_with("take `s`, all others `r`"));
        assert!(notes(&[], none, [None, Some("s")])[0].starts_with("AWS_DEFAULT_REGION is `s`"));
    }
}
