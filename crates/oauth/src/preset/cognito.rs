//! Amazon Cognito user pools. There is no device grant, no scope for refresh tokens, and redirect URIs
//! are compared as a whole.

use super::meaning::Rule;
use super::parts::{PartName, PartUse, Parts, PartsError, malformed};
use super::quirks::{
    AccessTokenForm, ApiChoice, EndSession, OtherApi, PROPOSED_PORTS, Quirks, Redirect,
    RedirectPorts, RefreshTokens,
};
use super::{Flows, IssuerForm, Offer, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "cognito",
    title: "Amazon Cognito",
    parts: &[PartUse::required(
        PartName::Server,
        "the user pool ID, which begins with its region",
        "eu-central-1_AbCdEf123",
    )],
    scopes: &["openid", "profile", "email"],
    flows: Flows {
        device: Offer::No("Cognito does not have the device grant"),
        code: Offer::If("once the user pool has a domain"),
        client_credentials: Offer::If("with a client secret and a scope of a resource server"),
    },
    quirks: Quirks {
        groups_claim: Some("cognito:groups"),
        redirect: Redirect::new(
            "localhost",
            "/callback",
            RedirectPorts::Registered(PROPOSED_PORTS),
        ),
        refresh: RefreshTokens::Always,
        api: ApiChoice::Scope,
        other_api: OtherApi::No(
            "Cognito puts all scopes of the login into each token; sign in with the scopes of both.",
        ),
        end_session: EndSession::ByPerson(
            "Cognito ends a session only on the way to a registered address; close the browser, or \
             sign in as somebody else.",
        ),
        access_token: AccessTokenForm::JwtWithoutAudience,
        advertises_pkce: false,
        verification_uri_complete: false,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Of(form_issuer),
    rules: RULES,
};

fn form_issuer(parts: &Parts) -> Result<String, PartsError> {
    let why = "give the user pool ID, as eu-central-1_AbCdEf123";
    let pool = parts.required(&PRESET, PartName::Server)?;
    let pool = Parts::word(PartName::Server, pool, "_", why)?;
    let Some((region, id)) = pool.split_once('_') else {
        return Err(malformed(PartName::Server, pool, why));
    };
    if region.split('-').count() < 3 || id.is_empty() {
        return Err(malformed(PartName::Server, pool, why));
    }
    // The regions in China have a domain of their own.
    let ending = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Ok(format!("https://cognito-idp.{region}.{ending}/{pool}"))
}

const RULES: &[Rule] = &[
    Rule::code(
        "redirect_mismatch",
        "The redirect URI is not registered for this app client.",
        "Add it to Allowed callback URLs, with the same host, port and path.",
    ),
    Rule::code(
        "unauthorized_client",
        "This app client may not use the authorization code grant.",
        "In the app client's login pages, switch on Authorization code grant.",
    ),
    Rule::code(
        "invalid_client",
        "Cognito does not know this app client, or the app client has a secret.",
        "Check the client id. An app client for a command-line program is made without a secret; one cannot be taken away later.",
    ),
    Rule::code(
        "invalid_scope",
        "The app client does not have one of the scopes.",
        "Tick the scopes in the app client's login pages. Cognito does not have offline_access.",
    ),
    Rule::code(
        "invalid_grant",
        "The session, or the code of this sign-in, is not good any more.",
        "Sign in again.",
    ),
    Rule::both(
        "invalid_request",
        "pkce",
        "Cognito did not get the proof that belongs to the code.",
        "Sign in again; a code works once.",
    ),
];
