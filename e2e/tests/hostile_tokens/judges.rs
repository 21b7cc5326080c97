//! Who judges a token: our validator, and another library as its users wire it.

use std::sync::Arc;

use countersign_jose::{KeySet, crypto};
use countersign_resource::{FetchFuture, FetchKeys, FetchedKeys, Validator};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use crate::corpus::{AUDIENCE, Case, ISSUER};

/// Our validator, given the key set and one audience.
pub(crate) async fn countersign(case: &Case) -> Result<(), String> {
    let validator = Validator::builder(ISSUER)
        .audience(AUDIENCE)
        .key_fetcher(Published(Arc::new(case.keys.clone())))
        .build()
        .unwrap();
    let verdict = validator.validate(&case.token).await;
    verdict.map(|_| ()).map_err(|why| why.code().to_owned())
}

/// An issuer whose keys are these.
struct Published(Arc<Value>);

impl FetchKeys for Published {
    fn fetch(&self) -> FetchFuture<'_> {
        let json = self.0.to_string().into_bytes();
        Box::pin(async move {
            let keys = KeySet::from_json(&json, crypto::aws_lc::provider())
                .map_err(countersign_oauth::Error::Keys)?;
            Ok(FetchedKeys {
                keys,
                json,
                max_age: None,
                etag: None,
            })
        })
    }
}

/// The crate `jsonwebtoken` with the calls of its own documentation: the key by `kid`, the algorithm
/// of the header, an audience and an issuer.
pub(crate) fn jsonwebtoken_as_documented(case: &Case) -> bool {
    jsonwebtoken(case, |_| true, |_, _| Some(())).is_some()
}

/// The same crate as a careful reader wires it: the algorithm is the key's, the registered claims are
/// required, `nbf` is looked at, and the type is compared by hand.
pub(crate) fn jsonwebtoken_with_care(case: &Case) -> bool {
    let is_access_token = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == "at+jwt"
    };
    jsonwebtoken(case, is_access_token, |validation, key| {
        if let Some(algorithm) = key.common.key_algorithm {
            validation.algorithms = vec![algorithm.to_string().parse().ok()?];
        }
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        Some(())
    })
    .is_some()
}

fn jsonwebtoken(
    case: &Case,
    is_type: impl Fn(&str) -> bool,
    refine: impl Fn(&mut Validation, &Jwk) -> Option<()>,
) -> Option<()> {
    let keys: JwkSet = serde_json::from_value(case.keys.clone()).ok()?;
    let header = decode_header(&case.token).ok()?;
    if !is_type(header.typ.as_deref().unwrap_or_default()) {
        return None;
    }
    let key = match &header.kid {
        Some(kid) => keys.find(kid)?,
        // What people write for issuers that have one key.
        None => keys.keys.first()?,
    };
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    refine(&mut validation, key)?;
    let key = DecodingKey::from_jwk(key).ok()?;
    decode::<Value>(&case.token, &key, &validation).ok()?;
    Some(())
}
