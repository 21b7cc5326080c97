//! Revocations, noted where every replica sees them.
//!
//! Not responsible for telling the authorization server, which goes on to issue tokens to whoever may
//! have them: end the grant there first.

use std::time::Duration;

use countersign_console::Problem;
use countersign_oauth::text::printable;
use countersign_resource::{Clock as _, Revocation, SystemClock};

use crate::config::Config;
use crate::live::Live;
use crate::metrics::Metrics;

/// What is not to be taken any more.
#[derive(Debug)]
pub enum Revoked<'a> {
    /// This one token.
    Token(&'a str),
    /// The token with this `jti`.
    JwtId(&'a str),
    /// Every token of this session (`sid`).
    Session(&'a str),
    /// Every token of this subject (`sub`) that was issued until now.
    Subject(&'a str),
}

/// Notes a revocation in the shared state of a configuration, for `time`, which has to be longer than
/// access tokens live. What is said then is returned.
///
/// # Errors
///
/// When there is no shared state, or it cannot be asked: nothing is revoked then.
pub async fn revoke(
    config: Config,
    issuer: Option<&str>,
    revoked: &Revoked<'_>,
    time: Duration,
) -> Result<String, Problem> {
    if config.state.shared.is_none() {
        return Err(
            Problem::new("a running gateway with a memory of its own cannot be told")
                .hint("share it: [state] url = \"rediss://gateway@cache.example.com\""),
        );
    }
    let issuer = match (issuer, config.issuers.as_slice()) {
        (Some(issuer), issuers) if issuers.iter().any(|known| known.url == issuer) => {
            issuer.to_owned()
        }
        (None, [only]) => only.url.clone(),
        (Some(issuer), _) => {
            return Err(Problem::new(format!(
                "no issuer of the configuration is {}",
                printable(issuer)
            )));
        }
        (None, _) => {
            return Err(
                Problem::new("the configuration has several issuers, or none")
                    .hint("say whose: --issuer URL"),
            );
        }
    };
    let live = Live::new(config, None, &Metrics::default())?;
    let now = SystemClock::default().now();
    let (revocation, what) = match revoked {
        Revoked::Token(token) => (Revocation::token(token), "this token".to_owned()),
        Revoked::JwtId(jti) => (
            Revocation::jwt_id(&issuer, jti),
            format!("the token {} of {issuer}", printable(jti)),
        ),
        Revoked::Session(sid) => (
            Revocation::session(&issuer, sid),
            format!("every token of the session {} at {issuer}", printable(sid)),
        ),
        Revoked::Subject(sub) => (
            Revocation::subject(&issuer, sub, now),
            format!(
                "every token that {} has got from {issuer} until now",
                printable(sub)
            ),
        ),
    };
    let Some(validator) = live.validator() else {
        return Err(Problem::new("the configuration takes no tokens"));
    };
    validator
        .revoke(&revocation.remember_until(now + time))
        .await
        .map_err(|error| {
            Problem::new("NOTHING IS REVOKED: it could not be noted").because(error)
        })?;
    Ok(format!("revoked: {what}\n"))
}
