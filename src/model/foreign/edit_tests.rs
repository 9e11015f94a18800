//! Edits of texts in all the ways that they are written; judged by another YAML parser too.

use proptest::prelude::*;
use serde_yaml_ng::Value as Judge;

use super::*;
use crate::model::foreign::adoption::ask_eksd;

fn judged(text: &str) -> Judge {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn take_over(text: &str, at: usize) -> Result<String, Refusal> {
    let document = Document::read(text)?;
    apply(text, &ask_eksd(&document, at, "demo", "/usr/bin/eksd"))
}

const FROM_AWS: &str = "\
apiVersion: v1
clusters: []
users:
- name: arn:aws:eks:eu-west-1:1:cluster/demo # mine
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      # who signs
      args: # in this order
      - --region
      - eu-west-1
      - eks
      - get-token
      - --cluster-name
      - demo
      - --output
      - json
      command: aws # the CLI
      env:
      - name: AWS_PROFILE
        value: dev
      unknown: {kept: true}
- name: other
  user: {token: x}
";

#[test]
fn only_what_is_meant_changes() {
    assert_eq!(
        take_over(FROM_AWS, 0).unwrap(),
        "\
apiVersion: v1
clusters: []
users:
- name: arn:aws:eks:eu-west-1:1:cluster/demo # mine
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      # who signs
      args: # in this order
      - token
      - --cluster
      - demo
      interactiveMode: Never
      command: /usr/bin/eksd # the CLI
      unknown: {kept: true}
- name: other
  user: {token: x}
"
    );
    let windows = FROM_AWS.replace('\n', "\r\n");
    assert_eq!(
        take_over(&windows, 0).unwrap(),
        take_over(FROM_AWS, 0).unwrap().replace('\n', "\r\n")
    );
    let marked = format!("\u{feff}{FROM_AWS}");
    assert_eq!(
        take_over(&marked, 0).unwrap(),
        format!("\u{feff}{}", take_over(FROM_AWS, 0).unwrap())
    );
    let indented = FROM_AWS
        .replace("      - ", "          -   ")
        .replace("        value", "              value");
    let edited = take_over(&indented, 0).unwrap();
    assert!(
        edited.contains("\n          - token\n          - --cluster\n          - demo\n"),
        "{edited}"
    );
    assert_eq!(judged(&edited), judged(&take_over(FROM_AWS, 0).unwrap()));
}

#[test]
fn other_variables_stay() {
    let more = FROM_AWS.replace(
        "      env:\n",
        "      env:\n      # a proxy\n      - name: HTTPS_PROXY\n        value: http://p\n\
         \u{20}     - {name: AWS_STS_REGIONAL_ENDPOINTS, value: regional}\n      # the identity\n",
    );
    let edited = take_over(&more, 0).unwrap();
    let env = "      env:\n      # a proxy\n      - name: HTTPS_PROXY\n        value: http://p\n      # the identity\n      unknown";
    assert!(edited.contains(env), "{edited}");
    let flow = "users: [{name: a, user: {exec: {command: aws, args: [x], env: [{name: A, value: b}, {name: AWS_PROFILE, value: c}]}}}]\n";
    assert_eq!(
        take_over(flow, 0).unwrap(),
        "users: [{name: a, user: {exec: {\"interactiveMode\": \"Never\", command: \"/usr/bin/eksd\", \"apiVersion\": \"client.authentication.k8s.io/v1\", args: [\"token\", \"--cluster\", \"demo\"], env: [{name: A, value: b}]}}}]\n"
    );
}

#[test]
fn json_stays_json() {
    let value = judged(FROM_AWS);
    for text in
        [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()]
    {
        let edited = take_over(&text, 0).unwrap();
        let read: serde_json::Value = serde_json::from_str(&edited).unwrap();
        assert_eq!(read["users"][0]["user"]["exec"]["args"][2], "demo");
        assert_eq!(judged(&edited), judged(&take_over(FROM_AWS, 0).unwrap()));
    }
}

#[test]
fn what_counts_elsewhere_too_is_refused() {
    let shared = |line| Err(Refusal::Shared { line });
    for (text, expected) in [
        (
            "users:\n- name: a\n  user: &u\n    exec:\n      command: aws\n- name: b\n  user: *u\n",
            shared(4),
        ),
        ("x: &e {command: aws}\nusers:\n- name: a\n  user:\n    exec: *e\n", shared(5)),
        ("x: &e {command: aws}\nusers:\n- name: a\n  user:\n    exec:\n      <<: *e\n", shared(6)),
        (
            "users:\n- name: a\n  user:\n    exec:\n      command: aws\n      args: [&n x, *n]\n",
            shared(6),
        ),
        ("users:\n- name: a\n  user:\n    exec: !!map\n      command: aws\n", shared(5)),
        (
            "users:\n- name: a\n  user:\n    exec:\n      command: aws\n      command: aws\n",
            Err(Refusal::Layout { line: 6 }),
        ),
        (
            "users:\n- name: a\n  user:\n    exec:\n      command: >\n        aws\n",
            Err(Refusal::Layout { line: 6 }),
        ),
        ("users:\n- name: a\n  user:\n    exec: {}\n", Err(Refusal::Layout { line: 4 })),
    ] {
        assert_eq!(take_over(text, 0), expected, "{text}");
    }
    let two = format!("{FROM_AWS}---\na: b\n");
    assert!(matches!(take_over(&two, 0), Err(Refusal::Unreadable(_))));
}

/// How a generated file is laid out.
#[derive(Clone, Debug)]
struct Layout {
    /// Blanks that a map lies deeper than its key.
    map: usize,
    /// Blanks that a list lies deeper than its key.
    list: usize,
    /// Blanks after a dash.
    dash: usize,
    comments: bool,
    windows: bool,
    /// From this depth on in braces.
    flow_from: usize,
    has_end: bool,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let windows = prop::bool::weighted(0.2);
    (1..5_usize, 0..4_usize, 1..4_usize, any::<bool>(), windows, 3..9_usize, any::<bool>())
        .prop_map(|(map, list, dash, comments, windows, flow_from, has_end)| Layout {
            map,
            list,
            dash,
            comments,
            windows,
            flow_from,
            has_end,
        })
}

struct Printer<'a> {
    layout: &'a Layout,
    text: String,
}

impl Printer<'_> {
    fn end_line(&mut self) {
        self.text.push_str(if self.layout.comments { " # c: [\n" } else { "\n" });
    }

    fn map(&mut self, value: &Judge, column: usize, depth: usize, mut on_line: bool) {
        for (key, inner) in value.as_mapping().unwrap() {
            if !std::mem::take(&mut on_line) {
                self.text.push_str(&" ".repeat(column));
            }
            self.text.push_str(&format!("{}:", key.as_str().unwrap()));
            self.after(inner, column, depth + 1);
        }
    }

    fn after(&mut self, value: &Judge, column: usize, depth: usize) {
        let is_empty = value.as_mapping().is_some_and(serde_yaml_ng::Mapping::is_empty)
            || value.as_sequence().is_some_and(Vec::is_empty);
        let is_flow = is_empty || self.layout.flow_from <= depth;
        match value {
            Judge::Mapping(_) if !is_flow => {
                self.end_line();
                self.map(value, column + self.layout.map, depth, false);
            }
            Judge::Sequence(items) if !is_flow => {
                self.end_line();
                let column = column + self.layout.list;
                let inner = column + 1 + self.layout.dash;
                for item in items {
                    self.text.push_str(&format!(
                        "{}-{}",
                        " ".repeat(column),
                        " ".repeat(self.layout.dash)
                    ));
                    if item.is_mapping() {
                        self.map(item, inner, depth + 1, true);
                    } else {
                        self.text.push_str(&serde_json::to_string(item).unwrap());
                        self.end_line();
                    }
                }
            }
            _ => {
                self.text.push_str(&format!(" {}", serde_json::to_string(value).unwrap()));
                self.end_line();
            }
        }
    }
}

fn printed(value: &Judge, layout: &Layout) -> String {
    let mut printer = Printer { layout, text: String::new() };
    printer.map(value, 0, 0, false);
    let mut text = printer.text;
    if !layout.has_end {
        text.pop();
    }
    if layout.windows { text.replace('\n', "\r\n") } else { text }
}

fn users() -> impl Strategy<Value = Judge> {
    let word = "[a-z:/ #'\"é-]{0,8}";
    let variable =
        (prop::sample::select(vec!["AWS_PROFILE", "AWS_REGION", "FOO", "HTTPS_PROXY"]), word)
            .prop_map(|(name, value)| judged(&format!("{{name: {name}, value: {value:?}}}")));
    let exec = (
        prop::option::of(prop::collection::vec(word, 0..4)),
        prop::option::of(prop::collection::vec(variable, 0..4)),
        any::<[bool; 4]>(),
        word,
    )
        .prop_map(|(args, env, [version, mode, info, hint], command)| {
            let mut exec = serde_yaml_ng::Mapping::new();
            let mut put = |key: &str, value: Option<Judge>| {
                if let Some(value) = value {
                    exec.insert(key.into(), value);
                }
            };
            put("apiVersion", version.then(|| "client.authentication.k8s.io/v1beta1".into()));
            put(
                "args",
                args.map(|args| Judge::Sequence(args.into_iter().map(Judge::from).collect())),
            );
            put("command", Some(command.into()));
            put("env", env.map(Judge::Sequence));
            put("installHint", hint.then(|| "get it".into()));
            put("interactiveMode", mode.then(|| "IfAvailable".into()));
            put("provideClusterInfo", info.then(|| false.into()));
            Judge::Mapping(exec)
        });
    prop::collection::vec((word, exec), 1..4).prop_map(|users| {
        let users = users.into_iter().map(|(name, exec)| {
            let mut user = judged("{name: x, user: {exec: {}}}");
            user["name"] = name.into();
            user["user"]["exec"] = exec;
            user
        });
        let mut top = judged("{apiVersion: v1, clusters: [], users: [], extensions: [{name: e}]}");
        top["users"] = Judge::Sequence(users.collect());
        top
    })
}

/// What the edit should come to, by the other parser.
fn taken_over(mut value: Judge, at: usize) -> Judge {
    let exec = &mut value["users"][at]["user"]["exec"];
    exec["apiVersion"] = "client.authentication.k8s.io/v1".into();
    exec["command"] = "/usr/bin/eksd".into();
    exec["interactiveMode"] = "Never".into();
    exec["args"] = judged("[token, --cluster, demo]");
    if exec.get("installHint").is_some() {
        exec["installHint"] = crate::model::foreign::adoption::INSTALL_HINT.into();
    }
    let exec = exec.as_mapping_mut().unwrap();
    if let Some(Judge::Sequence(env)) = exec.get_mut("env") {
        let count = env.len();
        env.retain(|variable| !variable["name"].as_str().unwrap().starts_with("AWS_"));
        if env.is_empty() && count != 0 {
            exec.remove("env");
        }
    }
    value
}

/// Maps are equal in any order.
fn sorted(value: &Judge) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However a file is laid out: what was meant, and nothing else. Nothing of these is refused.
    #[test]
    fn edits_of_generated_files(value in users(), layout in layouts(), pick in any::<prop::sample::Index>()) {
        let text = printed(&value, &layout);
        prop_assert_eq!(&judged(&text), &value, "the printer is wrong: {}", text);
        let at = pick.index(value["users"].as_sequence().unwrap().len());
        let edited = take_over(&text, at);
        prop_assert!(edited.is_ok(), "{:?}: {}", edited, text);
        let edited = edited.unwrap();
        let found = judged(&edited);
        prop_assert_eq!(sorted(&found), sorted(&taken_over(value, at)), "{}\n{}", text, edited);
        // Once more changes nothing.
        prop_assert_eq!(take_over(&edited, at).unwrap(), edited.clone());
        prop_assert_eq!(text.contains('\r'), edited.contains('\r'));
    }

    /// Any text is edited right or refused.
    #[test]
    fn edits_of_any_text(inner in "[a-z:{}\\[\\]\\-\\n &*!'\"|>#,?\t]{0,60}") {
        for text in [
            inner.clone(),
            format!("users:\n- name: a\n  user:\n    exec:\n      command: aws\n      args:{inner}\n"),
            format!("users:\n- name: a\n  user:\n    exec:\n      {inner}\n      command: aws\n"),
        ] {
            let Ok(edited) = take_over(&text, 0) else { continue };
            if let Ok(value) = serde_yaml_ng::from_str::<Judge>(&text) {
                let read: Result<Judge, _> = serde_yaml_ng::from_str(&edited);
                prop_assert!(read.is_ok(), "{}\n{}", text, edited);
                let read = read.unwrap();
                prop_assert_eq!(&read["users"][0]["user"]["exec"]["args"], &judged("[token, --cluster, demo]"));
                prop_assert_eq!(&read["users"][0]["name"], &value["users"][0]["name"]);
            }
        }
    }
}
