//! Renewals of sessions that are open, at authorization servers that send no ID token with them (OpenID
//! Connect Core 1.0, section 12.2), or one that says less than the rules ask for.

use std::thread;

use countersign_pam_wire::{ToDaemon, Verdict};
use countersign_testkit::{Endpoint, Provider, Reply};
use serde_json::json;

use crate::fixture::{Fixture, Monitor, account, opened};

/// What a server does at renewals, and what comes of it.
struct Case {
    about: &'static str,
    /// Beside the usual keys.
    keys: &'static str,
    /// Of the rule.
    whom: &'static str,
    server: fn(&Provider),
    /// In one line of the journal.
    says: &'static [&'static str],
    /// Whether userinfo is asked.
    asks: bool,
}

const OPS: &str = "group = \"ops\"";

/// From the first renewal on there is no ID token.
fn without_id_token(provider: &Provider) {
    let mut has_signed_in = false;
    provider.edit(Endpoint::Token, move |answer| {
        if has_signed_in {
            answer.as_object_mut().unwrap().remove("id_token");
        }
        has_signed_in = true;
    });
}

/// Userinfo says these groups, and there is no ID token.
fn userinfo_says(provider: &Provider, groups: &'static [&'static str]) {
    without_id_token(provider);
    provider.edit(Endpoint::Userinfo, move |answer| {
        answer["groups"] = json!(groups);
    });
}

fn without_userinfo(provider: &Provider) {
    without_id_token(provider);
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
        provider.edit(endpoint, |metadata| {
            metadata
                .as_object_mut()
                .unwrap()
                .remove("userinfo_endpoint");
        });
    }
}

const ENDS: &[&str] = &["access end refused", "why=withdrawn"];

const CASES: [Case; 9] = [
    Case {
        about: "still in the group",
        keys: "",
        whom: OPS,
        server: |provider| userinfo_says(provider, &["dev", "ops"]),
        says: &[],
        asks: true,
    },
    Case {
        about: "not in the group any more",
        keys: "",
        whom: OPS,
        server: |provider| userinfo_says(provider, &["dev"]),
        says: &["access end refused", "why=withdrawn", "the claim groups"],
        asks: true,
    },
    // Section 5.3.2: then nothing of it may be used.
    Case {
        about: "userinfo is about another person",
        keys: "",
        whom: OPS,
        server: |provider| {
            userinfo_says(provider, &["ops"]);
            provider.edit(Endpoint::Userinfo, |answer| answer["sub"] = json!("eve"));
        },
        says: ENDS,
        asks: true,
    },
    Case {
        about: "there is no userinfo, and that was not foreseen",
        keys: "",
        whom: OPS,
        server: without_userinfo,
        says: &["access end refused", "why=withdrawn", "userinfo"],
        asks: false,
    },
    Case {
        about: "there is no userinfo, and that was foreseen",
        keys: "renew_without_id_token = \"keep\"\n",
        whom: OPS,
        server: without_userinfo,
        says: &[],
        asks: false,
    },
    // Section 5.3.2: a server may be told to sign it. We have not told it so.
    Case {
        about: "userinfo is signed",
        keys: "",
        whom: OPS,
        server: |provider| {
            without_id_token(provider);
            provider.always(
                Endpoint::Userinfo,
                Reply::text(200, "application/jwt", "e30.e30.e30"),
            );
        },
        says: &["access end refused", "why=withdrawn", "userinfo"],
        asks: true,
    },
    Case {
        about: "userinfo is away for a while, and the token of that renewal is not lost",
        keys: "",
        whom: OPS,
        server: |provider| {
            userinfo_says(provider, &["ops"]);
            provider.first(Endpoint::Userinfo, [Reply::new(503)]);
        },
        says: &["renewal granted", "goes on"],
        asks: true,
    },
    Case {
        about: "who it is says enough",
        keys: "",
        whom: "sub = \"ada\"",
        server: without_id_token,
        says: &[],
        asks: false,
    },
    Case {
        about: "the ID token of renewals says less than that of the sign-in",
        keys: "",
        whom: OPS,
        server: |provider| {
            let mut has_signed_in = false;
            provider.edit_id_token(move |_, claims| {
                if has_signed_in {
                    claims.as_object_mut().unwrap().remove("groups");
                }
                has_signed_in = true;
            });
            provider.edit(Endpoint::Userinfo, |answer| {
                answer["groups"] = json!(["ops"]);
            });
        },
        says: &[],
        asks: true,
    },
];

#[test]
fn a_renewal_confirms_what_the_server_says_and_nothing_that_it_does_not() {
    thread::scope(|scope| {
        for case in &CASES {
            scope.spawn(|| play(case));
        }
    });
}

fn play(case: &Case) {
    let about = case.about;
    let provider = Provider::start();
    provider.edit_id_token(|_, claims| claims["groups"] = json!(["ops"]));
    (case.server)(&provider);
    let config = format!(
        "min_uid = 0\nallow_root = true\nrenew_every = \"5s\"\nwarning = \"0s\"\n{}[[rule]]\nname = \"ops\"\n\
         accounts = [{:?}]\n{}\n",
        case.keys,
        account(),
        case.whom,
    );
    let fixture = Fixture::at(provider, &config, |_| {});
    let monitor = Monitor::start();
    let login = monitor.login(&account());
    let done = fixture.begin_as(login.clone()).finish();
    assert_eq!(done.verdict, Verdict::Success, "{about}: {done:?}");
    for message in [ToDaemon::Account(login.clone()), opened(login)] {
        let mut module = fixture.module();
        module.say(&message);
        assert_eq!(module.finish().verdict, Verdict::Success, "{about}");
    }
    if case.says.is_empty() {
        // A token that was replaced is refused, so the second renewal was made with the first one's.
        fixture.wait_until(about, || renewals(&fixture) >= 3);
        let log = fixture.log().join("\n");
        assert!(
            !log.contains("access end") && !log.contains("renewal failed"),
            "{about}: {log}"
        );
    } else {
        let line = fixture.logged(case.says);
        assert!(line.contains(&done.reference), "{about}: {line}");
    }
    let asked = fixture.provider.requests(Endpoint::Userinfo).len();
    assert_eq!(
        asked > 0,
        case.asks,
        "{about}: userinfo was asked {asked} times"
    );
}

fn renewals(fixture: &Fixture) -> usize {
    let asked = fixture.provider.requests(Endpoint::Token);
    let renewed = asked
        .iter()
        .filter(|request| request.form_value("grant_type").as_deref() == Some("refresh_token"));
    renewed.count()
}
