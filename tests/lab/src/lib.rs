//! Stands in for AWS and for an EKS cluster, on loopback.
//!
//! One process plays SSO OIDC, the SSO portal, STS, EKS, a call of IAM, the sign-in service of `aws login`, the
//! metadata service of EC2, endpoints of container credentials and, over TLS, a Kubernetes API
//! server for each cluster. It checks what the real services check (signatures, PKCE, proofs of
//! possession, one-time tokens and codes, session limits, EKS bearer tokens), does what a
//! [`Script`] says, fails on request ([`Fault`]) and records every call.
//!
//! ```
//! use eksd_lab::{Fault, Lab, Script};
//!
//! let lab = Lab::start(Script::default());
//! lab.queue(Fault::status("GetRoleCredentials", 429, "TooManyRequestsException").times(2));
//! // ... run something with AWS_ENDPOINT_URL set to lab.url() ...
//! assert_eq!(lab.count("GetRoleCredentials"), 0);
//! ```

mod assume;
mod calls;
mod clock;
mod control;
mod dpop;
mod eks;
mod eks_token;
mod faults;
mod http;
mod iam;
mod jwt;
mod kube;
mod kube_objects;
mod lab;
mod limits;
mod mangle;
mod metadata;
mod oidc;
mod payload;
mod portal;
mod route;
mod script;
mod script_sources;
mod server;
mod signin;
mod sigv4;
mod sts;
mod tls;
mod totp;
mod web_identity;
mod world;

pub use calls::Call;
pub use control::What;
pub use faults::{Act, Fault};
pub use lab::{Lab, Options};
pub use mangle::Expiry;
pub use script::{Account, Approval, Cluster, Lifetimes, Mapped, Mfa, Role, Script, User};
pub use script_sources::{Console, Container, IdentityToken, Instance, Limit, WebIdentity};
pub use signin::ConsoleLogin;
pub use totp::totp;
