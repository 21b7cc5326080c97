//! DPoP proofs (RFC 9449, section 4.3), checked without our own `jose`: the one who is tested must
//! not be the judge.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::signing::{encode, sha256};

/// A proof that holds.
#[derive(Debug)]
pub(super) struct Proof {
    /// The key's thumbprint (RFC 7638).
    pub(super) thumbprint: String,
    pub(super) jti: String,
    pub(super) nonce: Option<String>,
}

/// Checks everything except age, nonce and repetition; says which rule is broken.
pub(super) fn check(
    proof: &str,
    method: &str,
    url: &str,
    access_token: Option<&str>,
) -> Result<Proof, &'static str> {
    let parts: Vec<&str> = proof.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err("not a JWT");
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "not base64url");
    let read = |part: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decode(part)?).map_err(|_| "not JSON")
    };
    let (header_json, claims_json) = (read(header)?, read(claims)?);
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if text(&header_json, "typ").as_deref() != Some("dpop+jwt") {
        return Err("typ is not dpop+jwt");
    }
    if text(&header_json, "alg").as_deref() != Some("ES256") {
        return Err("alg is not ES256");
    }
    let jwk = header_json.get("jwk").ok_or("no jwk")?;
    if jwk.get("d").is_some() {
        return Err("a private key in the header");
    }
    let (x, y) = (text(jwk, "x").ok_or("no x")?, text(jwk, "y").ok_or("no y")?);
    let point = [vec![4], decode(&x)?, decode(&y)?].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(format!("{header}.{claims}").as_bytes(), &decode(signature)?)
        .map_err(|_| "the signature is wrong")?;
    if text(&claims_json, "htm").as_deref() != Some(method) {
        return Err("htm is another method");
    }
    if text(&claims_json, "htu").as_deref() != Some(url) {
        return Err("htu is another address");
    }
    if claims_json.get("iat").and_then(Value::as_i64).is_none() {
        return Err("no iat");
    }
    if text(&claims_json, "ath") != access_token.map(sha256) {
        return Err("ath is of another token");
    }
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(Proof {
        thumbprint: sha256(&canonical),
        jti: text(&claims_json, "jti").ok_or("no jti")?,
        nonce: text(&claims_json, "nonce"),
    })
}

/// A nonce nobody can guess is not needed here, only one that changes.
pub(super) fn nonce(number: usize) -> String {
    encode(format!("nonce-{number}").as_bytes())
}
