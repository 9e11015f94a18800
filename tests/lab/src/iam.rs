//! IAM: what an account is called.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::http::{Answer, Fail, Request};
use crate::sts::{check, request_id, xml};
use crate::world::World;

pub(crate) const OPERATION: &str = "ListAccountAliases";

pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

pub(crate) fn serve(world: &World, request: &Request, call: &mut Call) -> Result<Answer, Fail> {
    let caller = check(world, request, "iam", call)?;
    // One for all regions, and signatures name its home; but the AWS CLI signs for the region that it
    // is in where it is given an address.
    let home = home(call.region.as_deref().unwrap_or_default());
    if request.base.contains("//iam.") && call.region.as_deref() != Some(home) {
        let message = format!("Credential should be scoped to a valid region, not '{home}'.");
        return Err(Fail::new(403, "SignatureDoesNotMatch", message));
    }
    call.account = Some(caller.account.clone());
    let aliases = match world.script.account_aliases.get(&caller.account) {
        Some(alias) => json!({"member": alias}),
        None => Value::Object(serde_json::Map::new()),
    };
    let result =
        xml("ListAccountAliasesResult", &json!({"AccountAliases": aliases, "IsTruncated": false}));
    let meta = xml("ResponseMetadata", &json!({"RequestId": request_id()}));
    let text = format!(
        "<ListAccountAliasesResponse xmlns=\"{NAMESPACE}\">{result}{meta}</ListAccountAliasesResponse>"
    );
    Ok(Answer::new(200, "text/xml", text))
}

fn home(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "cn-north-1"
    } else if region.starts_with("us-gov-") {
        "us-gov-west-1"
    } else {
        "us-east-1"
    }
}
