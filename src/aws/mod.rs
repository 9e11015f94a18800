//! All that talks to AWS, and the EKS token, which is computed without talking.
//!
//! One [`Aws`] serves all profiles: each call says where it goes with a [`Reach`](crate::model::Reach)
//! and carries its own credentials. Nothing here waits for a better moment, retries, stores or
//! decides whether to try again; an [`AwsError`] says what could be done ([`Class`]) and what it
//! was ([`Kind`]), and whoever called decides.
//!
//! Invariant: *cannot reach* and *refused* are never confused. An answer counts as a refusal only
//! where it bears an error code in the form of the service that was asked; a proxy's page, a
//! captive portal and a cut answer are [`Kind::is_unreachable`].
//!
//! Invariant: no text of an [`AwsError`] holds a secret. What the SDK prints is never passed on;
//! AWS's own words are shortened and cleared of secrets first.
//!
//! Logging: one line per call at debug level, under this module's path. Keep the crates of the
//! SDK at `warn` or above: some of them log requests, with their signatures, at trace level.

mod answer;
mod call;
mod client;
mod clock;
mod codes;
mod console;
mod container;
mod dpop;
mod eks;
pub mod eks_token;
mod error;
mod explain;
mod hosts;
mod http;
mod iam;
mod instance;
mod metadata;
pub mod pkce;
mod replay;
mod sso;
mod sso_oidc;
mod sts;
mod token_file;
mod trust;
mod web_identity;

#[cfg(test)]
mod tests;

pub use client::{Aws, Deadlines, Endpoints, Surroundings};
pub use container::{Authorization, ContainerSource};
pub use eks::ClusterPage;
pub use eks_token::{Minted, StsEndpoint};
pub use error::{AwsError, Class, Kind};
pub use instance::InstanceMetadata;
pub use sso_oidc::{DeviceAuthorization, Grant, TokenRequest};
pub use sts::CallerIdentity;
pub use web_identity::web_identity_token;
