//! Many profiles of one sign-in: one token call and one call a role, below AWS's limits; and nothing
//! for what nobody uses.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Child, Stdio};

use eksd_lab::{Account, Lifetimes, Limit, Script};

use crate::place::Place;
use crate::ran::Ran;
use crate::tools::{instant, until};

const SESSION: &str = "[sso-session corp]\nsso_region = eu-west-1\n\
                       sso_start_url = https://d-0123456789.awsapps.com/start\n\
                       sso_registration_scopes = sso:account:access\n";

/// A config of this many profiles, each with a role of its own, and a lab that has the roles and takes
/// twenty calls a second.
fn place(profiles: usize, lifetimes: Lifetimes) -> Place {
    let accounts = (0..profiles).map(|n| Account {
        account_id: format!("{:012}", 100_000_000_000_u64 + n as u64),
        account_name: format!("account-{n}"),
        email_address: format!("account-{n}@example.com"),
        roles: vec!["Developer".into()],
    });
    let limit = Limit { per_second: 20, burst: 20, retry_after: None };
    let mut script = Script { lifetimes, accounts: accounts.collect(), ..Script::default() };
    for service in ["sso", "sso-oidc", "sts"] {
        script.limits.insert(service.into(), limit);
    }
    let place = Place::with(script);
    let mut config = SESSION.to_owned();
    for n in 0..profiles {
        writeln!(
            config,
            "[profile p{n}]\nsso_session = corp\nsso_account_id = {:012}\nsso_role_name = Developer\nregion = eu-west-1",
            100_000_000_000_u64 + n as u64
        )
        .unwrap();
    }
    place.write("home/.aws/config", &config);
    place
}

fn refused(place: &Place) -> Vec<eksd_lab::Call> {
    let calls = place.lab().calls();
    calls.into_iter().filter(|call| !matches!(call.status, Some(200 | 302 | 303))).collect()
}

#[test]
fn a_hundred_programs_at_the_end_of_everything() {
    let short = Lifetimes { access_token: 5, role_credentials: 5, ..Lifetimes::default() };
    let place = place(30, short);
    place.eksd("login corp").ok();
    let given = place.credentials("p0");
    place.end_agent();
    let ends = instant(&given["Expiration"]);
    until("token and keys have ended", || ends + 6 < place.lab().now());
    place.lab().edit(|script| script.lifetimes = Lifetimes::default());
    place.lab().forget_calls();
    let children: Vec<(usize, Child)> = (0..100)
        .map(|n| {
            let profile = n % 30;
            let words = format!("credential-process --profile p{profile}");
            let mut command = place.eksd_command(&words);
            (profile, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    let mut keys = BTreeSet::new();
    for (profile, child) in children {
        let given = Ran::from(child.wait_with_output().unwrap()).json();
        keys.insert((profile, given["AccessKeyId"].as_str().unwrap().to_owned()));
    }
    assert_eq!(keys.len(), 30, "one set of keys for each role");
    assert_eq!(place.lab().count("CreateToken"), 1);
    assert_eq!(place.lab().count("GetRoleCredentials"), 30);
    assert!(refused(&place).is_empty(), "{:?}", refused(&place));
}

#[test]
fn a_thousand_profiles_cost_the_calls_of_those_in_use() {
    let place = place(1000, Lifetimes::default());
    place.eksd("login corp").ok();
    for n in [3, 500, 999] {
        place.credentials(&format!("p{n}"));
    }
    assert_eq!(place.lab().count("GetRoleCredentials"), 3);
    // The next login renews what is in use, and nothing else.
    place.eksd("logout corp").ok();
    place.lab().forget_calls();
    place.eksd("login corp").ok();
    for n in [3, 500, 999] {
        place.until_phase(&format!("p{n}"), "fresh");
    }
    assert_eq!(place.lab().count("GetRoleCredentials"), 3);
    assert!(refused(&place).is_empty(), "{:?}", refused(&place));
}
