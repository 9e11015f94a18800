//! Many callers at once: one refresh, no browser, everybody is answered.

use std::process::{Child, Stdio};

use crate::place::Place;
use crate::ran::Ran;

#[test]
fn two_hundred_callers_on_a_cold_profile_cost_one_call() {
    let place = Place::new();
    place.login();
    let browsers = place.browsers();
    place.end_agent();
    place.lab().forget_calls();
    // A cold agent too: two hundred find none, and one is started.
    let children: Vec<Child> = (0..200)
        .map(|_| {
            let mut command = place.eksd_command("credential-process --profile dev");
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let keys: std::collections::BTreeSet<String> = children
        .into_iter()
        .map(|child| {
            let given = Ran::from(child.wait_with_output().unwrap()).json();
            given["AccessKeyId"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(keys.len(), 1, "all have the same");
    assert_eq!(place.lab().count("GetRoleCredentials"), 1);
    assert_eq!(place.lab().count("CreateToken"), 0, "the token of the login is good");
    assert_eq!(place.browsers(), browsers);
    place.agent();
}

#[test]
fn callers_of_a_profile_without_a_session_open_no_browser() {
    let place = Place::new();
    let children: Vec<Child> = (0..40)
        .map(|_| {
            let mut command = place.eksd_command("credential-process --profile dev");
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let said = Ran::from(child.wait_with_output().unwrap()).fails(1);
        assert!(said.contains("eksd login dev"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!((place.browsers(), place.lab().count("*")), (0, 0));
}
