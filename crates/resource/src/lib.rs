//! The receiving end: decides at an API whether an access token may be used.
//!
//! A [`Validator`] holds the rules for one API and the keys of one issuer, and
//! verifies tokens (RFC 9068) offline. [`ValidatorLayer`] puts it in front of
//! any tower service and hands verified callers on as [`Caller`].
//!
//! ```no_run
//! # fn main() -> Result<(), countersign_resource::Error> {
//! use countersign_resource::{Validator, ValidatorLayer};
//!
//! let validator = Validator::builder("https://id.example.com")
//!     .resource("https://api.example.com")
//!     .required_scope("inventory:read")
//!     .build()?;
//! let layer = ValidatorLayer::new(validator);
//! // axum: Router::new().route("/stock", get(stock)).layer(layer)
//! # Ok(())
//! # }
//! ```
//!
//! Whoever has no tower service asks [`Validator::check`] with the head of a
//! request, or [`Validator::validate`] with a token. Both give a [`Caller`] or a
//! [`Rejection`], which knows its own answer. What a route asks for beyond a good
//! token is a value, [`Demands`]: scopes, a policy, how and when the person
//! signed in. A token that comes again costs a digest instead of a signature.
//!
//! Where a token is not enough, [`step_up`] asks a person for a one-time password
//! that is bound to the request.
//!
//! With the feature `axum`, `Caller` is an argument of handlers; see
//! `examples/axum.rs`. Services over tonic need no feature; see `examples/tonic.rs`.
//!
//! Not responsible for how a client gets its token, nor for what a caller may do
//! beyond what is demanded.

mod advice;
mod alb;
#[cfg(feature = "axum")]
mod axum;
mod binding;
mod caller;
mod clock;
mod credentials;
mod demands;
mod error;
mod grpc;
mod http_client;
mod introspection;
mod issuer_keys;
mod keys;
mod layer;
mod metadata;
pub mod otp;
#[cfg(feature = "postgres")]
mod postgres;
mod presented;
mod private;
mod profile;
mod refused;
mod rejection;
#[cfg(feature = "sqlite")]
mod sqlite;
pub mod state;
pub mod step_up;
mod striped;
mod token;
mod token_cache;
mod trust;
mod validator;

#[cfg(test)]
mod testing;

pub use advice::Advice;
pub use alb::LoadBalancer;
#[cfg(feature = "axum")]
pub use axum::{NoStepUp, NoValidator};
pub use binding::{CertificateForm, CertificateHeader, DpopPolicy, Revocation};
pub use caller::{Caller, Presentation};
pub use clock::{Clock, SystemClock};
pub use countersign_jose::{Algorithm, Claims, Timestamp};
pub use countersign_oauth::{FetchedKeys, Introspection, ScopeSet};
pub use countersign_policy as policy;
pub use countersign_policy::{InvalidNetwork, Network};
pub use demands::{Demands, DemandsBuilder};
pub use error::Error;
pub use http_client::{Connections, HttpClient};
pub use introspection::{AnswerFuture, IntrospectToken, IntrospectionPolicy};
pub use keys::{FetchFuture, FetchKeys, KeyStatus};
pub use layer::{ValidatorLayer, ValidatorService};
pub use metadata::ResourceMetadata;
pub use presented::Presented;
pub use profile::TokenProfile;
pub use refused::Refused;
pub use rejection::Rejection;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteFile;
pub use token::{AccessToken, Confirmation};
pub use trust::Trust;
pub use validator::{Validator, ValidatorBuilder};
