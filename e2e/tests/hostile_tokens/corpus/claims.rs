//! Claims that are absent, of another type, or of another time or place.

use serde_json::json;

use super::{AUDIENCE, Forge, ISSUER};

impl Forge<'_> {
    /// RFC 9068, section 4; RFC 7519, sections 4.1.1 and 4.1.3.
    pub(super) fn issuers_and_audiences(&mut self) {
        for iss in [
            json!(null),
            json!(7),
            json!({}),
            json!(true),
            json!([ISSUER]),
            json!(["https://evil.example", ISSUER]),
            json!(""),
            json!("https://evil.example"),
            json!(format!("{ISSUER}/")),
            json!(format!("{ISSUER}.evil.example")),
            json!("https://id.example.co"),
            json!("https://ID.example.com"),
            json!("http://id.example.com"),
            json!(format!(" {ISSUER}")),
            json!(format!("{ISSUER}\u{0}")),
            json!(format!("{ISSUER}?")),
            json!("https://id.example.com:443"),
        ] {
            self.refused_claims(&json!({ "iss": iss }));
        }
        for aud in [
            json!(null),
            json!(7),
            json!({}),
            json!({ "aud": AUDIENCE }),
            json!(true),
            json!([]),
            json!([[AUDIENCE]]),
            json!([AUDIENCE, 1]),
            json!(["https://other.example.com", 1]),
            json!([null, AUDIENCE]),
            json!(""),
            json!("https://other.example.com"),
            json!(["https://other.example.com"]),
            json!(format!("{AUDIENCE}/")),
            json!(format!("{AUDIENCE}.evil.example")),
            json!("https://api.example.co"),
            json!("HTTPS://API.EXAMPLE.COM"),
            json!("*"),
            json!(format!("https://other.example.com {AUDIENCE}")),
            json!(format!("https://other.example.com,{AUDIENCE}")),
        ] {
            self.refused_claims(&json!({ "aud": aud }));
        }
    }

    /// RFC 7519, sections 2 and 4.1.4 to 4.1.6.
    pub(super) fn times(&mut self) {
        let now = self.now;
        for exp in [
            json!(null),
            json!(now - 3600),
            json!(now - 120),
            json!(0),
            json!(-1),
            json!(1e300),
            json!(1.8e19),
            json!(u64::MAX),
            json!((now + 600).to_string()),
            json!("never"),
            json!([now + 600]),
            json!({ "exp": now + 600 }),
            json!(true),
            // Milliseconds, as a program in JavaScript has it: a token for 55,000 years.
            json!((now + 600) * 1000),
        ] {
            self.refused_claims(&json!({ "exp": exp }));
        }
        for nbf in [
            json!(now + 3600),
            json!(now + 9_999),
            json!((now - 5).to_string()),
            json!([now - 5]),
            json!(1e300),
            json!(false),
        ] {
            self.refused_claims(&json!({ "nbf": nbf }));
        }
        for iat in [
            json!(null),
            json!(now + 3600),
            json!(now + 9_999),
            json!((now - 5).to_string()),
            json!({}),
            json!(-1e300),
        ] {
            self.refused_claims(&json!({ "iat": iat }));
        }
        self.refused_claims(&json!({ "exp": now - 100, "nbf": now + 100 }));
    }

    /// RFC 9068, section 2.2, and what marks a token that somebody must prove to own.
    pub(super) fn other_claims(&mut self) {
        for changes in [
            json!({ "sub": null }),
            json!({ "sub": 7 }),
            json!({ "sub": "" }),
            json!({ "sub": ["ada"] }),
            json!({ "sub": { "name": "ada" } }),
            json!({ "client_id": null }),
            json!({ "client_id": 7 }),
            json!({ "client_id": ["cli"] }),
            json!({ "jti": null }),
            json!({ "jti": 7 }),
            json!({ "jti": [] }),
            json!({ "scope": 7 }),
            json!({ "scope": ["stock:read"] }),
            json!({ "scope": { "stock": "read" } }),
            json!({ "scope": "stock:read\tstock:write" }),
            json!({ "scope": "stock:read\nstock:write" }),
            json!({ "scope": "stock:read\u{a0}stock:write" }),
            json!({ "scope": "stock:read\"" }),
            json!({ "auth_time": "yesterday" }),
            json!({ "auth_time": [self.now] }),
            json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }),
            json!({ "cnf": { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" } }),
            json!({ "cnf": { "kid": "eve" } }),
            json!({ "cnf": {} }),
            json!({ "cnf": "bound" }),
            json!({ "cnf": [] }),
            json!({ "cnf": true }),
        ] {
            self.refused_claims(&changes);
        }
        let bound = self.claims_with(&json!({ "cnf": { "jwk": self.foreign.jwk("eve") } }));
        self.refused_payload("claims bound to a whole key", bound);
    }
}
