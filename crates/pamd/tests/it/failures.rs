//! Everything that an authorization server was ever seen to do wrong, and what comes of it: nobody gets
//! in, and the journal says why.

use std::thread;

use countersign_pam_wire::Verdict;
use countersign_testkit::{Endpoint, Key, Provider, Reply, Signature};
use serde_json::{Value, json};

use crate::fixture::{Fixture, usual};

type Spoil = fn(&Provider);

/// What is wrong, how it is made so, how it ends, and what the journal says.
struct Case {
    name: &'static str,
    spoil: Spoil,
    verdict: Verdict,
    says: &'static [&'static str],
}

const fn case(
    name: &'static str,
    spoil: Spoil,
    verdict: Verdict,
    says: &'static [&'static str],
) -> Case {
    Case {
        name,
        spoil,
        verdict,
        says,
    }
}

fn error(code: &str) -> Reply {
    Reply::json(400, &json!({ "error": code }))
}

fn html(status: u16) -> Reply {
    Reply::text(status, "text/html", "<html>Sorry</html>")
}

fn claim(provider: &Provider, name: &'static str, value: Value) {
    provider.edit_id_token(move |_, claims| claims[name] = value.clone());
}

fn later(seconds: i64) -> Value {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    json!(i64::try_from(now).unwrap() + seconds)
}

/// The answers of the person and of the server that end in a refusal.
const REFUSED: &[Case] = &[
    case(
        "denied in the browser",
        |provider| provider.always(Endpoint::Token, error("access_denied")),
        Verdict::Denied,
        &["login refused", "refused", "denied"],
    ),
    case(
        "expired at the server",
        |provider| provider.always(Endpoint::Token, error("expired_token")),
        Verdict::Denied,
        &["login refused", "in time"],
    ),
    case(
        "never approved",
        |provider| {
            provider.pending_polls(100);
            provider.edit(Endpoint::DeviceAuthorization, |body| {
                body["expires_in"] = json!(3);
            });
        },
        Verdict::Denied,
        &["login refused", "in time"],
    ),
    case(
        "another person",
        |provider| claim(provider, "sub", json!("mallory")),
        Verdict::Denied,
        &["login refused", "may not use the account", "mallory"],
    ),
    case(
        "a client that may not",
        |provider| provider.always(Endpoint::DeviceAuthorization, error("unauthorized_client")),
        Verdict::Failed,
        &["login failed", "does not let this host"],
    ),
];

/// Tokens that prove nothing.
const TOKENS: &[Case] = &[
    case(
        "for another client",
        |provider| claim(provider, "aud", json!("somebody-else")),
        Verdict::Failed,
        &["meant for somebody-else"],
    ),
    case(
        "also for another client",
        |provider| claim(provider, "aud", json!(["ssh", "somebody-else"])),
        Verdict::Failed,
        &["not a trusted audience"],
    ),
    case(
        "asked for by another client",
        |provider| claim(provider, "azp", json!("somebody-else")),
        Verdict::Failed,
        &["asked for by somebody-else"],
    ),
    case(
        "of another issuer",
        |provider| claim(provider, "iss", json!("https://evil.example")),
        Verdict::Failed,
        &["issued by https://evil.example"],
    ),
    case(
        "that has expired",
        |provider| {
            claim(provider, "iat", later(-7200));
            claim(provider, "exp", later(-3600));
        },
        Verdict::Failed,
        &["expired"],
    ),
    case(
        "by a clock that goes two minutes ahead",
        |provider| claim(provider, "iat", later(120)),
        Verdict::Failed,
        &["in the future"],
    ),
    case(
        "without a subject",
        |provider| claim(provider, "sub", json!(null)),
        Verdict::Failed,
        &["a claim is missing or malformed"],
    ),
    case(
        "without a signature",
        |provider| provider.sign_with(Signature::Unsecured),
        Verdict::Failed,
        &["signature is not valid"],
    ),
    case(
        "signed with the public key",
        |provider| provider.sign_with(Signature::HmacWithPublicKey),
        Verdict::Failed,
        &["signature is not valid"],
    ),
    case(
        "signed by a stranger",
        |provider| provider.sign_with(Signature::ForeignKey),
        Verdict::Failed,
        &["signature is not valid"],
    ),
    case(
        "with a bit turned",
        |provider| provider.sign_with(Signature::Corrupt),
        Verdict::Failed,
        &["signature is not valid"],
    ),
    case(
        "that is not there",
        |provider| {
            provider.edit(Endpoint::Token, |body| {
                body.as_object_mut().unwrap().remove("id_token");
            });
        },
        Verdict::Failed,
        &["no ID token"],
    ),
];

/// Answers that are none.
const ANSWERS: &[Case] = &[
    case(
        "a web page for a code",
        |provider| provider.always(Endpoint::DeviceAuthorization, html(200)),
        Verdict::Failed,
        &["login failed", "cannot be believed"],
    ),
    case(
        "a server in trouble",
        |provider| provider.always(Endpoint::DeviceAuthorization, Reply::new(500)),
        Verdict::Unavailable,
        &["login failed", "does not answer", "status 500"],
    ),
    case(
        "a gateway in trouble",
        |provider| provider.always(Endpoint::DeviceAuthorization, html(502)),
        Verdict::Unavailable,
        &["login failed", "does not answer", "status 502"],
    ),
    case(
        "a server that says nothing",
        |provider| provider.always(Endpoint::DeviceAuthorization, Reply::never()),
        Verdict::Unavailable,
        &["login failed", "does not answer"],
    ),
    case(
        "a server that hangs up",
        |provider| provider.always(Endpoint::DeviceAuthorization, Reply::hangup()),
        Verdict::Unavailable,
        &["login failed", "does not answer"],
    ),
    case(
        "a server that sends elsewhere",
        |provider| {
            provider.always(
                Endpoint::Token,
                Reply::redirect(307, "https://evil.example/"),
            );
        },
        Verdict::Failed,
        &["login failed", "redirect"],
    ),
    case(
        "an answer without an end",
        |provider| {
            let endless = Reply::text(200, "application/json", "{").flooding(1024 * 1024);
            provider.always(Endpoint::Token, endless);
        },
        Verdict::Failed,
        &["login failed", "larger than"],
    ),
    case(
        "an answer of 70 kB",
        |provider| claim(provider, "groups", json!(vec!["x".repeat(1000); 70])),
        Verdict::Failed,
        &["login failed", "larger than"],
    ),
    case(
        "a member that is there twice",
        |provider| {
            let twice = r#"{"access_token":"a","token_type":"Bearer","access_token":"b"}"#;
            provider.always(Endpoint::Token, Reply::text(200, "application/json", twice));
        },
        Verdict::Failed,
        &["login failed", "twice"],
    ),
    case(
        "no JSON",
        |provider| provider.always(Endpoint::Token, Reply::text(200, "application/json", "{")),
        Verdict::Failed,
        &["login failed"],
    ),
    case(
        "a code that steers the terminal",
        |provider| {
            provider.edit(Endpoint::DeviceAuthorization, |body| {
                body["user_code"] = json!("A\u{1b}[2J");
            });
        },
        Verdict::Failed,
        &["login failed", "cannot be believed"],
    ),
    case(
        "a page without TLS",
        |provider| {
            provider.edit(Endpoint::DeviceAuthorization, |body| {
                body["verification_uri"] = json!("http://id.example/device");
            });
        },
        Verdict::Failed,
        &["login failed", "cannot be believed"],
    ),
    case(
        "metadata of somebody else",
        |provider| {
            for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
                provider.edit(endpoint, |body| {
                    body["issuer"] = json!("https://evil.example");
                });
            }
        },
        Verdict::Failed,
        &["login failed", "cannot be believed"],
    ),
    case(
        "keys that are none",
        |provider| provider.always(Endpoint::Jwks, html(200)),
        Verdict::Failed,
        &["login failed", "cannot be believed"],
    ),
];

/// Every case has a provider and a daemon of its own; they wait side by side.
fn play(cases: &'static [Case]) {
    thread::scope(|scope| {
        for Case {
            name,
            spoil,
            verdict,
            says,
        } in cases
        {
            scope.spawn(move || {
                let provider = Provider::start();
                spoil(&provider);
                let fixture = Fixture::at(provider, &usual(), |_| {});
                let done = fixture.sign_in();
                assert_eq!(
                    done.verdict,
                    *verdict,
                    "{name}: {done:?} {:#?}",
                    fixture.log()
                );
                assert!(done.text.contains(&done.reference), "{name}: {}", done.text);
                let mut parts = vec![done.reference.as_str()];
                parts.extend(*says);
                fixture.logged(&parts);
                assert!(
                    !fixture.log().iter().any(|line| line.contains("granted")),
                    "{name}"
                );
            });
        }
    });
}

#[test]
fn a_refusal_is_final_and_named() {
    play(REFUSED);
}

#[test]
fn a_token_that_proves_nothing_lets_nobody_in() {
    play(TOKENS);
}

#[test]
fn an_answer_that_is_none_lets_nobody_in() {
    play(ANSWERS);
}

/// What is odd and right all the same.
#[test]
fn what_honest_servers_do_is_waited_for() {
    let cases: [(&str, Spoil); 4] = [
        ("slow_down", |provider| {
            provider.first(Endpoint::Token, [error("slow_down")]);
        }),
        ("a hiccup", |provider| {
            provider.first(Endpoint::Token, [Reply::new(503), html(502)]);
        }),
        ("an answer of 4.5 kB", |provider| {
            claim(provider, "groups", json!(vec!["g".repeat(100); 45]));
        }),
        ("hanging up once", |provider| {
            provider.first(Endpoint::Token, [Reply::hangup()]);
        }),
    ];
    thread::scope(|scope| {
        for (name, prepare) in cases {
            scope.spawn(move || {
                let provider = Provider::start();
                prepare(&provider);
                let fixture = Fixture::at(provider, &usual(), |_| {});
                let done = fixture.sign_in();
                assert_eq!(
                    done.verdict,
                    Verdict::Success,
                    "{name}: {done:?} {:#?}",
                    fixture.log()
                );
            });
        }
    });
}

#[test]
fn a_new_key_of_the_server_is_found_and_an_old_one_is_not_believed() {
    let fixture = Fixture::start();
    fixture.wait_until_warm();
    // Whoever signs in before the answer is there fetches the keys too; whoever comes after that does not.
    assert_eq!(fixture.sign_in().verdict, Verdict::Success);
    let fetched = || fixture.provider.requests(Endpoint::Jwks).len();
    let before = fetched();
    fixture.provider.rotate_keys();
    assert_eq!(
        fixture.sign_in().verdict,
        Verdict::Success,
        "{:#?}",
        fixture.log()
    );
    assert_eq!(fetched(), before + 1);
    // Another one at once: keys are not looked for so often.
    fixture
        .provider
        .set_keys(vec![Key::generate("quite-another")]);
    let monitor = crate::fixture::Monitor::start();
    let login = monitor.login(&crate::fixture::account());
    let done = fixture.begin_as(login).finish();
    assert_eq!(done.verdict, Verdict::Failed, "{done:?}");
    assert_eq!(fetched(), before + 1);
}
