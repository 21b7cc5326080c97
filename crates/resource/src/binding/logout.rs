//! Logout tokens of an issuer (OpenID Connect Back-Channel Logout 1.0): it says
//! that a session has ended, and from then on its access tokens are revoked.
//!
//! Not responsible for receiving them: an endpoint takes the `logout_token` of
//! the form that the issuer posts and hands it in. Nothing is remembered of a
//! token that was taken, because taking it again revokes nothing more.

use std::time::Duration;

use countersign_jose::{Claims, Timestamp, Unverified};
use countersign_oauth::text::printable;

use super::Revocation;
use crate::validator::knows;
use crate::{Rejection, Validator};

/// The member of `events` that makes a token a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How old a logout token may be. Issuers send them at once, and some try again.
const AGE: Duration = Duration::from_secs(10 * 60);

/// A token that is meant to end a session; so that it is passed for no other.
struct LogoutToken;

/// Whom a logout token is about.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Session(String),
    Subject(String),
}

impl Validator {
    /// Takes a logout token (section 2.6): revokes the session that it names,
    /// or, when it names none, every token that its subject got until then.
    ///
    /// `client_id` is the one under which the issuer knows who receives logout
    /// tokens here; they are for it and not for the API.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] that says which rule the token breaks (the endpoint
    /// answers 400), or [`Rejection::StateUnavailable`]: then nothing is revoked,
    /// and the issuer has to be told so.
    pub async fn log_out(&self, logout_token: &str, client_id: &str) -> Result<(), Rejection> {
        let token = Unverified::<LogoutToken>::parse(logout_token).map_err(Rejection::of_token)?;
        let header = token.header();
        // Many issuers leave the type out; what it is, `events` says as well.
        let typ = header.typ().unwrap_or("JWT");
        if !header.is_type("logout+jwt") && !typ.eq_ignore_ascii_case("JWT") {
            return Err(Rejection::WrongType {
                found: printable(typ),
            });
        }
        let issuer = token.unverified_issuer().map_err(Rejection::of_token)?;
        let (_, trusted) = self.trusted(issuer)?;
        let keys = trusted
            .keys
            .holding(header.kid(), |keys| knows(keys, header));
        let keys = keys.await?;
        let claims = token
            .verify(&keys, &trusted.algorithms)
            .map_err(Rejection::of_token)?;
        let (binding, now) = self.binding();
        let leeway = trusted.rules.leeway;
        let (ended, issued_at) = read(&claims, client_id, leeway, now)?;
        let issuer = &trusted.rules.issuer;
        let revocation = match &ended {
            Ended::Session(sid) => Revocation::session(issuer, sid),
            Ended::Subject(sub) => Revocation::subject(issuer, sub, issued_at),
        };
        let noted = binding.revoke(&revocation, now).await;
        noted.map_err(|_| Rejection::StateUnavailable {
            retry_after: super::STATE_RETRY,
        })
    }
}

/// The rules of section 2.6, but for the signature and the issuer.
fn read(
    claims: &Claims,
    client_id: &str,
    leeway: Duration,
    now: Timestamp,
) -> Result<(Ended, Timestamp), Rejection> {
    let date = |name| match claims.numeric_date(name) {
        Ok(Some(date)) => Ok(date),
        Ok(None) => Err(Rejection::MissingClaim(name)),
        Err(_) => Err(Rejection::MalformedClaim(name)),
    };
    let text = |name| match claims.str(name) {
        Ok(Some("")) | Err(_) => Err(Rejection::MalformedClaim(name)),
        Ok(text) => Ok(text.map(str::to_owned)),
    };
    let audiences = claims.string_or_array("aud");
    let audiences = audiences.map_err(|_| Rejection::MalformedClaim("aud"))?;
    if !audiences.contains(&client_id) {
        return Err(Rejection::WrongAudience {
            expected: vec![client_id.to_owned()],
            found: audiences.into_iter().map(printable).collect(),
        });
    }
    let (issued_at, expires_at) = (date("iat")?, date("exp")?);
    if issued_at > now + leeway {
        return Err(Rejection::IssuedInFuture {
            ahead: issued_at.since(now),
        });
    }
    let end = expires_at.min(issued_at + AGE);
    if end <= now - leeway {
        return Err(Rejection::Expired {
            ago: now.since(end),
        });
    }
    // An ID token has a nonce, and must not end anything (section 2.4).
    if claims.contains("nonce") {
        return Err(Rejection::OtherKind("nonce"));
    }
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(serde_json::Value::is_object) {
        return Err(Rejection::OtherKind("events"));
    }
    text("jti")?.ok_or(Rejection::MissingClaim("jti"))?;
    let ended = match (text("sid")?, text("sub")?) {
        (Some(sid), _) => Ended::Session(sid),
        (None, Some(sub)) => Ended::Subject(sub),
        (None, None) => return Err(Rejection::MissingClaim("sub")),
    };
    Ok((ended, issued_at))
}
