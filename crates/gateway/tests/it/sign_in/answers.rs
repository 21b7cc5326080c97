//! What is brought back from a sign-in, and by whom: a code counts once, here, and for nobody else.

use super::*;

#[test]
fn an_answer_counts_once() {
    let site = site();
    let mut ada = Visitor::default();
    let back = ada.begin(&site, "/app/");
    let mut copy = ada.clone();
    assert_eq!(ada.open(&site.running, &back).status, 303);
    // The browser has forgotten it, and somebody who kept the cookie gets no further.
    assert_page(&ada.open(&site.running, &back), 400);
    assert_page(&copy.open(&site.running, &back), 400);
    assert!(!copy.jar.contains_key("__Host-countersign"));
    assert_eq!(site.provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn an_answer_that_was_begun_in_another_browser_signs_nobody_in() {
    let site = site();
    let (mut eve, mut ada) = (Visitor::default(), Visitor::default());
    let of_eve = eve.begin(&site, "/app/");
    // Somebody who is not signing in, and somebody who is.
    assert_page(&ada.open(&site.running, &of_eve), 400);
    ada.open(&site.running, "/app/");
    assert_page(&ada.open(&site.running, &of_eve), 400);
    assert!(!ada.jar.contains_key("__Host-countersign"));
    assert_eq!(site.provider.requests(Endpoint::Token).len(), 0);
    // The other way round: a code that was stolen goes with nobody else's state.
    let of_ada = ada.begin(&site, "/app/");
    let code = |target: &str| {
        let url = Url::parse(ORIGIN).unwrap().join(target).unwrap();
        url.query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .into_owned()
    };
    let mixed = of_eve.replace(&code(&of_eve), &code(&of_ada));
    assert_page(&eve.open(&site.running, &mixed), 403);
    assert!(!eve.jar.contains_key("__Host-countersign"));
}

#[test]
fn what_is_no_answer_to_a_sign_in_is_refused_without_asking_anybody() {
    let site = site();
    let mut ada = Visitor::default();
    let back = ada.begin(&site, "/app/");
    let state = back
        .split("state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    for target in [
        CALLBACK.to_owned(),
        format!("{CALLBACK}?code=x"),
        format!("{CALLBACK}?code=x&state=guessed"),
        format!("{CALLBACK}?state={state}"),
        format!("{CALLBACK}?code=x&code=y&state={state}"),
        format!("{CALLBACK}?code=x&state={state}&state={state}"),
        format!("{CALLBACK}?code=x&state={state}&iss=https%3A%2F%2Fevil.example"),
        format!("{CALLBACK}?code=x&state={state}"),
        format!("{CALLBACK}?code={}&state={state}", "x".repeat(17_000)),
    ] {
        let answer = ada.clone().open(&site.running, &target);
        assert_page(&answer, 400);
        assert!(!answer.body.contains("evil"), "{answer:?}");
    }
    let refused = ada.clone().open(
        &site.running,
        &format!(
            "{CALLBACK}?error=access_denied&error_description=%3Cb%3Eno%3C%2Fb%3E&state={state}"
        ),
    );
    assert_page(&refused, 403);
    assert!(
        refused.body.contains("&lt;b&gt;no&lt;/b&gt;"),
        "{refused:?}"
    );
    assert_eq!(site.provider.requests(Endpoint::Token).len(), 0);
    // None of it has used the answer up.
    assert_eq!(ada.open(&site.running, &back).status, 303);
}

#[test]
fn an_answer_of_another_issuer_is_refused() {
    let site = site();
    site.provider.edit_authorization_response(|members| {
        for (name, value) in members {
            if name == "iss" {
                *value = "https://mixed-up.example".to_owned();
            }
        }
    });
    let mut ada = Visitor::default();
    assert_page(&ada.sign_in(&site, "/app/"), 400);
    assert_eq!(site.provider.requests(Endpoint::Token).len(), 0);
}

#[test]
fn an_id_token_that_breaks_a_rule_signs_nobody_in() {
    type Edit = fn(&mut Value);
    let edits: [Edit; 5] = [
        |claims| claims["nonce"] = json!("another"),
        |claims| claims["aud"] = json!("another"),
        |claims| claims["iss"] = json!("https://another.example"),
        |claims| claims["exp"] = json!(1_000),
        |claims| claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA"),
    ];
    for edit in edits {
        let site = site();
        site.provider.edit_id_token(move |_, claims| edit(claims));
        let mut ada = Visitor::default();
        assert_page(&ada.sign_in(&site, "/app/"), 403);
        assert!(!ada.jar.contains_key("__Host-countersign"));
    }
    let site = site();
    site.provider.sign_with(Signature::ForeignKey);
    assert_page(&Visitor::default().sign_in(&site, "/app/"), 403);
}

#[test]
fn a_token_that_is_for_another_api_signs_nobody_in() {
    for changes in [
        json!({ "aud": "https://other.example" }),
        json!({ "iss": "https://other.example" }),
        json!({ "exp": 1_000 }),
        json!({ "cnf": { "jkt": "x" } }),
    ] {
        let site = site_of(&changes);
        let mut ada = Visitor::default();
        assert_page(&ada.sign_in(&site, "/app/"), 403);
        assert!(!ada.jar.contains_key("__Host-countersign"), "{changes}");
    }
}

#[test]
fn nobody_is_led_to_another_site() {
    let site = site();
    let mut ada = Visitor::default();
    // What has two meanings is refused before anybody is sent to sign in.
    for target in [
        "//evil.example/app/",
        "/app//evil.example",
        "/app/..%2f..%2fevil",
        "/app/\\evil.example",
        "/app/%0d%0aLocation:x",
    ] {
        let answer = ada.open(&site.running, target);
        assert!([400, 403].contains(&answer.status), "{target}: {answer:?}");
    }
    for target in [
        "/app/?return=https://evil.example",
        "/app/@evil.example",
        "/app/https:/evil.example",
        "/app/?//evil.example",
    ] {
        let back = Visitor::default().sign_in(&site, target);
        assert_eq!(location(&back), format!("{ORIGIN}{target}"));
    }
    // Nor does the callback take an address from anybody.
    let back = ada.begin(&site, "/app/")
        + "&return=https://evil.example&redirect_uri=https://evil.example";
    assert_eq!(
        location(&ada.open(&site.running, &back)),
        "https://gateway.test/app/"
    );
}
