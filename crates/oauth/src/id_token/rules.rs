//! The rules of `OpenID` Connect Core 1.0, section 3.1.3.7, in its order where that is possible.
//!
//! The signature has been checked before any of them.

use countersign_jose::{Claims, Header, Timestamp, base64url, constant_time_eq};

use super::{Expected, IdToken, IdTokenError, MAX_LEEWAY};
use crate::text::printable;

/// Section 2: `sub` must not exceed 255 ASCII characters.
const MAX_SUBJECT: usize = 255;

pub(super) fn check(
    header: &Header,
    claims: Claims,
    expected: &Expected,
    now: Timestamp,
) -> Result<IdToken, IdTokenError> {
    // Access tokens (RFC 9068) and logout tokens are signed with the same keys, and say what they
    // are. An ID token says `JWT` or nothing.
    if let Some(typ) = header.typ().filter(|_| !header.is_type("JWT")) {
        return Err(IdTokenError::WrongType {
            received: printable(typ),
        });
    }
    issuer(&claims, expected)?;
    audience(&claims, expected)?;
    let (issued_at, expires_at) = lifetime(&claims, expected, now)?;
    nonce(&claims, expected)?;
    acr(&claims, expected)?;
    let auth_time = auth_time(&claims, expected, now)?;
    access_token_hash(header, &claims, expected)?;
    let subject = subject(&claims, expected)?;
    Ok(IdToken {
        claims,
        subject,
        issued_at,
        expires_at,
        auth_time,
    })
}

/// Rule 2.
fn issuer(claims: &Claims, expected: &Expected) -> Result<(), IdTokenError> {
    let received = claims.required_str("iss").map_err(IdTokenError::Claim)?;
    if received == expected.issuer.as_str() {
        return Ok(());
    }
    Err(IdTokenError::Issuer {
        expected: expected.issuer.to_string(),
        received: printable(received),
    })
}

/// Rules 3 to 5.
fn audience(claims: &Claims, expected: &Expected) -> Result<(), IdTokenError> {
    let audiences = claims.string_or_array("aud").map_err(IdTokenError::Claim)?;
    let client_id = expected.client_id.as_str();
    if !audiences.contains(&client_id) {
        return Err(IdTokenError::Audience {
            expected: client_id.to_owned(),
            received: audiences.into_iter().map(printable).collect(),
        });
    }
    let trusted = |audience: &str| {
        audience == client_id || expected.trusted_audiences.iter().any(|t| t == audience)
    };
    if let Some(stranger) = audiences.iter().find(|audience| !trusted(audience)) {
        return Err(IdTokenError::UntrustedAudience {
            received: printable(stranger),
        });
    }
    match claims.str("azp").map_err(IdTokenError::Claim)? {
        None if audiences.len() > 1 => Err(IdTokenError::AuthorizedPartyMissing),
        Some(party) if party != client_id => Err(IdTokenError::AuthorizedParty {
            expected: client_id.to_owned(),
            received: printable(party),
        }),
        _ => Ok(()),
    }
}

/// Rules 9 and 10, and `nbf` (RFC 7519, section 4.1.5).
fn lifetime(
    claims: &Claims,
    expected: &Expected,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), IdTokenError> {
    let issued_at = claims
        .required_numeric_date("iat")
        .map_err(IdTokenError::Claim)?;
    let expires_at = claims
        .required_numeric_date("exp")
        .map_err(IdTokenError::Claim)?;
    let leeway = expected.leeway.min(MAX_LEEWAY);
    // A token that lives for ten seconds is not good for seventy.
    let leeway_at_end = leeway.min(expires_at.since(issued_at));
    if now >= expires_at + leeway_at_end {
        return Err(IdTokenError::Expired {
            seconds_ago: now.since(expires_at).as_secs(),
        });
    }
    let not_before = claims.numeric_date("nbf").map_err(IdTokenError::Claim)?;
    if let Some(start) = not_before.filter(|start| *start > now + leeway) {
        return Err(IdTokenError::NotYetValid {
            seconds: start.since(now).as_secs(),
        });
    }
    if issued_at > now + leeway {
        let seconds_ahead = issued_at.since(now).as_secs();
        return Err(IdTokenError::IssuedInFuture { seconds_ahead });
    }
    Ok((issued_at, expires_at))
}

/// Rule 11.
fn nonce(claims: &Claims, expected: &Expected) -> Result<(), IdTokenError> {
    let Some(sent) = &expected.nonce else {
        return Ok(());
    };
    match claims.str("nonce").map_err(IdTokenError::Claim)? {
        None => Err(IdTokenError::NonceMissing),
        Some(received) if constant_time_eq(received.as_bytes(), sent.expose().as_bytes()) => Ok(()),
        Some(_) => Err(IdTokenError::Nonce),
    }
}

/// Rule 12.
fn acr(claims: &Claims, expected: &Expected) -> Result<(), IdTokenError> {
    if expected.acr_values.is_empty() {
        return Ok(());
    }
    let received = claims.str("acr").map_err(IdTokenError::Claim)?;
    if received.is_some_and(|acr| expected.acr_values.iter().any(|value| value == acr)) {
        return Ok(());
    }
    Err(IdTokenError::Acr {
        expected: expected.acr_values.clone(),
        received: received.map(printable),
    })
}

/// Rule 13.
fn auth_time(
    claims: &Claims,
    expected: &Expected,
    now: Timestamp,
) -> Result<Option<Timestamp>, IdTokenError> {
    let auth_time = claims
        .numeric_date("auth_time")
        .map_err(IdTokenError::Claim)?;
    let Some(max_age) = expected.max_age else {
        return Ok(auth_time);
    };
    let authenticated = auth_time.ok_or(IdTokenError::AuthTimeMissing)?;
    let age = now.since(authenticated);
    if age > max_age.saturating_add(expected.leeway.min(MAX_LEEWAY)) {
        return Err(IdTokenError::AuthenticationTooOld {
            age: age.as_secs(),
            max_age: max_age.as_secs(),
        });
    }
    Ok(auth_time)
}

/// Section 3.1.3.8: the left half of the access token's hash. Optional in every grant that a client of
/// this project uses, so a token without it passes.
fn access_token_hash(
    header: &Header,
    claims: &Claims,
    expected: &Expected,
) -> Result<(), IdTokenError> {
    let received = claims.str("at_hash").map_err(IdTokenError::Claim)?;
    let (Some(received), Some(access_token)) = (received, &expected.access_token) else {
        return Ok(());
    };
    let input = access_token.expose().as_bytes();
    let digest = expected.provider.digest_of(header.algorithm(), input);
    let left_half = digest.get(..digest.len() / 2).unwrap_or_default();
    if constant_time_eq(received.as_bytes(), base64url::encode(left_half).as_bytes()) {
        Ok(())
    } else {
        Err(IdTokenError::AccessTokenHash)
    }
}

fn subject(claims: &Claims, expected: &Expected) -> Result<String, IdTokenError> {
    let subject = claims.required_str("sub").map_err(IdTokenError::Claim)?;
    let well_formed = (1..=MAX_SUBJECT).contains(&subject.len())
        && subject.bytes().all(|b| matches!(b, b' '..=b'~'));
    if !well_formed {
        return Err(IdTokenError::MalformedSubject);
    }
    if expected
        .subject
        .as_deref()
        .is_some_and(|before| before != subject)
    {
        return Err(IdTokenError::Subject);
    }
    Ok(subject.to_owned())
}
