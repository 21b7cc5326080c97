//! What can be wrong with the metadata (OpenID Connect Discovery 1.0, section 4; RFC 8414).

use countersign_testkit::{Endpoint, Provider, Reply};
use serde_json::{Value, json};

use super::{Fault, dripping, fault, html, huge, raw_json, remove, set};

const PLACES: [Endpoint; 2] = [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata];

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 24] = [
    fault("nothing at the well-known places", |p| answer(p, &Reply::new(404)), "metadata_not_found", 7),
    fault("a web page", |p| answer(p, &html(200)), "html_response", 7),
    fault("an internal error", |p| answer(p, &html(500)), "server_unavailable", 3),
    fault("a redirect", |p| answer(p, &Reply::redirect(302, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("an empty document", |p| answer(p, &Reply::new(200)), "empty_response", 7),
    fault("JSON cut short", |p| answer(p, &raw_json(r#"{"issuer":"http://127"#)), "invalid_json", 7),
    fault("a list", |p| answer(p, &raw_json("[]")), "json_not_an_object", 7),
    fault("a nest of lists", |p| answer(p, &raw_json(&format!("{{\"x\":{}", "[".repeat(5000)))), "excessive_json", 7),
    fault("more than a megabyte", |p| answer(p, &huge()), "response_too_large", 7),
    fault("something that is not HTTP", |p| answer(p, &Reply::raw("SSH-2.0-OpenSSH_9.2\r\n")), "malformed_http", 7),
    fault("silence", |p| answer(p, &Reply::never()), "timeout", 3),
    fault("a document that drips", |p| answer(p, &dripping()), "timeout", 3),
    fault("a connection closed at once", |p| answer(p, &Reply::hangup()), "connection_closed", 3),
    fault("a connection closed in the middle", |p| answer(p, &raw_json("{\"issuer\":\"x\"}").cut_after(5)), "connection_closed", 3),
    fault("the issuer named twice", twice, "duplicate_member", 7),
    fault("another issuer", |p| both(p, "issuer", &json!("https://evil.example")), "issuer_mismatch", 7),
    fault("the issuer with a slash more", slash, "issuer_mismatch", 7),
    fault("no issuer", |p| without(p, "issuer"), "missing_member", 7),
    fault("an issuer that is a number", |p| both(p, "issuer", &json!(1)), "wrong_member_type", 7),
    fault("no device endpoint", |p| without(p, "device_authorization_endpoint"), "no_way_to_sign_in", 4),
    fault("no token endpoint", |p| without(p, "token_endpoint"), "endpoint_missing", 7),
    fault("no keys", |p| without(p, "jwks_uri"), "endpoint_missing", 7),
    fault("a token endpoint without TLS", |p| both(p, "token_endpoint", &json!("http://id.example.com/token")), "insecure_endpoint_url", 7),
    fault("a token endpoint that is no address", |p| both(p, "token_endpoint", &json!("/token")), "invalid_endpoint_url", 7),
];

fn answer(provider: &Provider, reply: &Reply) {
    for place in PLACES {
        provider.always(place, reply.clone());
    }
}

fn both(provider: &Provider, name: &'static str, value: &Value) {
    for place in PLACES {
        set(provider, place, name, value.clone());
    }
}

fn without(provider: &Provider, name: &'static str) {
    for place in PLACES {
        remove(provider, place, name);
    }
}

fn twice(provider: &Provider) {
    let issuer = provider.issuer();
    answer(
        provider,
        &raw_json(&format!(
            "{{\"issuer\":\"{issuer}\",\"issuer\":\"{issuer}\"}}"
        )),
    );
}

fn slash(provider: &Provider) {
    both(
        provider,
        "issuer",
        &json!(format!("{}/", provider.issuer())),
    );
}
