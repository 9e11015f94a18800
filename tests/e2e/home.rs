//! The AWS config that most tests begin with.

/// One sso-session with two profiles and a chain below it, keys, and profiles that cannot work.
pub(crate) const CONFIG: &str = "\
[default]
region = eu-west-1

[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
region = eu-west-1

[profile reader]
sso_session = corp
sso_account_id = 444455556666
sso_role_name = ReadOnly
region = eu-west-1

[profile chained]
role_arn = arn:aws:iam::111122223333:role/second
source_profile = dev
region = eu-west-1

[profile keys]
region = eu-west-1

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://d-0123456789.awsapps.com/start
sso_registration_scopes = sso:account:access
";

/// Long-lived keys of the lab's user.
pub(crate) const CREDENTIALS: &str = "\
[keys]
aws_access_key_id = AKIALABALICE00000001
aws_secret_access_key = alice-long-term-secret
";

/// A browser wherever the tests run: in a container eksd would choose a code.
pub(crate) const SETTINGS: &str = "[login]\nflow = \"browser\"\n";

/// What the lab's authenticator and STS call the person in profile `dev`.
pub(crate) const DEVELOPER: &str = "arn:aws:sts::111122223333:assumed-role/\
                                    AWSReservedSSO_Developer_0123456789abcdef/alice@example.com";
