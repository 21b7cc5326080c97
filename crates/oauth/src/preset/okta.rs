//! Okta, in two forms: the organisation's own authorization server, whose access tokens only Okta can
//! read, and custom authorization servers, whose access tokens are for APIs.

use super::meaning::Rule;
use super::parts::{PartName, PartUse, Parts, PartsError};
use super::quirks::{
    AccessTokenForm, ApiChoice, EndSession, OtherApi, PROPOSED_PORTS, Quirks, Redirect,
    RedirectPorts,
};
use super::{Flows, IssuerForm, Offer, Preset};
use crate::AssertionAudience;

pub(super) static PRESET: Preset = Preset {
    name: "okta",
    title: "Okta",
    parts: &[
        PartUse::optional(
            PartName::Org,
            "the organisation",
            "acme",
            "the host is asked for",
        ),
        PartUse::optional(
            PartName::Server,
            "the id of a custom authorization server",
            "default",
            "the organisation's own server is used, whose access tokens only Okta can read",
        ),
        PartUse::optional(
            PartName::Host,
            "the custom domain",
            "login.example.com",
            "the organisation's domain below okta.com is used",
        ),
    ],
    scopes: &["openid", "profile", "email", "offline_access"],
    flows: Flows {
        device: Offer::Yes,
        code: Offer::Yes,
        client_credentials: Offer::If("as an API service application"),
    },
    quirks: Quirks {
        redirect: Redirect::new(
            "127.0.0.1",
            "/callback",
            RedirectPorts::Registered(PROPOSED_PORTS),
        ),
        api: ApiChoice::AtServer,
        other_api: OtherApi::No(
            "An Okta authorization server has one audience; sign in at the other server, under a \
             profile of its own.",
        ),
        end_session: EndSession::ByPerson(
            "Okta wants the ID token in the address; sign out on its dashboard instead.",
        ),
        access_token: AccessTokenForm::Jwt,
        assertion_audience: AssertionAudience::Endpoint,
        offline_access_needs_consent: false,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Of(form_issuer),
    rules: RULES,
};

fn form_issuer(parts: &Parts) -> Result<String, PartsError> {
    let host = match parts.host()? {
        Some(host) => host.to_owned(),
        None => domain(parts.required(&PRESET, PartName::Org)?)?,
    };
    match parts.get(PartName::Server) {
        None => Ok(format!("https://{host}")),
        Some(server) => {
            let why = "give the id of the authorization server, as default";
            let server = Parts::word(PartName::Server, server, "_", why)?;
            Ok(format!("https://{host}/oauth2/{server}"))
        }
    }
}

/// Preview and EMEA organisations have other endings, which people paste as a whole.
fn domain(org: &str) -> Result<String, PartsError> {
    let org = Parts::word(PartName::Org, org, ".", "give the organisation, as acme")?;
    Ok(match org.split_once('.') {
        Some(_) => org.to_owned(),
        None => format!("{org}.okta.com"),
    })
}

const RULES: &[Rule] = &[
    Rule::both(
        "unauthorized_client",
        "grant type",
        "This application is not allowed to use this grant.",
        "In the application's General tab, edit Grant type and tick Device Authorization, Authorization Code and Refresh Token.",
    )
    .other_flow(),
    Rule::both(
        "access_denied",
        "policy evaluation failed",
        "No access policy of the authorization server allows this sign-in.",
        "In Security, API, open the server's Access Policies and add a rule for this application with the grant and the scopes.",
    ),
    Rule::both(
        "access_denied",
        "not assigned",
        "You are not assigned to this application.",
        "Ask the administrator to assign you, or your group, to the application.",
    ),
    Rule::both(
        "access_denied",
        "no_matching_policy",
        "No access policy of the authorization server allows this sign-in.",
        "In Security, API, open the server's Access Policies and add a rule for this application with the grant and the scopes.",
    ),
    Rule::code(
        "no_matching_policy",
        "No access policy of the authorization server allows this sign-in.",
        "In Security, API, open the server's Access Policies and add a rule for this application with the grant and the scopes.",
    ),
    Rule::both(
        "invalid_scope",
        "not configured",
        "The authorization server does not have one of the scopes.",
        "Ask for fewer scopes, or add them in the server's Scopes tab.",
    ),
    Rule::both(
        "invalid_client",
        "client_id",
        "Okta does not know this client id at this organisation.",
        "Check the client id and the organisation.",
    ),
    Rule::both(
        "invalid_client",
        "client authentication",
        "Okta expects this application to prove who it is.",
        "Set Client authentication to None, with PKCE required: a native application has no secret.",
    ),
    Rule::code(
        "E0000006",
        "Okta does not allow this.",
        "Ask the administrator of the organisation.",
    ),
    Rule::code(
        "E0000022",
        "This organisation does not have this way of signing in.",
        "Sign in another way, or ask the administrator to switch the feature on.",
    )
    .other_flow(),
    Rule::code(
        "E0000047",
        "Too many requests were made to this organisation.",
        "Wait a minute and sign in again.",
    ),
    Rule::both(
        "invalid_grant",
        "refresh token",
        "The session has ended at Okta.",
        "Sign in again.",
    ),
    Rule::says(
        "redirect_uri",
        "The redirect URI is not registered for this application.",
        "Add it to Sign-in redirect URIs, with the same host, port and path.",
    ),
];
