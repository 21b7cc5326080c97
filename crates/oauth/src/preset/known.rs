//! Which provider an issuer belongs to, where its address says so.
//!
//! Not responsible for providers under a name of their customer's: those have to be named.

use super::{Preset, auth0, cognito, entra, github, google, keycloak, okta};
use crate::Issuer;

/// Hosts: a star stands for one name or more.
static HOSTS: &[(&str, &Preset)] = &[
    ("*.auth0.com", &auth0::PRESET),
    ("cognito-idp.*.amazonaws.com", &cognito::PRESET),
    ("cognito-idp.*.amazonaws.com.cn", &cognito::PRESET),
    ("login.microsoftonline.com", &entra::PRESET),
    ("login.microsoftonline.us", &entra::PRESET),
    ("login.partner.microsoftonline.cn", &entra::PRESET),
    ("github.com", &github::PRESET),
    ("*.ghe.com", &github::PRESET),
    ("accounts.google.com", &google::PRESET),
    ("*.okta.com", &okta::PRESET),
    ("*.oktapreview.com", &okta::PRESET),
    ("*.okta-emea.com", &okta::PRESET),
    ("*.okta-gov.com", &okta::PRESET),
];

/// The preset of the provider whose issuer this is, or nothing.
pub(super) fn of_issuer(issuer: &Issuer) -> Option<&'static Preset> {
    let url = issuer.as_url();
    let host = url.host_str().unwrap_or_default();
    let is = |known: &str| match known.split_once('*') {
        None => host == known,
        Some((before, after)) => {
            let rest = host
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            rest.is_some_and(|name| !name.is_empty())
        }
    };
    let by_host = HOSTS.iter().find(|(known, _)| is(known));
    let by_path = || {
        // A realm is an issuer at whatever host, and nobody else's issuers look like that.
        let mut segments = url.path_segments()?;
        segments
            .any(|segment| segment == "realms")
            .then_some(&keycloak::PRESET)
    };
    by_host.map(|(_, preset)| *preset).or_else(by_path)
}
