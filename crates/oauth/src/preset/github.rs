//! GitHub, which is not an OpenID provider: no metadata, no ID token, errors under status 200. Who it
//! was says its API.

use url::Url;

use super::meaning::Rule;
use super::parts::{PartName, PartUse, Parts, PartsError};
use super::quirks::{
    AccessTokenForm, ApiChoice, IdentitySource, MetadataSource, OtherApi, Quirks, Redirect,
    RedirectPorts, RefreshTokens, Revocation, ScopeSeparator, SecretUse, UserClaims,
};
use super::{Flows, IssuerForm, Offer, Preset};
use crate::{Issuer, Metadata};

pub(super) static PRESET: Preset = Preset {
    name: "github",
    title: "GitHub",
    parts: &[PartUse::optional(
        PartName::Host,
        "the host of your own GitHub",
        "github.example.com",
        "github.com is used",
    )],
    scopes: &["read:user", "user:email"],
    flows: Flows {
        device: Offer::If("once Device Flow is switched on for the app"),
        code: Offer::If("with the app's client secret, which GitHub asks of every app"),
        client_credentials: Offer::No("GitHub has installation tokens instead"),
    },
    quirks: Quirks {
        groups_claim: None,
        metadata: MetadataSource::Static(metadata),
        identity: IdentitySource::Api(UserClaims::new("id", "login", "name", "email")),
        secret: SecretUse::ForCodeOnly,
        redirect: Redirect::new("127.0.0.1", "/callback", RedirectPorts::Any),
        refresh: RefreshTokens::Always,
        another_account: "select_account",
        api: ApiChoice::None,
        other_api: OtherApi::No(
            "GitHub's access tokens are for its own API; what they may do there, the scopes of the \
             login say.",
        ),
        access_token: AccessTokenForm::Opaque,
        revocation: Revocation::ByPerson(
            "GitHub keeps the authorization until you revoke it under Settings, Applications.",
        ),
        scope_separator: ScopeSeparator::Comma,
        verification_uri_complete: false,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Of(form_issuer),
    rules: RULES,
};

fn form_issuer(parts: &Parts) -> Result<String, PartsError> {
    let host = parts.host()?.unwrap_or("github.com");
    Ok(format!("https://{host}"))
}

/// The endpoints, which GitHub documents and does not publish. The API of github.com and of the
/// subdomains of ghe.com has a host of its own, that of a server of your own a path.
fn metadata(issuer: &Issuer) -> Option<Metadata> {
    let base = issuer.as_str().trim_end_matches('/');
    let at = |path: &str| Url::parse(&format!("{base}{path}")).ok();
    let host = issuer.as_url().host_str().unwrap_or_default();
    let cloud = host == "github.com" || host.ends_with(".ghe.com");
    let api = if cloud {
        Url::parse(&format!("https://api.{host}/user")).ok()
    } else {
        at("/api/v3/user")
    };
    let mut metadata = Metadata::new(issuer.clone());
    metadata.authorization_endpoint = Some(at("/login/oauth/authorize")?);
    metadata.token_endpoint = Some(at("/login/oauth/access_token")?);
    metadata.device_authorization_endpoint = Some(at("/login/device/code")?);
    metadata.userinfo_endpoint = api;
    // The secret has its place in the form, says the documentation, and mentions no other.
    metadata.token_endpoint_auth_methods_supported = Some(vec!["client_secret_post".to_owned()]);
    metadata.code_challenge_methods_supported = Some(vec!["S256".to_owned()]);
    Some(metadata)
}

const RULES: &[Rule] = &[
    Rule::code(
        "device_flow_disabled",
        "Device Flow is switched off for this app.",
        "In the app's settings, tick Enable Device Flow.",
    )
    .other_flow(),
    Rule::code(
        "incorrect_client_credentials",
        "GitHub does not know this client id, or the secret is not the app's.",
        "Check the client id, and the file that `client_secret_file` names if there is one.",
    ),
    Rule::code(
        "bad_verification_code",
        "The code is not good any more.",
        "Sign in again; a code works once and for ten minutes.",
    ),
    Rule::code(
        "incorrect_device_code",
        "GitHub does not know this sign-in any more.",
        "Sign in again.",
    ),
    Rule::code(
        "redirect_uri_mismatch",
        "The redirect URI does not fit the app's callback URL.",
        "Set the app's callback URL to http://127.0.0.1/callback; the port does not matter.",
    ),
    Rule::code(
        "application_suspended",
        "GitHub has suspended this app.",
        "Ask its owner.",
    ),
    Rule::code(
        "unverified_user_email",
        "Your GitHub account has no verified mail address.",
        "Verify it in GitHub's settings under Emails, then sign in again.",
    ),
    Rule::code(
        "bad_refresh_token",
        "The session has ended at GitHub.",
        "Sign in again.",
    ),
];
