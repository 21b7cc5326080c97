//! Each preset against the shapes its provider is documented to send, so that none can rot silently.
//!
//! The shapes were written for these tests after the providers' documentation; nothing in them was
//! recorded from a live account.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod auth0;
mod cognito;
#[path = "../common/mod.rs"]
mod common;
mod entra;
mod general;
mod github;
mod google;
mod issuers;
mod keycloak;
mod okta;
mod support;
