//! What the header says: `alg`, `typ`, `crit`, `kid`, and keys that a token brings along.

use serde_json::json;

use super::{Forge, KID, OTHER_KID, changed, hmac};
use crate::signer::encode;

impl Forge<'_> {
    /// RFC 8725, sections 2.1 and 3.1; RFC 7518, section 3.6.
    pub(super) fn algorithms(&mut self) {
        let payload = self.claims().to_string();
        let signature = self.good().rsplit_once('.').unwrap().1.to_owned();
        for alg in ["none", "None", "NONE", "nOnE", " none", "", "null"] {
            let header = self.header_with(&json!({ "alg": alg }));
            let input = format!("{}.{}", encode(header), encode(&payload));
            self.refused(
                format!("alg {alg:?} without a signature"),
                input.clone() + ".",
            );
            self.refused(
                format!("alg {alg:?} with a signature"),
                format!("{input}.{signature}"),
            );
        }
        for alg in ["HS256", "HS384", "HS512"] {
            let header = self.header_with(&json!({ "alg": alg }));
            let input = format!("{}.{}", encode(header), encode(&payload));
            let jwk = self.signer.jwk(KID);
            let number = ["n", "x"].into_iter().find_map(|name| jwk[name].as_str());
            let number = number.unwrap().to_owned();
            for (what, secret) in [
                ("the JWK", jwk.to_string().into_bytes()),
                ("the key's number", number.into_bytes()),
                ("no secret", Vec::new()),
                ("a weak secret", b"secret".to_vec()),
                ("the key set", self.key_set().to_string().into_bytes()),
            ] {
                let mac = encode(hmac(alg, &secret, input.as_bytes()));
                self.refused(format!("{alg} with {what}"), format!("{input}.{mac}"));
            }
        }
        for alg in [
            json!(null),
            json!(7),
            json!(true),
            json!(["RS256", "ES256"]),
            json!({ "name": self.signer.alg() }),
            json!(self.signer.alg().to_lowercase()),
            json!(format!("{} ", self.signer.alg())),
            json!(format!("{}\u{0}", self.signer.alg())),
            json!("ES256K"),
            json!("RS1"),
            json!("RSA-OAEP"),
            json!("dir"),
            json!("ML-DSA-65"),
        ] {
            // Null would remove the member; both shall be tried.
            let mut header = self.header();
            header["alg"] = alg.clone();
            let token = self.signed(header.to_string(), &payload);
            self.refused(format!("alg is {}", self.short(&alg)), token);
        }
        self.refused_header(&json!({ "alg": null }));
        // The key says which algorithm it is for; a signature by another of its family is none.
        if self.signer.alg().starts_with(['R', 'P']) {
            for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
                if alg == self.signer.alg() {
                    continue;
                }
                let header = self.header_with(&json!({ "alg": alg }));
                let input = format!("{}.{}", encode(header), encode(&payload));
                let signature = encode(self.signer.sign_as(alg, input.as_bytes()));
                self.refused(
                    format!("{alg} by a key for another"),
                    format!("{input}.{signature}"),
                );
            }
        }
        let header = self.header_with(&json!({ "alg": self.other.alg() }));
        let token = self.signed(header, &payload);
        self.refused("the alg of the issuer's other key", token);
    }

    /// RFC 7515, section 4.1; RFC 9068, section 4.
    pub(super) fn headers(&mut self) {
        for typ in [
            json!(null),
            json!("JWT"),
            json!("jwt"),
            json!("id_token"),
            json!("dpop+jwt"),
            json!("logout+jwt"),
            json!("secevent+jwt"),
            json!("token-introspection+jwt"),
            json!("at+jwt "),
            json!("at+jwt;x=y"),
            json!("application/application/at+jwt"),
            json!(""),
            json!(["at+jwt"]),
            json!(7),
        ] {
            self.refused_header(&json!({ "typ": typ }));
        }
        for crit in [
            json!([]),
            json!(["exp"]),
            json!(["b64"]),
            json!(["unknown"]),
            json!(["alg"]),
            json!("exp"),
            json!({}),
            json!([7]),
            json!(true),
        ] {
            self.refused_header(&json!({ "crit": crit, "exp": self.now + 60, "b64": false }));
        }
        self.refused_header(&json!({ "b64": false, "crit": ["b64"] }));
        self.refused_header(&json!({ "zip": "DEF", "crit": ["zip"] }));
    }

    /// RFC 7515, section 4: names are unique, and the header is a JSON object.
    pub(super) fn headers_as_json(&mut self) {
        let claims = self.claims().to_string();
        let alg = self.signer.alg();
        for (name, header) in [
            ("header is an array", format!("[{{\"alg\":\"{alg}\"}}]")),
            ("header is a string", format!("\"{alg}\"")),
            ("header is null", "null".to_owned()),
            ("header is empty", String::new()),
            (
                "header is not JSON",
                format!("alg={alg}&typ=at+jwt&kid={KID}"),
            ),
            (
                "header has alg twice, none last",
                format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}","alg":"none"}}"#),
            ),
            (
                "header has alg twice, none first",
                format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{KID}","alg":"{alg}"}}"#),
            ),
            (
                "header has alg twice, one by an escape",
                format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}","\u0061lg":"{alg}"}}"#),
            ),
            (
                "header has typ twice",
                format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{KID}","typ":"at+jwt"}}"#),
            ),
            (
                "header has kid twice",
                format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{OTHER_KID}","kid":"{KID}"}}"#),
            ),
            (
                "header has a nested member twice",
                format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}","x":{{"a":1,"a":2}}}}"#),
            ),
            (
                "header with a comment",
                format!(r#"{{"alg":"{alg}",/**/"typ":"at+jwt","kid":"{KID}"}}"#),
            ),
            (
                "header with a trailing comma",
                format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}",}}"#),
            ),
            (
                "header with something after it",
                format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}"}}{{}}"#),
            ),
            (
                "header after a byte order mark",
                format!("\u{feff}{}", self.header()),
            ),
            (
                "header nested 10,000 deep",
                format!(
                    r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}","x":{}{}}}"#,
                    "[".repeat(10_000),
                    "]".repeat(10_000)
                ),
            ),
        ] {
            let token = self.signed(header, &claims);
            self.refused(name, token);
        }
        let mut latin1 = self.header().to_string().into_bytes();
        let end = latin1.len() - 1;
        latin1.splice(end..end, *b",\"x\":\"\xe9\"");
        let token = self.signed(latin1, &claims);
        self.refused("header is not UTF-8", token);
    }

    /// RFC 8725, section 3.10: what the token says about its own key proves nothing.
    pub(super) fn keys_in_the_token(&mut self) {
        let payload = self.claims().to_string();
        let address = "https://evil.example/keys";
        for (name, members) in [
            ("jwk", json!({ "jwk": self.foreign.jwk("eve") })),
            (
                "jwk under a published kid",
                json!({ "jwk": self.foreign.jwk(KID) }),
            ),
            ("jku", json!({ "jku": address })),
            ("x5u", json!({ "x5u": address })),
            ("x5c", json!({ "x5c": ["MIIB"] })),
        ] {
            for kid in [json!("eve"), json!(KID), json!(null)] {
                let header = changed(self.header(), &members);
                let header = changed(header, &json!({ "kid": kid }));
                let input = format!("{}.{}", encode(header.to_string()), encode(&payload));
                let signature = encode(self.foreign.sign(input.as_bytes()));
                self.refused(
                    format!("{name} with kid {kid}, signed by that key"),
                    format!("{input}.{signature}"),
                );
            }
        }
    }

    pub(super) fn key_ids(&mut self) {
        for kid in [
            json!(""),
            json!("unknown"),
            json!("A"),
            json!("a "),
            json!("../../../../dev/null"),
            json!("/dev/null"),
            json!("/proc/sys/kernel/randomize_va_space"),
            json!("|sleep 10"),
            json!("a\u{0}"),
            json!("' UNION SELECT 'secret';--"),
            json!("http://169.254.169.254/latest/meta-data"),
            json!("x".repeat(4096)),
            json!(7),
            json!(["a"]),
            json!({ "kid": "a" }),
            json!(true),
        ] {
            self.refused_header(&json!({ "kid": kid }));
        }
        self.refused_header(&json!({ "kid": OTHER_KID }));
    }
}
