//! The tokens: what each one is, and whether it may pass.
//!
//! Collected from what is known of attack tools and of holes in other libraries: `alg` confusion
//! (CVE-2015-9235, CVE-2016-10555, CVE-2022-21449), keys that a token brings along (CVE-2018-0114),
//! injection by `kid`, claims that are absent or of another type (CVE-2026-25537), JSON that two
//! readers read differently, and Base64 that has several spellings. Not responsible for judging.

mod claims;
mod header;
mod json;
mod key_sets;
mod shape;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::signer::{Signer, encode};

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// The `kid` of the signer's key.
const KID: &str = "a";
/// The `kid` of the issuer's other key.
const OTHER_KID: &str = "b";

/// A token and the key set that it is to be judged by.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) keys: Value,
    pub(crate) may_pass: bool,
}

/// Writes tokens signed by one key, right but for what a case changes.
struct Forge<'a> {
    signer: &'a Signer,
    /// A key of the same algorithm that nobody has published.
    foreign: &'a Signer,
    /// The issuer's second key, of another algorithm.
    other: &'a Signer,
    now: i64,
    cases: Vec<Case>,
}

/// Every case for the algorithm of `signer`.
pub(crate) fn corpus(signer: &Signer, foreign: &Signer, other: &Signer, now: i64) -> Vec<Case> {
    let mut forge = Forge {
        signer,
        foreign,
        other,
        now,
        cases: Vec::new(),
    };
    forge.good_tokens();
    forge.algorithms();
    forge.headers();
    forge.headers_as_json();
    forge.keys_in_the_token();
    forge.key_ids();
    forge.shapes();
    forge.signatures();
    forge.issuers_and_audiences();
    forge.times();
    forge.other_claims();
    forge.json();
    forge.ambiguous_json();
    forge.key_sets();
    forge.cases
}

impl Forge<'_> {
    fn header(&self) -> Value {
        json!({ "alg": self.signer.alg(), "typ": "at+jwt", "kid": KID })
    }

    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "cli", "jti": "t-1",
            "iat": self.now - 5, "exp": self.now + 600, "scope": "stock:read stock:write",
        })
    }

    fn header_with(&self, changes: &Value) -> String {
        changed(self.header(), changes).to_string()
    }

    fn claims_with(&self, changes: &Value) -> String {
        changed(self.claims(), changes).to_string()
    }

    /// A good signature over these very bytes.
    fn signed(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        format!("{input}.{}", encode(self.signer.sign(input.as_bytes())))
    }

    fn good(&self) -> String {
        self.signed(self.header().to_string(), self.claims().to_string())
    }

    /// Enough of a value to tell cases apart, and the same in every run and for every algorithm.
    fn short(&self, value: &Value) -> String {
        let text = value.to_string().replace(self.signer.alg(), "ALG");
        let text = text.replace(&self.signer.alg().to_lowercase(), "alg");
        let mut short = String::new();
        for piece in text.split_inclusive(|letter: char| !letter.is_ascii_digit()) {
            let digits = piece.trim_end_matches(|letter: char| !letter.is_ascii_digit());
            let rest = piece.get(digits.len()..).unwrap_or_default();
            match digits.parse::<i64>() {
                Ok(number) if digits.len() == 10 => {
                    write!(short, "now{:+}{rest}", number - self.now).unwrap();
                }
                Ok(number) if digits.len() == 13 => {
                    write!(short, "1000*now{:+}{rest}", number - self.now * 1000).unwrap();
                }
                _ => short += piece,
            }
        }
        short.chars().take(100).collect()
    }

    fn key_set(&self) -> Value {
        json!({ "keys": [self.signer.jwk(KID), self.other.jwk(OTHER_KID)] })
    }

    fn push(&mut self, name: impl Into<String>, token: String, may_pass: bool) {
        let keys = self.key_set();
        self.push_with(name, token, keys, may_pass);
    }

    fn push_with(&mut self, name: impl Into<String>, token: String, keys: Value, may_pass: bool) {
        self.cases.push(Case {
            name: name.into(),
            token,
            keys,
            may_pass,
        });
    }

    fn refused(&mut self, name: impl Into<String>, token: String) {
        self.push(name, token, false);
    }

    /// Signed rightly, with these members of the header changed; null removes one.
    fn refused_header(&mut self, changes: &Value) {
        let token = self.signed(self.header_with(changes), self.claims().to_string());
        self.refused(format!("header {}", self.short(changes)), token);
    }

    fn good_header(&mut self, changes: &Value) {
        let token = self.signed(self.header_with(changes), self.claims().to_string());
        self.push(format!("good header {}", self.short(changes)), token, true);
    }

    fn refused_claims(&mut self, changes: &Value) {
        let token = self.signed(self.header().to_string(), self.claims_with(changes));
        self.refused(format!("claims {}", self.short(changes)), token);
    }

    fn good_claims(&mut self, changes: &Value) {
        let token = self.signed(self.header().to_string(), self.claims_with(changes));
        self.push(format!("good claims {}", self.short(changes)), token, true);
    }

    fn refused_payload(&mut self, name: &str, payload: impl AsRef<[u8]>) {
        let token = self.signed(self.header().to_string(), payload);
        self.refused(name, token);
    }

    /// What a strict reader must still let in: a validator that refuses everything is no use.
    fn good_tokens(&mut self) {
        let now = self.now;
        self.push("good token", self.good(), true);
        for changes in [
            json!({ "aud": [AUDIENCE] }),
            json!({ "aud": ["https://other.example.com", AUDIENCE] }),
            json!({ "nbf": now - 5 }),
            json!({ "exp": now + 1_000_000_000 }),
            json!({ "scope": null }),
            json!({ "sub": "user with spaces ü 🗝" }),
            json!({ "groups": ["ops", "dev"], "nested": { "a": { "b": [1, 2, null] } } }),
            json!({ "auth_time": now - 100, "acr": "mfa", "amr": ["otp"] }),
            json!({ "cnf_hint": "x", "crit": ["exp"] }),
        ] {
            self.good_claims(&changes);
        }
        for changes in [
            json!({ "typ": "application/at+jwt" }),
            json!({ "typ": "AT+JWT" }),
            json!({ "kid": null }),
            json!({ "unknown": { "nested": [1, 2.5, true, null] } }),
            json!({ "x5t": "aGVsbG8", "cty": "JWT" }),
        ] {
            self.good_header(&changes);
        }
        let spaced = format!(
            " {} ",
            serde_json::to_string_pretty(&self.claims()).unwrap()
        );
        let token = self.signed(self.header().to_string(), spaced);
        self.push("good token, written with spaces", token, true);
        let escaped = self
            .claims()
            .to_string()
            .replace("\"sub\"", "\"s\\u0075b\"");
        let token = self.signed(self.header().to_string(), escaped);
        self.push("good token, a name written with an escape", token, true);
    }
}

/// These members replaced, and removed where the value is null.
fn changed(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

fn hmac(alg: &str, secret: &[u8], input: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key, sign};
    let kind = match alg {
        "HS256" => HMAC_SHA256,
        "HS384" => HMAC_SHA384,
        _ => HMAC_SHA512,
    };
    sign(&Key::new(kind, secret), input).as_ref().to_vec()
}
