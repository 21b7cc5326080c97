//! Google. Every client has a secret that is none, there is one kind of client for each flow, and
//! refresh tokens come by parameters of their own.

use super::meaning::Rule;
use super::quirks::{
    AccessTokenForm, ApiChoice, OtherApi, Quirks, Redirect, RedirectPorts, RefreshTokens, SecretUse,
};
use super::{Flows, IssuerForm, Offer, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "google",
    title: "Google",
    parts: &[],
    scopes: &["openid", "profile", "email"],
    flows: Flows {
        device: Offer::If("with a client of the type TVs and Limited Input devices"),
        code: Offer::If("with a client of the type Desktop app"),
        client_credentials: Offer::No("Google has service accounts instead"),
    },
    quirks: Quirks {
        groups_claim: None,
        secret: SecretUse::OfInstalledApplication,
        redirect: Redirect::new("127.0.0.1", "", RedirectPorts::AnyUnregistered),
        refresh: RefreshTokens::Parameters(&[("access_type", "offline"), ("prompt", "consent")]),
        // It knows no `login`, and without `consent` there is no refresh token.
        another_account: "consent select_account",
        api: ApiChoice::None,
        other_api: OtherApi::No(
            "Google's access tokens are for its own APIs; which of them, the scopes of the login say.",
        ),
        access_token: AccessTokenForm::Opaque,
        verification_uri_complete: false,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Fixed("https://accounts.google.com"),
    rules: RULES,
};

const RULES: &[Rule] = &[
    Rule::both(
        "invalid_client",
        "client type",
        "This client is of another type than the way of signing in needs.",
        "Use a client of the type TVs and Limited Input devices for the device grant, Desktop app for the browser.",
    )
    .other_flow(),
    Rule::both(
        "invalid_client",
        "limited",
        "This client is of another type than the way of signing in needs.",
        "Use a client of the type TVs and Limited Input devices for the device grant, Desktop app for the browser.",
    )
    .other_flow(),
    Rule::both(
        "invalid_request",
        "client_secret is missing",
        "Google asks for the client secret, also of a program that cannot keep one.",
        "Save the secret of the client in a file and name it as `client_secret_file`.",
    ),
    Rule::code(
        "invalid_client",
        "Google does not know this client, or the secret is not the client's.",
        "Check the client id, and the file that `client_secret_file` names.",
    ),
    Rule::code(
        "invalid_scope",
        "Google does not allow one of the scopes here.",
        "Ask for openid, profile and email only. Google does not have offline_access, and the device grant has few scopes.",
    ),
    Rule::code(
        "org_internal",
        "This application is for accounts of its own organisation only.",
        "Sign in with an account of that organisation.",
    ),
    Rule::code(
        "admin_policy_enforced",
        "An administrator does not allow your account to use this application.",
        "Ask the administrator of your Google Workspace to allow it.",
    ),
    Rule::code(
        "rate_limit_exceeded",
        "Google has given out too many codes for this client.",
        "Wait and sign in again.",
    ),
    Rule::code(
        "redirect_uri_mismatch",
        "The redirect URI does not fit this client.",
        "Use a client of the type Desktop app, which may come back to any port of this computer.",
    ),
    Rule::both(
        "invalid_grant",
        "expired or revoked",
        "The session has ended at Google.",
        "Sign in again. While the consent screen is in testing, Google ends every session after seven days.",
    ),
];
