//! What to do about an error.

use super::{Endpoint, Error, PeerMisbehaved, Refusal};
use crate::id_token::IdTokenError;
use crate::{ErrorCode, TransportError};

pub(super) fn of(error: &Error) -> Vec<String> {
    match error {
        Error::PeerMisbehaved { endpoint, what } => misbehaved(*endpoint, what),
        Error::IdToken(error) => id_token(error),
        Error::Keys(_) => vec![
            "the server's key set is at fault; show its administrator the address and this message"
                .to_owned(),
        ],
        Error::Refused(refusal) => refused(refusal),
        Error::AccessDenied(_) => vec![
            "sign in again and approve on the page, with an account that may use this application"
                .to_owned(),
        ],
        Error::DeviceCodeExpired { last_problem } => {
            let mut hints = last_problem.as_deref().map(of).unwrap_or_default();
            hints.push("sign in again and approve before the time shown runs out".to_owned());
            hints
        }
        Error::DeviceCodeUnknown(_) => {
            vec!["sign in again; a code works once, and only at the server that gave it".to_owned()]
        }
        Error::CodeRejected(_) => {
            vec!["sign in again; a code works once, and for a minute or so".to_owned()]
        }
        Error::NotOurs(reason) => vec![reason.hint().to_owned()],
        Error::RefreshRejected(_) => vec!["sign in again".to_owned()],
        Error::Unavailable { retry_after, .. } => vec![match retry_after {
            Some(wait) => format!("try again in {} s", wait.as_secs()),
            None => "try again in a moment".to_owned(),
        }],
        Error::Transport { source, .. } => transport(source),
        Error::NoMetadata { .. } => vec![
            "check the issuer: it is the address before /.well-known/openid-configuration"
                .to_owned(),
            "if the server publishes no metadata, configure its endpoints one by one".to_owned(),
        ],
        Error::EndpointMissing(endpoint) => missing(*endpoint),
        Error::InvalidIssuer(_) => {
            vec!["give the issuer as https://host or https://host/path".to_owned()]
        }
        Error::InsecureOverride { name, .. } => {
            vec![format!("configure `{name}` with an https address")]
        }
        Error::InvalidRedirectUri { .. } => vec![
            "give an address like http://127.0.0.1/callback, or the https address of a page that \
             shows the code"
                .to_owned(),
        ],
        Error::PublicClient => {
            vec!["configure the client's secret or key, or sign in as a person".to_owned()]
        }
        Error::DpopAlgorithm { .. } => vec!["sign in without DPoP".to_owned()],
        Error::Crypto(error) => error.hints(),
        Error::Misuse(_) => vec!["this is a bug of the program; please report it".to_owned()],
    }
}

fn misbehaved(endpoint: Endpoint, what: &PeerMisbehaved) -> Vec<String> {
    let ask = || format!("ask the administrator of the server about its {endpoint} endpoint");
    match what {
        PeerMisbehaved::Html {
            status: 404 | 405 | 410,
        } => {
            vec![format!("check the address of the {endpoint} endpoint")]
        }
        PeerMisbehaved::Html { .. } | PeerMisbehaved::Redirect { .. } => vec![
            "a proxy or a network sign-in page may have answered instead of the server".to_owned(),
            "check the issuer, and the proxy settings (HTTPS_PROXY, NO_PROXY)".to_owned(),
        ],
        PeerMisbehaved::IssuerMismatch { received, .. } => vec![
            format!("if you trust it, use the issuer exactly as the server writes it: {received}"),
            "a trailing slash makes another issuer".to_owned(),
        ],
        PeerMisbehaved::InsecureUrl { .. } => {
            vec!["the server must publish https addresses only".to_owned()]
        }
        PeerMisbehaved::MixedUp { .. } => vec![
            "do not trust this answer: another server may be trying to take over the sign-in"
                .to_owned(),
            "sign in again, and watch which server the browser shows".to_owned(),
        ],
        PeerMisbehaved::TokenNotBound => {
            vec![
                "the server, or its policy for this API, does not support DPoP; sign in without"
                    .to_owned(),
            ]
        }
        PeerMisbehaved::OtherAudience { .. } => vec![
            "ask the administrator to allow this application the API; until then, sign in for it \
             under a profile of its own"
                .to_owned(),
        ],
        PeerMisbehaved::SubjectMismatch => vec![
            "do not trust this answer; sign out and sign in again".to_owned(),
            ask(),
        ],
        _ => vec![ask()],
    }
}

fn refused(refusal: &Refusal) -> Vec<String> {
    let device = refusal.endpoint == Endpoint::DeviceAuthorization;
    let hints: &[&str] = match &refusal.code {
        Some(ErrorCode::UnauthorizedClient) if device => &[
            "this application may not be allowed to use the device grant",
            "ask the administrator to enable it for this client, or use another flow",
        ],
        Some(ErrorCode::UnauthorizedClient | ErrorCode::UnsupportedGrantType) => {
            &["ask the administrator to enable this grant for this client, or use another flow"]
        }
        Some(ErrorCode::InvalidClient) => &[
            "check the client id, and that it belongs to this issuer",
            "a command-line program is a public client: registered without a secret \
             (token_endpoint_auth_method none), and configured without one here",
        ],
        Some(ErrorCode::InvalidScope) => {
            &["ask for fewer scopes, or have them enabled for this client"]
        }
        Some(ErrorCode::InvalidTarget) => {
            &["check the audience or resource: the server must know it"]
        }
        Some(
            ErrorCode::LoginRequired
            | ErrorCode::InteractionRequired
            | ErrorCode::AccountSelectionRequired
            | ErrorCode::ConsentRequired,
        ) => &["the server needs to show a page: sign in without `prompt=none`"],
        Some(ErrorCode::InvalidRequestUri) => {
            &["sign in again, and open the page at once: the server forgets it after a while"]
        }
        Some(ErrorCode::UnmetAuthenticationRequirements) => {
            &["this account cannot authenticate as was asked for (acr_values)"]
        }
        Some(ErrorCode::InvalidDpopProof) => &[
            "if the sign-in was without DPoP, this client or API must be used with it",
            "otherwise check the date and time of this machine (and the server's)",
        ],
        Some(ErrorCode::InvalidToken) => &["sign in again"],
        Some(ErrorCode::InsufficientScope) => &["sign in again with the scope that is needed"],
        None if matches!(refusal.status, 404 | 405 | 410) => {
            &["check the issuer and the addresses of its endpoints"]
        }
        None if device => &["the server may not offer the device grant, or not to this client"],
        None if refusal.endpoint == Endpoint::Token => &[
            "the server gave no reason; it may not offer this grant, or not know the code any more",
            "sign in again; if that fails too, ask the administrator of the server",
        ],
        _ => &["show the server's answer to its administrator"],
    };
    hints.iter().map(|&hint| hint.to_owned()).collect()
}

fn missing(endpoint: Endpoint) -> Vec<String> {
    let what = match endpoint {
        Endpoint::DeviceAuthorization => {
            "the server does not offer the device grant, or does not say so; use another flow"
        }
        Endpoint::Authorization => {
            "the server does not offer sign-in in a browser, or does not say so; use another flow"
        }
        Endpoint::PushedAuthorization => {
            "the server does not say where to push the request, and it is to be pushed"
        }
        Endpoint::Revocation => "the server cannot revoke tokens, or does not say so",
        _ => "the server does not offer this, or does not say so",
    };
    vec![
        what.to_owned(),
        format!(
            "if it does, configure its address as `{}`",
            endpoint.metadata_name()
        ),
    ]
}

fn transport(error: &TransportError) -> Vec<String> {
    let hints: &[&str] = match error {
        TransportError::Timeout | TransportError::Closed => {
            &["check the network and try again in a moment"]
        }
        TransportError::Connect { .. } => &[
            "check the issuer's host name, the network, and the proxy settings (HTTPS_PROXY, NO_PROXY)",
        ],
        TransportError::Proxy { .. } => &["check HTTPS_PROXY, ALL_PROXY and NO_PROXY"],
        TransportError::Tls { .. } => &[
            "if the company has its own certificate authority, add it (SSL_CERT_FILE)",
            "check the date and time of this machine",
        ],
        TransportError::Redirect { .. } => &[
            "a proxy or a network sign-in page may have answered instead of the server",
            "check the issuer: redirects are not followed where credentials are sent",
        ],
        TransportError::Malformed { .. } | TransportError::TooLarge => {
            &["check that the address belongs to an authorization server"]
        }
        TransportError::Interrupted => &[],
    };
    hints.iter().map(|&hint| hint.to_owned()).collect()
}

fn id_token(error: &IdTokenError) -> Vec<String> {
    let clock = "check the date and time of this machine (and the server's)";
    let hints: &[&str] = match error {
        IdTokenError::Expired { .. }
        | IdTokenError::NotYetValid { .. }
        | IdTokenError::IssuedInFuture { .. } => &[clock],
        IdTokenError::UntrustedAudience { .. } => {
            &["if the extra audience is expected, configure it as a trusted audience"]
        }
        IdTokenError::Audience { .. } => {
            &["check the client id: the token was made for another client"]
        }
        IdTokenError::AuthenticationTooOld { .. } | IdTokenError::Acr { .. } => {
            &["sign in again; the server did not authenticate the person as asked"]
        }
        _ => &["do not use this session; ask the administrator of the server"],
    };
    hints.iter().map(|&hint| hint.to_owned()).collect()
}
