//! Requests that another proxy has: what it is told, and whether the body is bound.

use std::fmt::Write as _;

use super::*;
use crate::fixture::{AUDIENCE, exchange, parse};

/// A gateway that answers one proxy, with this route.
fn start(table: &str, step_up: &str) -> (Running, SimulatedKey) {
    let (directory, key) = place();
    let text = format!(
        r#"
[listen]
admin = "127.0.0.1:0"
workers = 1
drain = "2s"

[[forward_auth]]
address = "127.0.0.1:0"
trust = ["127.0.0.1"]
origin = "https://api.test"
{table}

[[issuer]]
url = "{}"
audience = "{AUDIENCE}"

[[route]]
path = "/resources/{{name}}"
step_up = {step_up}

[[route]]
path = "/open/**"
public = true
{OTP}{KEY}"#,
        Issuer::get().url()
    );
    (start_in(&text, directory), key)
}

fn ask(gateway: &Running, text: &str) -> Answer {
    let address = gateway.gateway.forward_auth_addresses()[0].parse().unwrap();
    parse(&exchange(address, text.as_bytes()))
}

/// The question of a proxy that says in headers what it is about.
fn question(prefix: &str, target: &str, lines: &[&str]) -> String {
    let mut text = format!(
        "GET /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{prefix}-Method: DELETE\r\n{prefix}-Uri: \
         {target}\r\n{prefix}-Host: api.test\r\nX-Forwarded-For: 192.0.2.7\r\n"
    );
    for line in lines {
        let _ = write!(text, "{line}\r\n");
    }
    text + "\r\n"
}

const UNBOUND: &str = "{ otp = [\"yubikey\"], danger_unbound_body = true }";

#[test]
fn a_proxy_that_keeps_the_body_hands_the_challenge_on_and_the_rest_is_bound() {
    for (preset, prefix) in [
        ("nginx", "X-Original"),
        ("traefik", "X-Forwarded"),
        ("caddy", "X-Forwarded"),
    ] {
        let (gateway, mut key) = start(&format!("preset = \"{preset}\""), UNBOUND);
        let bearer = bearer();
        let asked = ask(&gateway, &question(prefix, "/resources/7", &[&bearer]));
        let otp = key.press(1);
        let answer = step_up(challenge(&asked), otp.expose());
        let refused = ask(
            &gateway,
            &question(prefix, "/resources/8", &[&bearer, &answer]),
        );
        assert_eq!(
            (refused.status, parameter(&refused, "otp_error")),
            (401, Some("expired"))
        );
        let done = ask(
            &gateway,
            &question(prefix, "/resources/7", &[&bearer, &answer]),
        );
        assert_eq!(done.status, 200, "{preset}: {done:?}");
        assert!(!done.head.contains(otp.expose()), "{done:?}");
        // What nginx does not know is a 403 for it; the word is in the challenge.
        let grace = Issuer::get().token(&json!({ "sub": "grace" }));
        let grace = format!("Authorization: Bearer {grace}");
        let none = ask(&gateway, &question(prefix, "/resources/7", &[&grace]));
        assert_eq!(
            (none.status, parameter(&none, "otp_error")),
            (403, Some("no_device"))
        );
    }
}

/// Envoy with `with_request_body`, by HTTP: the body is all of the question's.
fn envoy(target: &str, lines: &[&str], body: &str) -> String {
    let mut text = format!("PUT {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n");
    for line in lines {
        let _ = write!(text, "{line}\r\n");
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

#[test]
fn envoy_hands_a_body_over_and_it_is_bound() {
    let table = "preset = \"envoy\"\nbody = true";
    let (gateway, mut key) = start(table, "{ otp = [\"yubikey\"], body_limit = \"8B\" }");
    let bearer = bearer();
    let whole = "x-envoy-auth-partial-body: false";
    let asked = ask(&gateway, &envoy("/resources/7", &[&bearer, whole], "{}"));
    let otp = key.press(1);
    let answer = step_up(challenge(&asked), otp.expose());
    let other = ask(
        &gateway,
        &envoy("/resources/7", &[&bearer, whole, &answer], "[]"),
    );
    assert_eq!(
        (other.status, parameter(&other, "otp_error")),
        (401, Some("expired"))
    );
    for (what, lines, body, status) in [
        // A body that was cut, or of which nobody says that it is whole.
        (
            "cut",
            vec![&*bearer, &answer, "x-envoy-auth-partial-body: true"],
            "{}",
            403,
        ),
        ("unsaid", vec![&*bearer, &answer], "{}", 403),
        ("twice", vec![&*bearer, &answer, whole, whole], "{}", 403),
        ("long", vec![&*bearer, &answer, whole], "123456789", 413),
    ] {
        let refused = ask(&gateway, &envoy("/resources/7", &lines, body));
        assert_eq!(refused.status, status, "{what}: {refused:?}");
    }
    let done = ask(
        &gateway,
        &envoy("/resources/7", &[&bearer, whole, &answer], "{}"),
    );
    assert_eq!(done.status, 200, "{done:?}");
    let removed = done.header("x-envoy-auth-headers-to-remove").unwrap();
    assert!(
        removed.split(',').any(|name| name == "step-up"),
        "{removed}"
    );
    // An Envoy that was not told to hand bodies over leaves the caller's word in place.
    let said = ask(&gateway, &envoy("/resources/7", &[&bearer, whole], ""));
    assert_eq!(said.status, 403, "{said:?}");
    // Without a body Envoy says nothing about it.
    let asked = ask(&gateway, &envoy("/resources/7", &[&bearer], ""));
    let answer = step_up(challenge(&asked), key.press(1).expose());
    let done = ask(&gateway, &envoy("/resources/7", &[&bearer, &answer], ""));
    assert_eq!(done.status, 200, "{done:?}");
}
