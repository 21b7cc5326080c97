//! The guides, one file for each provider.
//!
//! What stands here was taken from the providers' documentation and from what is commonly known of their
//! consoles; not every name was looked up. Where a console calls a setting otherwise, it has one under a
//! similar name; the commands of the APIs change less.

mod auth0;
mod cognito;
mod entra;
mod generic;
mod github;
mod google;
mod keycloak;
mod okta;

use countersign_client::preset::Preset;

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

/// The guide for a preset. A provider without one of its own is like any other.
pub(crate) fn of(preset: &Preset) -> &'static Guide {
    let own = ALL.iter().find(|guide| guide.provider == preset.name);
    own.unwrap_or(&&generic::OIDC)
}
