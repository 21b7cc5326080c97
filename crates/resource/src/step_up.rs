//! A one-time password for one request: "this deletes foobar; please touch your key".
//!
//! An access token says who is calling, for as long as it lasts. Where that is not enough, a rule
//! ([`StepUp`]) asks a person for a password beside it. The answer to the request is a challenge that is
//! bound to all of it, down to the digest of its body; the client repeats the request with the challenge
//! and a password, and each of the two counts once, however many replicas there are. The wire is written
//! down in `docs/step-up.md`.
//!
//! [`StepUpLayer`] does all of it in front of a service. Whoever has no tower service asks a
//! [`Confirmer`]. Only a password that was used up makes a [`Confirmed`].
//!
//! ```no_run
//! # use countersign_resource::{Error, Validator, otp::{Method, OtpService}};
//! # fn main() {}
//! # fn layer(validator: Validator, otp: OtpService, key: [u8; 32]) -> Result<(), Error> {
//! use countersign_resource::step_up::{Confirmer, StepUp, StepUpLayer};
//!
//! let confirmer = Confirmer::builder("https://api.example.com", otp)
//!     .key(key)
//!     .build()?;
//! let delete = StepUp::each_request("delete resource")
//!     .methods([Method::Yubikey, Method::Totp])
//!     .action("delete resource {last}")
//!     .build()?;
//! let layer = StepUpLayer::new(validator, confirmer, delete);
//! // axum: Router::new().route("/resources/{name}", delete(remove)).layer(layer), and
//! // async fn remove(caller: Caller, confirmed: Confirmed) -> String
//! # Ok(())
//! # }
//! ```
//!
//! Not responsible for devices and whether a password is right, which is [`otp`](crate::otp)'s, nor for a
//! stronger sign-in (RFC 9470), which is [`Demands`](crate::Demands)'.

mod asked;
mod challenge;
mod confirm;
mod confirmed;
mod grammar;
mod layer;
mod refusal;

use http::HeaderName;

pub use asked::{Per, StepUp, StepUpBuilder};
pub use confirm::{Confirmer, ConfirmerBuilder, Seen};
pub use confirmed::Confirmed;
pub use grammar::MalformedStepUp;
pub use layer::{StepUpLayer, StepUpService};
pub use refusal::{StepUpRefusal, Unconfirmed};

/// The header field that a challenge is answered in.
pub const STEP_UP: HeaderName = HeaderName::from_static("step-up");

#[cfg(test)]
mod tests;
