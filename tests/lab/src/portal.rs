//! The SSO portal: accounts, roles and their credentials.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::http::{Answer, Fail, Params, Request};
use crate::world::{Session, World};

const BEARER: &str = "x-amz-sso_bearer_token";

pub(crate) fn serve(
    world: &mut World,
    op: &str,
    request: &Request,
    call: &mut Call,
) -> Result<Answer, Fail> {
    let signin = world
        .access
        .get(request.header(BEARER))
        .filter(|a| world.now_ms() < a.expires_ms)
        .map(|a| a.signin.clone())
        .ok_or_else(|| {
            Fail::new(401, "UnauthorizedException", "Session token not found or invalid")
        })?;
    let params = request.params();
    call.account = params.get("account_id").map(String::from);
    call.role = params.get("role_name").map(String::from);
    match op {
        "Logout" => {
            world.end(signin.number);
            Ok(Answer::new(200, "application/json", ""))
        }
        "ListAccounts" => {
            let rows = world.script.accounts.iter().map(|a| {
                json!({
                    "accountId": a.account_id, "accountName": a.account_name,
                    "emailAddress": a.email_address,
                })
            });
            page(world, "accountList", rows.collect(), &params)
        }
        "ListAccountRoles" => {
            let id = account_id(&params)?;
            let found = world.script.accounts.iter().find(|a| a.account_id == id);
            let roles = found.map(|a| a.roles.as_slice()).unwrap_or_default();
            let rows = roles.iter().map(|r| json!({"roleName": r, "accountId": id}));
            page(world, "roleList", rows.collect(), &params)
        }
        _ => role_credentials(world, &params, &signin.person),
    }
}

fn account_id(params: &Params) -> Result<&str, Fail> {
    let id = params.get("account_id").unwrap_or_default();
    if id.len() == 12 && id.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(id);
    }
    Err(Fail::new(400, "InvalidRequestException", "Account ID must be twelve digits"))
}

fn role_credentials(world: &mut World, params: &Params, person: &str) -> Result<Answer, Fail> {
    let id = account_id(params)?;
    let role = params.get("role_name").unwrap_or_default();
    let Some(account) = world.script.accounts.iter().find(|a| a.account_id == id) else {
        return Err(Fail::new(404, "ResourceNotFoundException", "Account not found"));
    };
    if !account.roles.iter().any(|r| r == role) {
        return Err(Fail::new(403, "ForbiddenException", "No access"));
    }
    let arn =
        format!("arn:aws:sts::{id}:assumed-role/AWSReservedSSO_{role}_0123456789abcdef/{person}");
    let user_id = format!("AROASSO{}:{person}", role.to_uppercase());
    let whose = Session { arn, user_id, account: id.into(), ..Session::default() };
    let (key, session) = world.mint(world.script.lifetimes.role_credentials, whose);
    Ok(Answer::json(
        200,
        &json!({"roleCredentials": {
            "accessKeyId": key, "secretAccessKey": session.secret,
            "sessionToken": session.token, "expiration": session.expires_ms,
        }}),
    ))
}

fn page(world: &World, name: &str, rows: Vec<Value>, params: &Params) -> Result<Answer, Fail> {
    let asked = params.filled("max_result").map(|n| n.parse().unwrap_or(0));
    let (rows, more) = cut(rows, asked, params.filled("next_token"), world.script.page_size, 100)?;
    let mut body = json!({name: rows});
    if let Some(more) = more {
        body["nextToken"] = more.into();
    }
    Ok(Answer::json(200, &body))
}

/// One page of a list and the token of the next.
pub(crate) fn cut<T>(
    mut rows: Vec<T>,
    asked: Option<usize>,
    token: Option<&str>,
    default: usize,
    most: usize,
) -> Result<(Vec<T>, Option<String>), Fail> {
    let wrong = |what: &str| Fail::new(400, "InvalidRequestException", format!("Invalid {what}"));
    if asked.is_some_and(|n| n == 0 || n > most) {
        return Err(wrong("page size"));
    }
    let start = match token {
        Some(text) => text
            .strip_prefix("page-")
            .and_then(|n| n.parse::<usize>().ok())
            .filter(|n| *n <= rows.len())
            .ok_or_else(|| wrong("page token"))?,
        None => 0,
    };
    let size = match (asked, default) {
        (Some(asked), 0) => asked,
        (Some(asked), default) => asked.min(default),
        (None, 0) => most,
        (None, default) => default,
    };
    let mut rows = rows.split_off(start);
    let more = (rows.len() > size).then(|| format!("page-{}", start + size));
    rows.truncate(size);
    Ok((rows, more))
}
