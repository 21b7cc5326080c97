//! Keycloak. A realm is an issuer; the device grant is off for a new client.

use super::meaning::Rule;
use super::parts::{PartName, PartUse, Parts, PartsError};
use super::quirks::{
    AccessTokenForm, ApiChoice, DevicePkce, OtherApi, Quirks, Redirect, RedirectPorts,
};
use super::{Flows, IssuerForm, Offer, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "keycloak",
    title: "Keycloak",
    parts: &[
        PartUse::required(
            PartName::Host,
            "the host name, with /auth behind it for releases before 17",
            "sso.example.com",
        ),
        PartUse::required(PartName::Server, "the realm", "acme"),
    ],
    scopes: &["openid", "profile", "email", "offline_access"],
    flows: Flows {
        device: Offer::Yes,
        code: Offer::Yes,
        client_credentials: Offer::If(
            "with client authentication and service accounts switched on",
        ),
    },
    quirks: Quirks {
        redirect: Redirect::new("127.0.0.1", "/callback", RedirectPorts::Any),
        api: ApiChoice::AtServer,
        other_api: OtherApi::No(
            "Keycloak puts the audiences of a client into all of its tokens; have the audience \
             mapped for this client, or exchange the token.",
        ),
        access_token: AccessTokenForm::Jwt,
        offline_access_needs_consent: false,
        device_pkce: DevicePkce::Taken,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Of(form_issuer),
    rules: RULES,
};

fn form_issuer(parts: &Parts) -> Result<String, PartsError> {
    parts.required(&PRESET, PartName::Host)?;
    let host = parts.host()?.unwrap_or_default();
    let why = "give the name of the realm, as acme";
    let realm = parts.required(&PRESET, PartName::Server)?;
    let realm = Parts::word(PartName::Server, realm, "_.", why)?;
    Ok(format!("https://{host}/realms/{realm}"))
}

const RULES: &[Rule] = &[
    Rule::both(
        "unauthorized_client",
        "device authorization grant",
        "The device grant is switched off for this client.",
        "In the client's settings, under Capability config, tick OAuth 2.0 Device Authorization Grant.",
    )
    .other_flow(),
    Rule::both(
        "unauthorized_client",
        "standard flow is disabled",
        "The standard flow is switched off for this client.",
        "In the client's settings, under Capability config, tick Standard flow.",
    )
    .other_flow(),
    Rule::both(
        "unauthorized_client",
        "client credentials",
        "Keycloak does not know this client, or expects a secret of it.",
        "Check the client id, and switch Client authentication off for a command-line program.",
    ),
    Rule::both(
        "invalid_client",
        "client credentials",
        "Keycloak does not know this client, or expects a secret of it.",
        "Check the client id, and switch Client authentication off for a command-line program.",
    ),
    Rule::both(
        "invalid_request",
        "code_challenge",
        "This client must use PKCE in a way that this sign-in did not.",
        "Set the client's code challenge method to S256, or leave it unset.",
    )
    .other_flow(),
    Rule::says(
        "redirect_uri",
        "The redirect URI is not registered for this client.",
        "Add http://127.0.0.1/callback to Valid redirect URIs; the port does not matter.",
    ),
    Rule::code(
        "invalid_scope",
        "The client does not have one of the scopes.",
        "Add the scope to the client's Client scopes, or ask for fewer.",
    ),
    Rule::both(
        "invalid_grant",
        "session",
        "The session has ended at Keycloak.",
        "Sign in again.",
    ),
    Rule::both(
        "invalid_grant",
        "token",
        "The session has ended at Keycloak.",
        "Sign in again.",
    ),
    Rule::both(
        "not_allowed",
        "offline",
        "You may not have tokens that outlive the browser session.",
        "Ask the administrator for the role offline_access, or leave that scope out.",
    ),
    Rule::says(
        "account disabled",
        "Your account is disabled.",
        "Ask the administrator.",
    ),
    Rule::says(
        "account is not fully set up",
        "Your account has something left to set up.",
        "Sign in with the browser once, and do what the page asks.",
    )
    .other_flow(),
];
