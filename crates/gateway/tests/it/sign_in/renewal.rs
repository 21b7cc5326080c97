//! New tokens for old ones, while a page asks for many things at once.

use super::*;

/// A site whose first tokens end at once, and are good a little longer because clocks differ.
fn site_of_short_tokens(later: Value) -> Site {
    let (provider, upstream) = (provider(&json!({})), Upstream::start());
    let key = Key::generate("short");
    let published = key.jwk();
    provider.edit(Endpoint::Jwks, move |keys| {
        keys["keys"].as_array_mut().unwrap().push(published.clone());
    });
    let issuer = provider.issuer();
    let mut count = 0;
    provider.edit(Endpoint::Token, move |body| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": issuer, "aud": AUDIENCE, "sub": "ada", "client_id": "web",
            "jti": format!("{count}"), "iat": now, "exp": if count == 0 { now } else { now + 300 },
        });
        if count > 0 {
            for (name, value) in later.as_object().unwrap() {
                claims[name] = value.clone();
            }
        }
        count += 1;
        let header = json!({ "typ": "at+jwt" });
        body["access_token"] = json!(key.sign(&header, &claims, Signature::Good));
    });
    provider.revoke_on_reuse(Duration::ZERO);
    let text = text(&provider, &upstream.url(), "").replace("leeway = \"0s\"", "leeway = \"60s\"");
    let running = start_in(&text, keys('a'));
    Site {
        provider,
        upstream,
        running,
    }
}

#[test]
fn all_requests_of_a_page_at_once_renew_the_tokens_once_and_none_loses_the_session() {
    let site = site_of_short_tokens(json!({}));
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let before = ada.clone();
    let after: Vec<Visitor> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..32)
            .map(|_| {
                let (site, mut tab) = (&site, before.clone());
                scope.spawn(move || {
                    let answer = tab.send(&site.running, "GET", "/app/", &FETCHES);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert_eq!(answer.header("cache-control"), Some("no-store"));
                    tab
                })
            })
            .collect();
        asking.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let renewals = || {
        let asked = site.provider.requests(Endpoint::Token);
        let of = |request: &countersign_testkit::Request| request.form_value("grant_type");
        asked
            .iter()
            .filter(|it| of(it).as_deref() == Some("refresh_token"))
            .count()
    };
    assert_eq!((renewals(), site.provider.reuses()), (1, 0));
    for mut tab in after {
        let answer = tab.send(&site.running, "GET", "/app/", &FETCHES);
        assert_eq!(answer.status, 200);
        assert_eq!(set_cookies(&answer), [""; 0]);
        assert_eq!(answer.header("cache-control"), Some("private"));
    }
    // Somebody who comes late with the cookie of before.
    assert_eq!(
        before
            .clone()
            .send(&site.running, "GET", "/app/", &FETCHES)
            .status,
        200
    );
    assert_eq!(renewals(), 1);
}

#[test]
fn a_refusal_keeps_the_renewed_tokens_too() {
    let site = site_of_short_tokens(json!({}));
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let before = ada.jar.clone();
    assert_eq!(
        ada.send(&site.running, "GET", "/keepers/", &FETCHES).status,
        403
    );
    assert_ne!(ada.jar, before);
    let answer = ada.send(&site.running, "GET", "/app/", &FETCHES);
    assert_eq!((answer.status, set_cookies(&answer).len()), (200, 0));
}

#[test]
fn a_session_is_over_when_the_server_says_so_or_renews_it_for_somebody_else() {
    for later in [
        json!({ "sub": "eve" }),
        json!({ "aud": "https://other.example" }),
        Value::Null,
    ] {
        let is_refused = later.is_null();
        let site = site_of_short_tokens(if is_refused { json!({}) } else { later });
        let mut ada = Visitor::default();
        ada.sign_in(&site, "/app/");
        if is_refused {
            let refusal = Reply::json(400, &json!({ "error": "invalid_grant" }));
            site.provider.always(Endpoint::Token, refusal);
        }
        assert_eq!(
            ada.send(&site.running, "GET", "/app/", &FETCHES).status,
            401
        );
        assert_eq!(ada.open(&site.running, "/app/").status, 303);
    }
}

#[test]
fn while_tokens_cannot_be_renewed_the_old_one_does_until_it_ends() {
    let site = site_of_short_tokens(json!({}));
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    site.provider
        .always(Endpoint::Token, Reply::text(503, "text/plain", "away"));
    for _ in 0..5 {
        assert_eq!(
            ada.send(&site.running, "GET", "/app/", &FETCHES).status,
            200
        );
    }
    // Whether a token that was sent is spent, nobody knows; so it is sent once.
    assert_eq!(site.provider.requests(Endpoint::Token).len(), 2);
}
