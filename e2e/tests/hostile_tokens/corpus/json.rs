//! JSON that two readers read differently.

use super::{AUDIENCE, Forge, ISSUER};

impl Forge<'_> {
    /// RFC 8259, and the duplicates that RFC 7519, section 4 lets a strict reader refuse.
    pub(super) fn json(&mut self) {
        for (name, payload) in [
            ("payload is an array", "[]".to_owned()),
            ("payload is a string", "\"ada\"".to_owned()),
            ("payload is a number", "7".to_owned()),
            ("payload is null", "null".to_owned()),
            ("payload is an empty object", "{}".to_owned()),
            ("payload is empty", String::new()),
            (
                "payload is not JSON",
                format!("iss={ISSUER}&aud={AUDIENCE}&sub=ada"),
            ),
            (
                "payload is cut off",
                self.claims().to_string().replace('}', ""),
            ),
            ("payload twice", format!("{0}{0}", self.claims())),
            (
                "payload with something after it",
                format!("{} x", self.claims()),
            ),
            (
                "payload with a comment",
                self.claims().to_string().replacen(',', ",/**/", 1),
            ),
            (
                "payload with a trailing comma",
                self.claims().to_string().replace('}', ",}"),
            ),
            (
                "payload with single quotes",
                self.claims().to_string().replace('"', "'"),
            ),
            (
                "payload after a byte order mark",
                format!("\u{feff}{}", self.claims()),
            ),
            ("payload in array brackets", format!("[{}]", self.claims())),
        ] {
            self.refused_payload(name, payload);
        }
        let mut latin1 = self.claims().to_string().into_bytes();
        let end = latin1.len() - 1;
        latin1.splice(end..end, *b",\"x\":\"\xe9\"");
        self.refused_payload("payload is not UTF-8", latin1);
        let wide = self.claims().to_string();
        let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.refused_payload("payload is UTF-16", wide);
    }

    /// A strict reader refuses what another would take the first or the last of, at every level.
    pub(super) fn ambiguous_json(&mut self) {
        let now = self.now;
        let rest = format!(
            r#""client_id":"cli","jti":"t-1","iat":{},"scope":"stock:read""#,
            now - 5
        );
        let exp = now + 600;
        for (name, payload) in [
            (
                "iss twice",
                format!(
                    r#"{{"iss":"https://evil.example","iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","exp":{exp},{rest}}}"#
                ),
            ),
            (
                "aud twice",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"https://other.example.com","aud":"{AUDIENCE}","sub":"ada","exp":{exp},{rest}}}"#
                ),
            ),
            (
                "exp twice",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","exp":1,"exp":{exp},{rest}}}"#
                ),
            ),
            (
                "sub twice",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","sub":"eve","exp":{exp},{rest}}}"#
                ),
            ),
            (
                "sub twice, once by an escape",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","s\u0075b":"eve","exp":{exp},{rest}}}"#
                ),
            ),
            (
                "a claim of another twice",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","role":"guest","role":"admin","exp":{exp},{rest}}}"#
                ),
            ),
            (
                "a nested member twice",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","realm":{{"admin":false,"admin":true}},"exp":{exp},{rest}}}"#
                ),
            ),
            (
                "a number with a leading zero",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","exp":0{exp},{rest}}}"#
                ),
            ),
            (
                "a number that JSON does not have",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","exp":Infinity,{rest}}}"#
                ),
            ),
            (
                "half of a surrogate pair",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada\ud800","exp":{exp},{rest}}}"#
                ),
            ),
            (
                "a control character inside of a string",
                format!(
                    "{{\"iss\":\"{ISSUER}\",\"aud\":\"{AUDIENCE}\",\"sub\":\"a\u{1}da\",\"exp\":{exp},{rest}}}"
                ),
            ),
            (
                "payload nested 10,000 deep",
                format!(
                    r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","exp":{exp},{rest},"x":{}{}}}"#,
                    "[".repeat(10_000),
                    "]".repeat(10_000)
                ),
            ),
        ] {
            self.refused_payload(name, payload);
        }
    }
}
