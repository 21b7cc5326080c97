//! Auth0. Its issuer ends in a slash; its access tokens are opaque unless an API is named.

use super::meaning::Rule;
use super::parts::{PartName, PartUse, Parts, PartsError};
use super::quirks::{
    AccessTokenForm, ApiChoice, OtherApi, PROPOSED_PORTS, Quirks, Redirect, RedirectPorts,
    SecretUse,
};
use super::{Flows, IssuerForm, Offer, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "auth0",
    title: "Auth0",
    parts: &[
        PartUse::optional(
            PartName::Org,
            "the tenant, with its region if it has one",
            "acme.eu",
            "the host is asked for",
        ),
        PartUse::optional(
            PartName::Host,
            "the custom domain",
            "login.example.com",
            "the tenant's own domain is used",
        ),
    ],
    scopes: &["openid", "profile", "email", "offline_access"],
    flows: Flows {
        device: Offer::Yes,
        code: Offer::Yes,
        client_credentials: Offer::If("as a machine-to-machine application, for a named API"),
    },
    quirks: Quirks {
        groups_claim: None,
        secret: SecretUse::NotOnDeviceAuthorization,
        redirect: Redirect::new(
            "127.0.0.1",
            "/callback",
            RedirectPorts::Registered(PROPOSED_PORTS),
        ),
        api: ApiChoice::Audience,
        // Multi-resource refresh tokens, which have to be configured for the application.
        other_api: OtherApi::Audience,
        access_token: AccessTokenForm::JwtForNamedApi,
        offline_access_needs_consent: false,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Of(form_issuer),
    rules: RULES,
};

fn form_issuer(parts: &Parts) -> Result<String, PartsError> {
    if let Some(host) = parts.host()? {
        return Ok(format!("https://{host}/"));
    }
    let org = parts.required(&PRESET, PartName::Org)?;
    let org = org.strip_suffix(".auth0.com").unwrap_or(org);
    let why = "give the tenant, as acme or acme.eu";
    let org = Parts::word(PartName::Org, org, ".", why)?;
    Ok(format!("https://{org}.auth0.com/"))
}

const RULES: &[Rule] = &[
    Rule::both(
        "unauthorized_client",
        "device_code",
        "This application is not allowed to use the device grant.",
        "In the application's settings, open Advanced Settings, Grant Types, and switch on Device Code.",
    )
    .other_flow(),
    Rule::both(
        "unauthorized_client",
        "not allowed for the client",
        "This application is not allowed to use this grant.",
        "In the application's settings, open Advanced Settings, Grant Types, and switch it on.",
    )
    .other_flow(),
    Rule::both(
        "unauthorized_client",
        "unknown client",
        "Auth0 does not know this client id at this tenant.",
        "Check the client id and the tenant.",
    ),
    Rule::says(
        "service not found",
        "Auth0 does not know the audience.",
        "Give the audience exactly as the API's identifier in Applications, APIs.",
    ),
    Rule::says(
        "not authorized to access resource server",
        "This application may not have tokens for that API.",
        "In the API's settings, open Application Access and allow this application.",
    ),
    Rule::both(
        "invalid_request",
        "callback url mismatch",
        "The redirect URI is not registered for this application.",
        "Add it to Allowed Callback URLs, with the same host, port and path.",
    ),
    Rule::says(
        "unknown or invalid refresh token",
        "The session has ended at Auth0.",
        "Sign in again.",
    ),
    Rule::code(
        "too_many_attempts",
        "Auth0 has blocked the account after too many attempts.",
        "Follow the mail that Auth0 has sent, or ask the administrator.",
    ),
    Rule::code(
        "mfa_required",
        "Auth0 asks for a second factor, which this way of signing in cannot show.",
        "Sign in again with the browser.",
    )
    .other_flow(),
];
