//! The guides, one file for each provider.
//!
//! What stands here was taken from the providers' documentation. Where a console has changed since, the
//! setting still exists under a similar name; the commands of the APIs change less.

mod auth0;
mod cognito;
mod entra;
mod generic;
mod github;
mod google;
mod keycloak;
mod okta;

use super::guide::Guide;

/// Every guide, in the order of the presets.
pub(crate) const ALL: &[&Guide] = &[
    &auth0::GUIDE,
    &cognito::GUIDE,
    &entra::GUIDE,
    &github::GUIDE,
    &google::GUIDE,
    &keycloak::GUIDE,
    &okta::GUIDE,
    &generic::OIDC,
    &generic::OAUTH,
];

/// The guide for a preset.
pub(crate) fn of(provider: &str) -> Option<&'static Guide> {
    ALL.iter().copied().find(|guide| guide.provider == provider)
}
