//! Where credentials come from besides sign-ins and keys: pods, tasks, instances, the environment and
//! programs; each served by the agent and by a process for one call, and a role assumed with it.

use eksd_lab::{Instance, Script};
use serde_json::Value;

use crate::place::Place;

const POD: &str = "arn:aws:iam::111122223333:role/pod";
const SUBJECT: &str = "system:serviceaccount:default:web";

fn place(config: &str) -> Place {
    let place = Place::new();
    place.write("home/.aws/config", config);
    place
}

/// Asks AWS who a profile is, by the agent and without one.
#[track_caller]
fn who(place: &Place, profile: &str, arn: &str) {
    for words in ["whoami", "--no-agent whoami"] {
        let said: Value = place.eksd(&format!("{words} {profile} --json")).json();
        assert!(said["arn"].as_str().unwrap().contains(arn), "{words}: {said}\n{}", place.log());
    }
}

#[test]
fn a_pod_with_a_web_identity_needs_no_config() {
    let mut place = place("");
    place.write("token", &place.lab().identity_token(SUBJECT, 3600));
    place.set("AWS_WEB_IDENTITY_TOKEN_FILE", place.path("token").to_str().unwrap());
    place.set("AWS_ROLE_ARN", POD);
    place.set("AWS_REGION", "eu-west-1");
    let keys: Value = place.eksd("--no-agent credential-process --profile default").json();
    assert_eq!(keys["AccountId"], "111122223333");
    who(&place, "default", "assumed-role/pod/");
    let call = place.lab().calls_of("AssumeRoleWithWebIdentity").pop().unwrap();
    assert_eq!(call.subject.as_deref(), Some(SUBJECT));
    // The token for a cluster, as in CI.
    let token: Value = place.eksd("--no-agent token --cluster-name demo --region eu-west-1").json();
    assert!(token["status"]["token"].as_str().unwrap().starts_with("k8s-aws-v1."));
}

#[test]
fn a_token_file_is_read_anew_at_each_refresh() {
    let place = place("");
    let config = format!(
        "[profile pod]\nrole_arn = {POD}\nweb_identity_token_file = {}\nregion = eu-west-1\n",
        place.path("token").display()
    );
    place.write("home/.aws/config", &config);
    // Whoever issues it has not written it yet; then an old one; then a good one.
    let refused = place.eksd("credential-process --profile pod").failed();
    assert!(refused.contains("token"), "{refused}");
    place.write("token", &place.lab().identity_token(SUBJECT, -60));
    let refused = place.eksd("credential-process --profile pod").failed();
    assert!(!refused.contains("eksd login"), "a login does not help: {refused}");
    place.write("token", &place.lab().identity_token(SUBJECT, 3600));
    let came = crate::tools::comes(crate::tools::SOON, || {
        place.eksd("credential-process --profile pod").code == Some(0)
    });
    assert!(came, "{}", place.log());
}

#[test]
fn tasks_and_pods_with_an_endpoint() {
    let mut place = place(
        "[profile assumed]\nrole_arn = arn:aws:iam::111122223333:role/second\n\
         credential_source = EcsContainer\nregion = eu-west-1\n",
    );
    place.set("AWS_REGION", "eu-west-1");
    place.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", place.lab().container_url("/v1/credentials"));
    place.write("pod-token", "lab-pod-token");
    place.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", place.path("pod-token").to_str().unwrap());
    who(&place, "default", "assumed-role/");
    who(&place, "assumed", "assumed-role/second/");
    assert_eq!(place.row("assumed")["root"]["kind"], "container");
    assert_eq!(place.row("assumed")["cap"], "chained, 1 h cap");
    // An agent that is started below an `eksd exec` that left the endpoint alone.
    place.end_agent();
    place.set("EKSD_EXEC", "default");
    who(&place, "default", "assumed-role/");
    who(&place, "assumed", "assumed-role/second/");
    place.write("pod-token", "another");
    let refused = place.eksd("--no-agent credential-process --profile default").failed();
    assert!(!refused.contains("another"), "{refused}");
}

#[test]
fn instances() {
    let role = Some("arn:aws:iam::111122223333:role/dev".into());
    let instance = Some(Instance { role, ..Instance::default() });
    let mut place = Place::with(Script { instance, ..Script::default() });
    place.write(
        "home/.aws/config",
        "[profile assumed]\nrole_arn = arn:aws:iam::111122223333:role/second\n\
         credential_source = Ec2InstanceMetadata\nregion = eu-west-1\n",
    );
    let refused = place.eksd("--no-agent credential-process --profile assumed").failed();
    assert!(refused.contains("AWS_EC2_METADATA_DISABLED"), "{refused}");
    place.unset("AWS_EC2_METADATA_DISABLED");
    place.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", place.lab().url());
    who(&place, "assumed", "assumed-role/second/");
    assert!(0 < place.lab().count("MetadataToken"), "IMDSv2");
}

#[test]
fn keys_of_the_environment() {
    let mut place = place(
        "[profile assumed]\nrole_arn = arn:aws:iam::111122223333:role/second\n\
         credential_source = Environment\nregion = eu-west-1\n",
    );
    let refused = place.eksd("--no-agent credential-process --profile assumed").failed();
    assert!(refused.contains("AWS_ACCESS_KEY_ID"), "{refused}");
    place.set("AWS_REGION", "eu-west-1");
    place.set("AWS_ACCESS_KEY_ID", "AKIALABALICE00000001");
    place.set("AWS_SECRET_ACCESS_KEY", "alice-long-term-secret");
    who(&place, "assumed", "assumed-role/second/");
    // One call serves what its own environment says; an agent that stays does not hand the keys of the
    // shell that happened to start it to every other.
    let said: Value = place.eksd("--no-agent whoami default --json").json();
    assert!(said["arn"].as_str().unwrap().ends_with("user/alice"), "{said}");
    place.eksd("whoami default").failed();
}

#[test]
fn helpers_that_misbehave() {
    let place = place("");
    let helpers = [
        ("silent", "exit 0"),
        ("noisy", "yes"),
        ("leaky", "echo 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' >&2; exit 3"),
        ("chatty", "echo hello; echo '{\"Version\": 1}'"),
        (
            "past",
            r#"echo '{"Version":1,"AccessKeyId":"ASIAX","SecretAccessKey":"s","SessionToken":"t","Expiration":"2020-01-01T00:00:00Z"}'"#,
        ),
    ];
    let mut config = String::new();
    for (name, script) in helpers {
        place.script(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        config += &format!(
            "[profile {name}]\ncredential_process = {}\n",
            place.path(&format!("bin/{name}")).display()
        );
    }
    place.write("home/.aws/config", &config);
    for (name, _) in helpers {
        let refused = place.eksd(&format!("credential-process --profile {name}")).fails(1);
        assert_eq!(refused.lines().count(), 1, "{refused}");
        assert!(!refused.contains("wJalrXUtnFEMI"), "{refused}");
    }
    assert!(!place.log().contains("wJalrXUtnFEMI"), "{}", place.log());
    // Whatever one does, the others are served.
    place.append(
        "home/.aws/config",
        "[profile good]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIAGOOD000000000001\",\"SecretAccessKey\":\"s\"}'\n",
    );
    let came = crate::tools::comes(crate::tools::SOON, || {
        place.eksd("credential-process --profile good").code == Some(0)
    });
    assert!(came, "{}", place.log());
}

#[test]
fn a_wrapper_that_asks_for_its_own_profile_is_refused() {
    let place = place("");
    place.script(
        "bin/wrapper",
        &format!(
            "#!/bin/sh\nexec '{}' credential-process --profile own\n",
            place.program("eksd").display()
        ),
    );
    place.write(
        "home/.aws/config",
        &format!("[profile own]\ncredential_process = {}\n", place.path("bin/wrapper").display()),
    );
    let refused = place.eksd("credential-process --profile own").fails(1);
    assert!(refused.contains("own"), "{refused}");
}
