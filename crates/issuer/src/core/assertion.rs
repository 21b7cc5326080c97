//! Clients that sign: `private_key_jwt` (RFC 7523, section 3; `OpenID` Connect
//! Core 1.0, section 9).
//!
//! An assertion is for one audience, ours, and good once. That it was used is
//! stored until it has expired, and by the same transaction is decided who of
//! many was first: a restart gives nobody a second try.
//!
//! What is wrong with an assertion is told only when its signature was right,
//! so only to the holder of the key.

use std::time::Duration;

use countersign_jose::{
    Algorithm, Claims, CryptoProvider, Error as TokenError, KeySet, Timestamp, Unverified,
};
use countersign_oauth::Secret;

use super::limits::{Counter, Limited};
use super::{Core, Digest, Failure, Refusal};

/// The `client_assertion_type` of a JWT (RFC 7523, section 2.2).
pub const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The algorithms an assertion may be signed with: whichever its key allows.
pub const ASSERTION_ALGORITHMS: [Algorithm; 10] = Algorithm::ALL;

/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// How long an assertion may last: as long as it is remembered.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest `jti`, in bytes.
const LONGEST_JTI: usize = 256;
/// The types an assertion may have; most have none.
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// A `client_assertion`, and where it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assertion {
    pub(super) jwt: Secret,
    pub(super) token_endpoint: String,
}

/// An assertion whose signature and claims were right, and which may have been
/// used before.
struct Sound {
    jti: String,
    expires_at: Timestamp,
}

/// The client that an assertion says it is from, to look its keys up and for
/// nothing else.
pub(super) fn claimed_client(jwt: &str) -> Option<String> {
    let unverified = Unverified::<Claims>::parse(jwt).ok()?;
    unverified.unverified_issuer().ok().map(str::to_owned)
}

impl Core {
    /// Whether an assertion proves that this is the client; uses it up.
    pub(super) async fn accept_assertion(
        &self,
        client_id: &str,
        jwks: &str,
        assertion: &Assertion,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let audiences = [self.issuer.as_str(), &assertion.token_endpoint];
        let sound = check(assertion, client_id, jwks, audiences, self.provider, now)?;
        self.limiter
            .take([Counter::AssertionsOf(client_id.to_owned())], now)
            .map_err(|Limited { retry_after }| Refusal::Busy { retry_after })?;
        let id: Digest = self.digest(&format!("{client_id}\0{}", sound.jti));
        let until = sound.expires_at + LEEWAY;
        let first = self
            .store
            .write(move |records| records.use_assertion(&id, until))
            .await?;
        if first {
            Ok(())
        } else {
            Err(Refusal::InvalidAssertion("the client assertion was used before").into())
        }
    }
}

fn check(
    assertion: &Assertion,
    client_id: &str,
    jwks: &str,
    audiences: [&str; 2],
    provider: &'static CryptoProvider,
    now: Timestamp,
) -> Result<Sound, Refusal> {
    let unproven = |_: TokenError| Refusal::InvalidClient;
    let keys = KeySet::from_json(jwks.as_bytes(), provider).map_err(unproven)?;
    let unverified = Unverified::<Claims>::parse(assertion.jwt.expose()).map_err(unproven)?;
    let claims = unverified
        .verify(&keys, &ASSERTION_ALGORITHMS)
        .map_err(unproven)?;
    let header = unverified.header();
    if header.typ().is_some() && !TYPES.iter().any(|typ| header.is_type(typ)) {
        // Signed by the client's key, but to say something else.
        return Err(Refusal::InvalidAssertion(
            "the typ of the client assertion is another one",
        ));
    }
    let malformed =
        |_: TokenError| Refusal::InvalidAssertion("a claim of the client assertion is malformed");
    let iss = claims.str("iss").map_err(malformed)?;
    let sub = claims.str("sub").map_err(malformed)?;
    if iss != Some(client_id) || sub != Some(client_id) {
        return Err(Refusal::InvalidAssertion(
            "iss and sub of the client assertion have to be the client_id",
        ));
    }
    // One audience alone: what is good elsewhere as well could be sent here by
    // whoever got it there.
    match claims.string_or_array("aud").map_err(malformed)?.as_slice() {
        [audience] if audiences.contains(audience) => {}
        _ => {
            return Err(Refusal::InvalidAssertion(
                "aud of the client assertion has to be this issuer alone",
            ));
        }
    }
    let jti = claims.str("jti").map_err(malformed)?.unwrap_or_default();
    if !(1..=LONGEST_JTI).contains(&jti.len()) {
        return Err(Refusal::InvalidAssertion(
            "jti of the client assertion is missing, empty or too long",
        ));
    }
    let expires_at = claims.numeric_date("exp").map_err(malformed)?;
    let begins = ["nbf", "iat"].map(|name| claims.numeric_date(name));
    for begin in begins {
        if begin
            .map_err(malformed)?
            .is_some_and(|begin| begin > now + LEEWAY)
        {
            return Err(Refusal::InvalidAssertion(
                "the client assertion is from the future",
            ));
        }
    }
    match expires_at {
        None => Err(Refusal::InvalidAssertion(
            "exp of the client assertion is missing",
        )),
        Some(end) if now >= end + LEEWAY => Err(Refusal::InvalidAssertion(
            "the client assertion has expired",
        )),
        Some(end) if end > now + LONGEST + LEEWAY => Err(Refusal::InvalidAssertion(
            "the client assertion lasts longer than five minutes",
        )),
        Some(expires_at) => Ok(Sound {
            jti: jti.to_owned(),
            expires_at,
        }),
    }
}
