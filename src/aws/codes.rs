//! What each error code of AWS means for eksd, in one table.

use super::{Class, Kind};

/// The service that answered. The same code means different things at different services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    SsoOidc,
    Sso,
    Sts,
    Eks,
    Signin,
    Iam,
}

const PASSES: Class = Class::MayPass { retry_after: None };

/// Code, the service it is limited to, class, kind. The first fitting row counts.
///
/// Sources: API references of SSO OIDC ("`CreateToken`", "`RegisterClient`"), SSO portal
/// ("`GetRoleCredentials`"), STS, sign-in ("`CreateOAuth2Token`") and EKS, with each one's "Common
/// Errors"; `ForbiddenException` is sent by the portal although its model lacks it.
#[rustfmt::skip]
const CODES: &[(&str, Option<Service>, Class, Kind)] = &[
    // SSO portal.
    ("UnauthorizedException",          Some(Service::Sso),     Class::NeedsPerson, Kind::TokenRefused),
    ("ForbiddenException",             Some(Service::Sso),     Class::NeverWorks,  Kind::NotAssigned),
    ("ResourceNotFoundException",      Some(Service::Sso),     Class::NeverWorks,  Kind::NotAssigned),
    // SSO OIDC.
    ("AuthorizationPendingException",  Some(Service::SsoOidc), PASSES,             Kind::LoginPending),
    ("SlowDownException",              Some(Service::SsoOidc), PASSES,             Kind::SlowDown),
    ("ExpiredTokenException",          Some(Service::SsoOidc), Class::NeedsPerson, Kind::LoginTimedOut),
    ("InvalidGrantException",          Some(Service::SsoOidc), Class::NeedsPerson, Kind::GrantRefused),
    ("InvalidClientException",         Some(Service::SsoOidc), Class::NeedsPerson, Kind::RegistrationRefused),
    ("UnauthorizedClientException",    Some(Service::SsoOidc), Class::NeedsPerson, Kind::RegistrationRefused),
    ("AccessDeniedException",          Some(Service::SsoOidc), Class::NeedsPerson, Kind::LoginDenied),
    ("InvalidRequestRegionException",  Some(Service::SsoOidc), Class::NeverWorks,  Kind::BadRequest),
    ("InvalidScopeException",          Some(Service::SsoOidc), Class::NeverWorks,  Kind::BadRequest),
    ("UnsupportedGrantTypeException",  Some(Service::SsoOidc), Class::NeverWorks,  Kind::BadRequest),
    ("InvalidRedirectUriException",    Some(Service::SsoOidc), Class::NeverWorks,  Kind::BadRequest),
    ("InvalidClientMetadataException", Some(Service::SsoOidc), Class::NeverWorks,  Kind::BadRequest),
    // EKS.
    ("ResourceNotFoundException",      Some(Service::Eks),     Class::NeverWorks,  Kind::ClusterNotFound),
    ("InvalidParameterException",      Some(Service::Eks),     Class::NeverWorks,  Kind::BadRequest),
    ("ClientException",                Some(Service::Eks),     Class::NeverWorks,  Kind::BadRequest),
    ("ResourceInUseException",         Some(Service::Eks),     Class::NeverWorks,  Kind::BadRequest),
    ("ServerException",                Some(Service::Eks),     PASSES,             Kind::ServerFault),
    // Sign-in: the body's `error`.
    ("TOKEN_EXPIRED",                  Some(Service::Signin),  Class::NeedsPerson, Kind::GrantRefused),
    ("AUTHCODE_EXPIRED",               Some(Service::Signin),  Class::NeedsPerson, Kind::GrantRefused),
    ("USER_CREDENTIALS_CHANGED",       Some(Service::Signin),  Class::NeedsPerson, Kind::GrantRefused),
    ("INSUFFICIENT_PERMISSIONS",       Some(Service::Signin),  Class::NeverWorks,  Kind::AccessDenied),
    ("INVALID_REQUEST",                Some(Service::Signin),  Class::NeverWorks,  Kind::BadRequest),
    ("AccessDeniedException",          Some(Service::Signin),  Class::NeedsPerson, Kind::GrantRefused),
    ("TooManyRequestsError",           Some(Service::Signin),  PASSES,             Kind::Throttled),
    // STS.
    ("ValidationError",                Some(Service::Sts),     Class::NeverWorks,  Kind::BadRequest),
    ("MalformedPolicyDocument",        Some(Service::Sts),     Class::NeverWorks,  Kind::BadRequest),
    ("PackedPolicyTooLarge",           Some(Service::Sts),     Class::NeverWorks,  Kind::BadRequest),
    ("IDPRejectedClaim",               Some(Service::Sts),     Class::NeverWorks,  Kind::AccessDenied),
    ("InvalidIdentityToken",           Some(Service::Sts),     Class::NeverWorks,  Kind::AccessDenied),
    ("IDPCommunicationError",          Some(Service::Sts),     PASSES,             Kind::ServerFault),
    // Every service: who is calling, and when.
    ("ExpiredToken",                   None,                   PASSES,             Kind::CredentialsExpired),
    ("ExpiredTokenException",          None,                   PASSES,             Kind::CredentialsExpired),
    ("RequestExpired",                 None,                   PASSES,             Kind::CredentialsExpired),
    ("SignatureDoesNotMatch",          None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("InvalidSignatureException",      None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("IncompleteSignature",            None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("MissingAuthenticationToken",     None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("MissingAuthenticationTokenException", None,              Class::NeverWorks,  Kind::KeyRefused),
    ("InvalidClientTokenId",           None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("UnrecognizedClientException",    None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("OptInRequired",                  None,                   Class::NeverWorks,  Kind::KeyRefused),
    ("RequestTimeTooSkewed",           None,                   PASSES,             Kind::CredentialsExpired),
    ("AccessDenied",                   None,                   Class::NeverWorks,  Kind::AccessDenied),
    ("AccessDeniedException",          None,                   Class::NeverWorks,  Kind::AccessDenied),
    ("NotAuthorized",                  None,                   Class::NeverWorks,  Kind::AccessDenied),
    ("RegionDisabledException",        None,                   Class::NeverWorks,  Kind::RegionDisabled),
    // Every service: not now.
    ("TooManyRequestsException",       None,                   PASSES,             Kind::Throttled),
    ("Throttling",                     None,                   PASSES,             Kind::Throttled),
    ("ThrottlingException",            None,                   PASSES,             Kind::Throttled),
    ("ThrottledException",             None,                   PASSES,             Kind::Throttled),
    ("RequestThrottled",               None,                   PASSES,             Kind::Throttled),
    ("RequestThrottledException",      None,                   PASSES,             Kind::Throttled),
    ("RequestLimitExceeded",           None,                   PASSES,             Kind::Throttled),
    ("InternalServerException",        None,                   PASSES,             Kind::ServerFault),
    ("InternalServerError",            None,                   PASSES,             Kind::ServerFault),
    ("InternalFailure",                None,                   PASSES,             Kind::ServerFault),
    ("ServiceUnavailable",             None,                   PASSES,             Kind::ServerFault),
    ("ServiceUnavailableException",    None,                   PASSES,             Kind::ServerFault),
    ("RequestTimeout",                 None,                   PASSES,             Kind::ServerFault),
    ("RequestTimeoutException",        None,                   PASSES,             Kind::ServerFault),
    // Every service: the request itself.
    ("InvalidRequestException",        None,                   Class::NeverWorks,  Kind::BadRequest),
    ("ValidationException",            None,                   Class::NeverWorks,  Kind::BadRequest),
];

/// Returns what a refusal with this code and status means. `None`: the answer bears no code, so
/// it is not AWS's, whatever its status says.
pub(crate) fn meaning(
    service: Service,
    code: Option<&str>,
    status: u16,
    message: &str,
) -> Option<(Class, Kind)> {
    if status == 429 {
        return Some((PASSES, Kind::Throttled));
    }
    let Some(code) = code else {
        return (500 <= status).then_some((PASSES, Kind::ServerFault));
    };
    // The same code for a wrong policy and a wrong code (aws/aws-cli issue 1985 and others).
    if code.starts_with("AccessDenied") && message.contains("MultiFactorAuthentication failed") {
        // "… unable to validate MFA code. Please verify your MFA serial number …": no other code
        // helps.
        let is_serial = message.contains("MFA serial number");
        let class = if is_serial { Class::NeverWorks } else { Class::NeedsPerson };
        return Some((class, Kind::MfaRefused));
    }
    if service == Service::SsoOidc && code == "AccessDeniedException" && message.contains("KMS_") {
        return Some((Class::NeverWorks, Kind::BadRequest));
    }
    let row = CODES
        .iter()
        .find(|(known, of, ..)| *known == code && of.is_none_or(|of| of == service))
        .map(|(_, _, class, kind)| (*class, *kind));
    Some(match row {
        Some(meaning) => meaning,
        None if 500 <= status => (PASSES, Kind::ServerFault),
        None => (Class::NeverWorks, Kind::Refused),
    })
}

/// Returns whether a wrong clock could be behind a refusal with this code.
pub(crate) fn may_be_the_clock(code: &str) -> bool {
    matches!(
        code,
        "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "ExpiredToken"
            | "ExpiredTokenException"
            // The sign-in service, of a proof whose `iat` is off.
            | "INVALID_REQUEST"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn every_code_has_its_class() {
        use Class::{NeedsPerson, NeverWorks};
        use Service::{Eks, Signin, Sso, SsoOidc, Sts};
        for (service, code, status, class, kind) in [
            (Sso, "UnauthorizedException", 401, NeedsPerson, Kind::TokenRefused),
            (Sso, "ForbiddenException", 403, NeverWorks, Kind::NotAssigned),
            (Sso, "ResourceNotFoundException", 404, NeverWorks, Kind::NotAssigned),
            (Sso, "InvalidRequestException", 400, NeverWorks, Kind::BadRequest),
            (Sso, "TooManyRequestsException", 429, PASSES, Kind::Throttled),
            (SsoOidc, "AuthorizationPendingException", 400, PASSES, Kind::LoginPending),
            (SsoOidc, "SlowDownException", 400, PASSES, Kind::SlowDown),
            (SsoOidc, "ExpiredTokenException", 400, NeedsPerson, Kind::LoginTimedOut),
            (SsoOidc, "InvalidGrantException", 400, NeedsPerson, Kind::GrantRefused),
            (SsoOidc, "InvalidClientException", 401, NeedsPerson, Kind::RegistrationRefused),
            (SsoOidc, "UnauthorizedClientException", 400, NeedsPerson, Kind::RegistrationRefused),
            (SsoOidc, "AccessDeniedException", 400, NeedsPerson, Kind::LoginDenied),
            (SsoOidc, "InvalidRequestException", 400, NeverWorks, Kind::BadRequest),
            (SsoOidc, "InvalidScopeException", 400, NeverWorks, Kind::BadRequest),
            (SsoOidc, "UnsupportedGrantTypeException", 400, NeverWorks, Kind::BadRequest),
            (SsoOidc, "InvalidRedirectUriException", 400, NeverWorks, Kind::BadRequest),
            (SsoOidc, "InvalidClientMetadataException", 400, NeverWorks, Kind::BadRequest),
            (SsoOidc, "InternalServerException", 500, PASSES, Kind::ServerFault),
            (Sts, "ExpiredToken", 403, PASSES, Kind::CredentialsExpired),
            (Sts, "ExpiredTokenException", 400, PASSES, Kind::CredentialsExpired),
            (Sts, "RequestExpired", 400, PASSES, Kind::CredentialsExpired),
            (Sts, "SignatureDoesNotMatch", 403, NeverWorks, Kind::KeyRefused),
            (Sts, "InvalidClientTokenId", 403, NeverWorks, Kind::KeyRefused),
            (Sts, "AccessDenied", 403, NeverWorks, Kind::AccessDenied),
            (Sts, "ValidationError", 400, NeverWorks, Kind::BadRequest),
            (Sts, "RegionDisabledException", 403, NeverWorks, Kind::RegionDisabled),
            (Sts, "MalformedPolicyDocument", 400, NeverWorks, Kind::BadRequest),
            (Sts, "PackedPolicyTooLarge", 400, NeverWorks, Kind::BadRequest),
            (Sts, "IDPRejectedClaim", 403, NeverWorks, Kind::AccessDenied),
            (Sts, "InvalidIdentityToken", 400, NeverWorks, Kind::AccessDenied),
            (Sts, "IDPCommunicationError", 400, PASSES, Kind::ServerFault),
            (Sts, "Throttling", 400, PASSES, Kind::Throttled),
            (Sts, "ServiceUnavailable", 503, PASSES, Kind::ServerFault),
            (Eks, "UnrecognizedClientException", 403, NeverWorks, Kind::KeyRefused),
            (Eks, "InvalidSignatureException", 403, NeverWorks, Kind::KeyRefused),
            (Eks, "ResourceNotFoundException", 404, NeverWorks, Kind::ClusterNotFound),
            (Eks, "AccessDeniedException", 403, NeverWorks, Kind::AccessDenied),
            (Eks, "ThrottlingException", 400, PASSES, Kind::Throttled),
            (Eks, "ServerException", 500, PASSES, Kind::ServerFault),
            (Eks, "ExpiredTokenException", 403, PASSES, Kind::CredentialsExpired),
            (Signin, "TOKEN_EXPIRED", 401, NeedsPerson, Kind::GrantRefused),
            (Signin, "AUTHCODE_EXPIRED", 401, NeedsPerson, Kind::GrantRefused),
            (Signin, "USER_CREDENTIALS_CHANGED", 403, NeedsPerson, Kind::GrantRefused),
            (Signin, "INSUFFICIENT_PERMISSIONS", 403, NeverWorks, Kind::AccessDenied),
            (Signin, "AccessDeniedException", 403, NeedsPerson, Kind::GrantRefused),
            (Signin, "INVALID_REQUEST", 400, NeverWorks, Kind::BadRequest),
            (Signin, "TooManyRequestsError", 400, PASSES, Kind::Throttled),
            (Signin, "ValidationException", 400, NeverWorks, Kind::BadRequest),
            (Signin, "InternalServerException", 500, PASSES, Kind::ServerFault),
            (Eks, "SomethingNew", 400, NeverWorks, Kind::Refused),
            (Eks, "SomethingNew", 502, PASSES, Kind::ServerFault),
        ] {
            assert_eq!(meaning(service, Some(code), status, ""), Some((class, kind)), "{code}");
        }
    }

    #[test]
    fn an_answer_without_a_code_is_not_a_refusal() {
        for status in [301, 400, 401, 403, 404, 407] {
            assert_eq!(meaning(Service::Sso, None, status, ""), None, "{status}");
        }
        assert_eq!(meaning(Service::Sso, None, 502, ""), Some((PASSES, Kind::ServerFault)));
        assert_eq!(meaning(Service::Sso, None, 429, ""), Some((PASSES, Kind::Throttled)));
    }

    #[test]
    fn a_refused_mfa_code_is_not_a_missing_permission() {
        let text = "MultiFactorAuthentication failed with invalid MFA one time pass code. ";
        assert_eq!(
            meaning(Service::Sts, Some("AccessDenied"), 403, text),
            Some((Class::NeedsPerson, Kind::MfaRefused))
        );
        let text = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify \
                    your MFA serial number is valid and associated with this user.";
        assert_eq!(
            meaning(Service::Sts, Some("AccessDenied"), 403, text),
            Some((Class::NeverWorks, Kind::MfaRefused))
        );
    }
}
