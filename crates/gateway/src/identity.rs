//! Who the caller is, as the upstream learns it: by nobody's word but ours.
//!
//! Headers by which an upstream might be told an identity, an address or another path are taken out
//! of every request, whatever the spelling; then ours are put in. The assertion is a JWT that the
//! upstream verifies with the keys of the admin listener, so that it need not trust its network.
//!
//! Not responsible for hop-by-hop headers, nor for whether the caller may pass.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_console::Problem;
use countersign_jose::{Algorithm, SigningKey, Timestamp, crypto};
use countersign_resource::Caller;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use serde_json::json;

use crate::config::Identity;
use crate::proxy::remove_all;

/// `typ` of the assertion, so that it passes for no other token (RFC 8725, section 3.11).
const ASSERTION_TYPE: &str = "countersign-identity+jwt";

/// How many assertions are kept to be used again. Signing one costs more than all the rest of a
/// request.
const KEPT_ASSERTIONS: usize = 1024;

/// Long enough for what most assertions say.
const USUAL_KEY: usize = 512;

const SHORTEST_LIFE: Duration = Duration::from_secs(5);

/// Headers by which some program somewhere learns who calls or what is asked, compared in lower case
/// and with `-` for `_`. Those that begin with the configured prefix are added to them.
const FOREIGN: &[&str] = &[
    "forwarded",
    "remote-user",
    "remote-email",
    "remote-groups",
    "remote-name",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-remote-user",
    "x-remote-group",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-authenticated-groups",
    "x-authenticated-scope",
    "x-user",
    "x-user-id",
    "x-user-email",
    "x-userid",
    "x-username",
    "x-email",
    "x-groups",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-request-id",
];

/// The same for all that begin so.
const FOREIGN_PREFIXES: &[&str] = &[
    "x-forwarded-",
    "x-original-",
    "x-countersign-",
    "x-auth-",
    "x-remote-",
    "x-amzn-oidc-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-ssl-client-",
    "ssl-client-",
    "x-client-cert",
    "x-envoy-",
];

/// Whether outsiders may not send this header to an upstream. `name` is in lower case, as every
/// `HeaderName` is.
pub(crate) fn is_foreign(name: &str, identity: &Identity) -> bool {
    if name.bytes().any(|byte| byte == b'_') {
        return is_foreign_normalised(&name.replace('_', "-"), identity);
    }
    // Nearly every header is decided by its first letter.
    if matches!(
        name.as_bytes().first(),
        Some(b'x' | b'r' | b'f' | b't' | b'c' | b's')
    ) || name == identity.header.as_str()
    {
        return is_foreign_normalised(name, identity);
    }
    false
}

fn is_foreign_normalised(name: &str, identity: &Identity) -> bool {
    name.starts_with(&identity.prefix)
        || is_same(name, identity.header.as_str())
        || FOREIGN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || FOREIGN.contains(&name)
}

/// Whether a name with `-` for `_` is this one.
fn is_same(normalised: &str, name: &str) -> bool {
    let dashes = name
        .bytes()
        .map(|byte| if byte == b'_' { b'-' } else { byte });
    normalised.bytes().eq(dashes)
}

/// Takes out of a request what only we may say.
pub(crate) fn strip(headers: &mut HeaderMap, identity: &Identity) {
    remove_all(headers, |name| is_foreign(name, identity));
}

/// Headers by which some program somewhere serves another path or another method than those that
/// were decided about.
const MISLEADING: &[&str] = &[
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Whether a request that another proxy passes on has a header that this proxy would pass on as well,
/// and that makes it another request or its caller another one. A name with `_` is one that nothing
/// overwrites and that some programs read as if it were written with `-`.
pub(crate) fn is_misleading(headers: &HeaderMap, identity: &Identity) -> bool {
    headers.keys().map(HeaderName::as_str).any(|name| {
        MISLEADING.contains(&name) || (name.contains('_') && is_foreign(name, identity))
    })
}

/// Whether another proxy is to take this header of an outsider's away. What it says itself about
/// the request is left alone.
pub(crate) fn is_of_outsider(name: &str, identity: &Identity) -> bool {
    let is_of_proxy = matches!(
        name,
        "forwarded"
            | "x-request-id"
            | "x-real-ip"
            | "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-client-cert"
    ) || name.starts_with("x-envoy-");
    !is_of_proxy && is_foreign(name, identity)
}

/// Puts in every header that tells who calls, empty.
pub(crate) fn blank(headers: &mut HeaderMap, identity: &Identity) {
    let empty = HeaderValue::from_static("");
    let plain = &identity.plain;
    for name in [
        &identity.header,
        &plain.subject,
        &plain.issuer,
        &plain.client_id,
        &plain.scope,
    ] {
        headers.insert(name.clone(), empty.clone());
    }
}

/// A value of a claim that cannot stand in a header: it would become another value, or several.
#[derive(Debug)]
pub(crate) struct UnfitValue;

/// Adds the plain headers: subject, issuer, client and scope.
pub(crate) fn add_headers(
    headers: &mut HeaderMap,
    caller: &Caller,
    identity: &Identity,
) -> Result<(), UnfitValue> {
    let scope = caller.scopes().collect::<Vec<_>>().join(" ");
    let scope = Some(scope.as_str()).filter(|scope| !scope.is_empty());
    let plain = &identity.plain;
    for (name, value) in [
        (&plain.subject, Some(caller.subject())),
        (&plain.issuer, Some(caller.issuer())),
        (&plain.client_id, caller.client_id()),
        (&plain.scope, scope),
    ] {
        let Some(value) = value else { continue };
        let value = header_value(value).ok_or(UnfitValue)?;
        headers.insert(name.clone(), value);
    }
    Ok(())
}

/// Visible ASCII and single spaces inside only: anything else is read in different ways.
fn header_value(text: &str) -> Option<HeaderValue> {
    let is_fit = !text.is_empty()
        && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && !text.starts_with(' ')
        && !text.ends_with(' ');
    is_fit.then(|| HeaderValue::from_str(text).ok()).flatten()
}

/// Signs assertions.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SigningKey,
    /// By what they say: the same again needs no other signature.
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    value: HeaderValue,
    fresh_until: Timestamp,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    /// The authorization server; `sub` is unique within it only.
    idp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
}

impl Signer {
    /// Reads the key, PKCS#8 in PEM for ES256, or makes one that lasts as long as the process.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Problem> {
        let provider = crypto::aws_lc::provider();
        let key = match path {
            None => SigningKey::generate(Algorithm::Es256, provider).map_err(|error| {
                Problem::new("no key can be made for assertions").because(error)
            })?,
            Some(path) => {
                let name = path.display();
                check_private(path)?;
                let der = PrivateKeyDer::from_pem_file(path).map_err(|error| {
                    Problem::new(format!("{name} cannot be read as a key"))
                        .because(error)
                        .hint(format!(
                            "make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}"
                        ))
                })?;
                SigningKey::from_pkcs8_der(Algorithm::Es256, None, der.secret_der(), provider)
                    .map_err(|error| {
                        Problem::new(format!("{name} is no key for ES256")).because(error)
                    })?
            }
        };
        Ok(Self {
            key,
            kept: Mutex::default(),
        })
    }

    /// The public half, for upstreams (RFC 7517, section 5).
    pub(crate) fn key_set(&self) -> String {
        json!({ "keys": [self.key.public_jwk()] }).to_string()
    }

    /// An assertion of who calls, for one upstream. One that was made is used for half its life.
    pub(crate) fn assertion(
        &self,
        caller: &Caller,
        issuer: &str,
        audience: &str,
        identity: &Identity,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let auth_time = caller.auth_time().map(Timestamp::as_secs);
        let key = key(audience, caller, auth_time);
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = kept.get(&key).filter(|kept| now < kept.fresh_until) {
                return Some(kept.value.clone());
            }
        }
        let scope = caller.scopes().collect::<Vec<_>>().join(" ");
        // Never longer than the token that it is made of.
        // But one that is good only because clocks differ has to be worth something as well.
        let until = (now + identity.lifetime)
            .min(caller.expires_at())
            .max(now + SHORTEST_LIFE);
        let claims = Assertion {
            iss: issuer,
            aud: audience,
            sub: caller.subject(),
            iat: now.as_secs(),
            exp: until.as_secs(),
            idp: caller.issuer(),
            client_id: caller.client_id(),
            scope: &scope,
            acr: caller.acr(),
            auth_time,
        };
        let token = self.key.sign(ASSERTION_TYPE, &claims).ok()?;
        let mut value = HeaderValue::from_str(&token).ok()?;
        value.set_sensitive(true);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_ASSERTIONS {
            kept.retain(|_, kept| now < kept.fresh_until);
            if kept.len() >= KEPT_ASSERTIONS {
                kept.clear();
            }
        }
        kept.insert(
            key,
            Kept {
                value: value.clone(),
                fresh_until: now + until.since(now) / 2,
            },
        );
        Some(value)
    }
}

/// All that an assertion says but the time, so that no two callers have the same. The length stands
/// before each text.
fn key(audience: &str, caller: &Caller, auth_time: Option<i64>) -> Vec<u8> {
    let mut key = Vec::with_capacity(USUAL_KEY);
    let mut add = |text: &str| {
        key.extend_from_slice(&text.len().to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    };
    for text in [
        audience,
        caller.issuer(),
        caller.subject(),
        caller.client_id().unwrap_or_default(),
        caller.acr().unwrap_or_default(),
    ] {
        add(text);
    }
    caller.scopes().for_each(add);
    // Of one length, so that it is no scope.
    key.extend_from_slice(&auth_time.unwrap_or(i64::MIN).to_le_bytes());
    key
}

/// Refuses a key that others can read.
pub(crate) fn check_private(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = fs::metadata(path).map_err(|error| Problem::unreadable(path, &error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(
            Problem::new(format!("{} can be read by others", path.display()))
                .hint(format!("chmod 600 {}", path.display())),
        );
    }
    Ok(())
}
