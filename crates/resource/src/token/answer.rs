//! An access token of which only its issuer can say what it means (RFC 7662).
//!
//! `active` alone is not enough: the answer is about whatever string was asked
//! about, and a refresh token, an ID token or a token for another API can be as
//! active as ours.

use countersign_jose::jws::MAX_TOKEN_LEN;
use countersign_jose::{self as jose, Claims, Part, Timestamp, json};
use countersign_oauth::Introspection;

use super::{AccessToken, Confirmation, Rules, check_scope, date, required};
use crate::Rejection;
use crate::profile::{ANSWER, Scope};

/// Names of an access token's kind, as `token_type` and `token_use` have them at
/// one server or another.
const ACCESS_TOKENS: [&str; 4] = ["Bearer", "DPoP", "access_token", "access"];

/// Values of a claim `typ` that tell other tokens of Keycloak from its access
/// tokens.
const OTHER_TYPES: [&str; 4] = ["ID", "Refresh", "Offline", "Logout"];

impl Rules {
    /// Makes an access token of what its issuer says about it, or says which
    /// rule that breaks.
    pub(crate) fn check_answer(
        &self,
        answer: &Introspection,
        now: Timestamp,
    ) -> Result<AccessToken, Rejection> {
        if !answer.active {
            return Err(Rejection::Revoked);
        }
        let claims = claims_of(answer)?;
        // It may be left out: it was this issuer that we asked.
        if claims.contains("iss") {
            let issuer = required(&claims, "iss")?;
            if issuer != &*self.issuer {
                return Err(self.wrong_issuer(issuer));
            }
        }
        let confirmation = Confirmation::read(&claims);
        check_kind(&claims, confirmation.as_ref())?;
        self.check_named_audience(&claims)?;
        let expires_at = self.check_end(&claims, now)?;
        self.check_beginning(&claims, now)?;
        required(&claims, "sub")?;
        check_scope(&claims, Scope::Text("scope"))?;
        for claim in ["acr", "sid", "jti", "client_id"] {
            claims
                .str(claim)
                .map_err(|_| Rejection::MalformedClaim(claim))?;
        }
        Ok(AccessToken {
            issuer: Some(std::sync::Arc::clone(&self.issuer)),
            shape: &ANSWER,
            // What does not say when it was issued counts as old.
            issued_at: date(&claims, "iat")?.unwrap_or(Timestamp::UNIX_EPOCH),
            expires_at,
            auth_time: date(&claims, "auth_time")?,
            confirmation: confirmation.map(Box::new),
            claims,
        })
    }
}

impl AccessToken {
    /// Whether its issuer was asked what it means.
    pub(crate) fn was_introspected(&self) -> bool {
        self.shape.is_answer
    }
}

/// The answer as claims, so that policies find in it what they find in a JWT.
fn claims_of(answer: &Introspection) -> Result<Claims, Rejection> {
    let text = serde_json::to_vec(answer).unwrap_or_default();
    json::parse(&text, MAX_TOKEN_LEN).map_err(|source| {
        Rejection::MalformedToken(jose::Error::Json {
            part: Part::Payload,
            source,
        })
    })
}

/// That it is an access token, as far as the answer says what it is.
fn check_kind(claims: &Claims, confirmation: Option<&Confirmation>) -> Result<(), Rejection> {
    let text = |claim| {
        claims
            .str(claim)
            .map_err(|_| Rejection::MalformedClaim(claim))
    };
    let among = |names: &[&str], found: &str| names.iter().any(|n| n.eq_ignore_ascii_case(found));
    for claim in ["token_type", "token_use"] {
        if text(claim)?.is_some_and(|kind| !among(&ACCESS_TOKENS, kind)) {
            return Err(Rejection::OtherKind(claim));
        }
    }
    if text("typ")?.is_some_and(|kind| among(&OTHER_TYPES, kind)) {
        return Err(Rejection::OtherKind("typ"));
    }
    // RFC 9449, section 6.2: such a token comes with the key it is bound to.
    let says_dpop = text("token_type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
    let is_bound = confirmation.is_some_and(|cnf| cnf.dpop_key.is_some());
    if says_dpop && !is_bound {
        return Err(Rejection::MissingClaim("cnf"));
    }
    Ok(())
}
