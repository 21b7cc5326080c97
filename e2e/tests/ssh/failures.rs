//! What can go wrong with an authorization server, as somebody at a terminal meets it: nobody gets in,
//! the person is told in words, and three tries of the client are one sign-in.

use std::thread;

use countersign_e2e::press_enter;
use countersign_testkit::{Endpoint, Key, Provider, Release, Reply, Signature, show};
use serde_json::{Value, json};

use crate::host::{COMMAND, Host, account};

type Spoil = fn(&Provider);

/// How a case ends: what the person reads, and what the journal says of it.
struct Case {
    name: &'static str,
    spoil: Spoil,
    told: &'static str,
    journal: &'static str,
}

const UNBELIEVABLE: &str = "gave an answer that cannot be believed";
const AWAY: &str = "The sign-in service does not answer";
const NOT_IN_TIME: &str = "Nobody approved the sign-in in time";

fn error(code: &str) -> Reply {
    Reply::json(400, &json!({ "error": code }))
}

fn claim(provider: &Provider, name: &'static str, value: Value) {
    provider.edit_id_token(move |_, claims| claims[name] = value.clone());
}

pub(crate) fn expires_soon(provider: &Provider) {
    provider.edit(Endpoint::DeviceAuthorization, |body| {
        body["expires_in"] = json!(4);
    });
}

/// A proxy that has something to say may be gone with the next poll, so these are asked to the end.
fn always_html(provider: &Provider, status: u16) {
    let page = Reply::text(status, "text/html", "<html>Sorry</html>");
    provider.always(Endpoint::Token, page);
    expires_soon(provider);
}

/// Every answer that the example module took for a success is among them.
const CASES: &[Case] = &[
    Case {
        name: "denied",
        spoil: |provider| provider.always(Endpoint::Token, error("access_denied")),
        told: "The sign-in was refused",
        journal: "denied",
    },
    Case {
        name: "expired at the server",
        spoil: |provider| provider.always(Endpoint::Token, error("expired_token")),
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "expired here",
        spoil: |provider| {
            provider.pending_polls(1000);
            expires_soon(provider);
        },
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "slow_down until the end",
        spoil: |provider| {
            provider.always(Endpoint::Token, error("slow_down"));
            expires_soon(provider);
        },
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "another person",
        spoil: |provider| claim(provider, "sub", json!("mallory")),
        told: "who may not use the account",
        journal: "mallory",
    },
    Case {
        name: "another person, without a signature",
        spoil: |provider| {
            claim(provider, "sub", json!("mallory"));
            provider.sign_with(Signature::Unsecured);
        },
        told: UNBELIEVABLE,
        journal: "signature is not valid",
    },
    Case {
        name: "without a signature",
        spoil: |provider| provider.sign_with(Signature::Unsecured),
        told: UNBELIEVABLE,
        journal: "signature is not valid",
    },
    Case {
        name: "a foreign key",
        spoil: |provider| provider.sign_with(Signature::ForeignKey),
        told: UNBELIEVABLE,
        journal: "signature is not valid",
    },
    Case {
        name: "another audience",
        spoil: |provider| claim(provider, "aud", json!("somebody-else")),
        told: UNBELIEVABLE,
        journal: "meant for somebody-else",
    },
    Case {
        name: "keys that do not sign",
        spoil: |provider| {
            // The token names a key, and the server publishes others.
            let others = json!({ "keys": [Key::generate("another").jwk()] });
            provider.always(Endpoint::Jwks, Reply::json(200, &others));
        },
        told: UNBELIEVABLE,
        journal: "login failed",
    },
    Case {
        name: "5xx at the start",
        spoil: |provider| provider.always(Endpoint::DeviceAuthorization, Reply::new(503)),
        told: AWAY,
        journal: "status 503",
    },
    Case {
        name: "5xx with HTML for a token",
        spoil: |provider| always_html(provider, 502),
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "HTML for a token",
        spoil: |provider| always_html(provider, 200),
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "HTML for a code",
        spoil: |provider| {
            let page = Reply::text(200, "text/html", "<html>Sorry</html>");
            provider.always(Endpoint::DeviceAuthorization, page);
        },
        told: UNBELIEVABLE,
        journal: "login failed",
    },
    Case {
        // A reader that looks for words, and not for members, takes this for tokens.
        name: "a denial with the words of a success in it",
        spoil: |provider| {
            let body = json!({
                "error_description": "\"id_token\":\"e30.e30.\",\"access_token\"",
                "id_token": "e30.e30.",
                "error": "access_denied",
            });
            provider.always(Endpoint::Token, Reply::json(400, &body));
        },
        told: "The sign-in was refused",
        journal: "denied",
    },
    Case {
        // What was heard before is no answer to this.
        name: "no answer after the first poll",
        spoil: |provider| {
            provider.always(Endpoint::Token, Reply::hangup());
            provider.first(Endpoint::Token, [error("authorization_pending")]);
            expires_soon(provider);
        },
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "no ID token",
        spoil: |provider| {
            provider.edit(Endpoint::Token, |body| {
                body.as_object_mut().unwrap().remove("id_token");
            });
        },
        told: UNBELIEVABLE,
        journal: "no ID token",
    },
    Case {
        name: "1 MB",
        spoil: |provider| {
            let endless = Reply::text(200, "application/json", "{").flooding(1024 * 1024);
            provider.always(Endpoint::Token, endless);
        },
        told: UNBELIEVABLE,
        journal: "larger than",
    },
    Case {
        name: "an address of 2 kB",
        spoil: |provider| {
            provider.edit(Endpoint::DeviceAuthorization, |body| {
                body["verification_uri"] =
                    json!(format!("https://id.example/{}", "x".repeat(2048)));
            });
            provider.pending_polls(1000);
            expires_soon(provider);
        },
        told: NOT_IN_TIME,
        journal: "in time",
    },
    Case {
        name: "away",
        spoil: |provider| {
            for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
                provider.always(endpoint, Reply::hangup());
            }
        },
        told: AWAY,
        journal: "does not answer",
    },
];

/// Lets `ada` of the scripted provider in.
pub(crate) fn rule() -> String {
    let account = account();
    format!(
        "qr = \"never\"\n[limits]\nper_user = 16\n[[rule]]\nname = \"ada\"\naccounts = [{account:?}]\nsub = \"ada\"\n"
    )
}

/// What is shown with the newer OpenSSH as well.
const WITH_BOTH: [&str; 6] = [
    "denied",
    "expired here",
    "another person",
    "without a signature",
    "a foreign key",
    "away",
];

/// How many cases run side by side: each is seven processes.
const AT_A_TIME: usize = 6;

#[test]
fn whatever_goes_wrong_nobody_gets_in_and_the_person_is_told() {
    let rule = rule();
    let newer = CASES.iter().filter(|case| WITH_BOTH.contains(&case.name));
    let newer: Vec<_> = newer.map(|case| (Release::Newer, case)).collect();
    assert_eq!(newer.len(), WITH_BOTH.len());
    let installed = CASES.iter().map(|case| (Release::Installed, case));
    let all: Vec<_> = installed.chain(newer).collect();
    for cases in all.chunks(AT_A_TIME) {
        thread::scope(|scope| {
            for (release, case) in cases {
                scope.spawn(|| fails(*release, case, &rule));
            }
        });
    }
}

fn fails(release: Release, case: &Case, rule: &str) {
    let provider = Provider::start();
    (case.spoil)(&provider);
    let host = Host::start_of(release, &provider.issuer(), rule, &[]);
    let client = host.sshd.client(&[], COMMAND).start();
    let finished = press_enter(client);
    host.stayed_out(&finished);
    let name = case.name;
    assert!(
        finished.stdout.contains(case.told),
        "{name}: {}\n{}",
        finished.stdout,
        host.log()
    );
    host.logged(&["login ", case.journal, "reference="]);
    // `NumberOfPasswordPrompts` of the client is three.
    let begun = provider.requests(Endpoint::DeviceAuthorization).len();
    assert!(begun <= 1, "{name}: {begun} sign-ins");
    let mut secrets = provider.secrets();
    secrets.push("WDJB-MJHT".to_owned());
    for secret in secrets {
        let log = host.log() + &host.sshd.log();
        assert!(!log.contains(&secret), "{name}: a secret is in the log");
    }
}

#[test]
fn what_honest_servers_do_is_waited_for() {
    let cases: [(&str, Spoil); 4] = [
        ("slow_down", |provider| {
            provider.first(Endpoint::Token, [error("slow_down")]);
        }),
        ("5xx for a moment", |provider| {
            provider.first(Endpoint::Token, [Reply::new(503)]);
        }),
        ("4.5 kB", |provider| {
            claim(provider, "groups", json!(vec!["g".repeat(100); 45]));
        }),
        ("a rotated key", |provider| provider.rotate_keys()),
    ];
    let rule = rule();
    thread::scope(|scope| {
        for (name, prepare) in cases {
            let rule = &rule;
            scope.spawn(move || {
                let provider = Provider::start();
                let host = Host::start(&provider.issuer(), rule);
                host.wait_until("the keys are fetched", || {
                    !provider.requests(Endpoint::Jwks).is_empty()
                });
                prepare(&provider);
                let (client, _) = host.client(&[], COMMAND);
                let finished = press_enter(client);
                show(&format!("{name}: in after {:?}", finished.elapsed));
                host.got_in(&finished);
            });
        }
    });
}
