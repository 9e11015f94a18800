//! Limits on how often a service can be called: token buckets that fill by the lab's clock.

use crate::http::Fail;
use crate::world::World;

/// What is left of a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// Thousandths of a token: what one millisecond brings is then a whole number.
    milli: i64,
    at_ms: i64,
}

/// Takes a token of the limits of a service and of an operation; an error when there is none.
pub(crate) fn take(world: &mut World, service: &str, op: &str) -> Result<(), Fail> {
    let now = world.now_ms();
    for name in [service, op] {
        let Some(limit) = world.script.limits.get(name).copied() else { continue };
        let full = i64::from(limit.burst) * 1000;
        let bucket = world.buckets.entry(name.into()).or_insert(Bucket { milli: full, at_ms: now });
        // A clock that was set back must not empty it.
        let passed = (now - bucket.at_ms).max(0);
        let grown = passed.saturating_mul(i64::from(limit.per_second));
        bucket.milli = bucket.milli.saturating_add(grown).min(full);
        bucket.at_ms = now;
        if bucket.milli < 1000 {
            return Err(Fail { retry_after: limit.retry_after, ..throttle(service) });
        }
        bucket.milli -= 1000;
    }
    Ok(())
}

/// How a service says that it is called too often.
///
/// From the models of botocore 1.43: the portal's `TooManyRequestsException`, the sign-in
/// service's `TooManyRequestsError`; STS and EKS use the common `Throttling` errors of AWS
/// ("Common Error Types"). OIDC has no modelled one; its gateway answers as the portal does.
fn throttle(service: &str) -> Fail {
    match service {
        "sts" | "iam" => Fail::new(400, "Throttling", "Rate exceeded"),
        "eks" => Fail::new(429, "ThrottlingException", "Rate exceeded"),
        "signin" => Fail::new(429, "TooManyRequestsError", "Rate exceeded"),
        _ => Fail::new(429, "TooManyRequestsException", "HTTP 429 Unknown Code"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::script_sources::Limit;

    fn world(name: &str, limit: Limit) -> World {
        let mut world = World::new(Script::default());
        world.script.limits.insert(name.into(), limit);
        world.clock.frozen_ms = Some(1_000_000);
        world
    }

    fn good(world: &mut World, calls: usize) -> usize {
        (0..calls).filter(|_| take(world, "portal", "GetRoleCredentials").is_ok()).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut world = world("portal", Limit { per_second: 20, burst: 5, retry_after: Some(3) });
        assert_eq!(good(&mut world, 9), 5);
        let fail = take(&mut world, "portal", "ListAccounts").expect_err("empty");
        assert_eq!((fail.status, fail.retry_after), (429, Some(3)));
        assert!(take(&mut world, "oidc", "CreateToken").is_ok(), "another service");
        world.clock.frozen_ms = Some(1_000_100);
        assert_eq!(good(&mut world, 9), 2, "a tenth of a second brings two");
        world.clock.frozen_ms = Some(1_000_149);
        assert_eq!(good(&mut world, 9), 0);
        world.clock.frozen_ms = Some(1_000_150);
        assert_eq!(good(&mut world, 9), 1, "the parts of a token add up");
        world.clock.advance(3600);
        assert_eq!(good(&mut world, 9), 5, "no more than the burst");
        world.clock.frozen_ms = Some(0);
        assert_eq!(good(&mut world, 9), 0, "a clock set back brings nothing");
    }

    #[test]
    fn an_operation_can_have_its_own() {
        let limit = Limit { per_second: 1, burst: 1, retry_after: None };
        let mut world = world("GetRoleCredentials", limit);
        assert_eq!(good(&mut world, 3), 1);
        assert!(take(&mut world, "portal", "ListAccounts").is_ok());
    }
}
