//! What a session is good for, and what others make of one.

use super::*;

#[test]
fn a_cookie_that_was_changed_or_is_from_elsewhere_is_none() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let good = ada.jar["__Host-countersign"].clone();
    let other_key = start_in(&text(&site.provider, &site.upstream.url(), ""), keys('b'));
    assert_eq!(ada.clone().open(&other_key, "/app/").status, 303);
    let mut half = good.clone();
    half.truncate(good.len() / 2);
    let mut changed = good.clone().into_bytes();
    let at = changed.len() / 2;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let attempt = {
        let mut other = Visitor::default();
        other.open(&site.running, "/app/");
        format!("1.{}", other.jar.values().next().unwrap())
    };
    for value in [
        half,
        String::from_utf8(changed).unwrap(),
        attempt,
        "1.".to_owned(),
        "x".to_owned(),
        format!("2.{good}"),
    ] {
        let mut eve = ada.clone();
        eve.jar
            .insert("__Host-countersign".to_owned(), value.clone());
        assert_eq!(
            eve.clone().open(&site.running, "/app/").status,
            303,
            "{value}"
        );
        assert_eq!(
            eve.send(&site.running, "GET", "/app/", &FETCHES).status,
            401,
            "{value}"
        );
    }
    // Without the prefix, anybody on a neighbouring host could have set it.
    let mut tossed = Visitor::default();
    tossed.jar.insert("countersign".to_owned(), good);
    assert_eq!(tossed.open(&site.running, "/app/").status, 303);
    assert_eq!(ada.open(&site.running, "/app/").status, 200);
}

#[test]
fn every_replica_with_the_key_knows_the_session_and_finishes_a_sign_in() {
    let site = site();
    let text = text(&site.provider, &site.upstream.url(), "");
    let other = start_in(&text, keys('a'));
    let mut ada = Visitor::default();
    let back = ada.begin(&site, "/app/x");
    assert_eq!(
        location(&ada.open(&other, &back)),
        "https://gateway.test/app/x"
    );
    assert_eq!(ada.open(&site.running, "/app/x").status, 200);
    // A new key seals, and the old one still opens.
    let rotated = keys('b');
    std::fs::copy(
        site.running.directory.path().join("cookie.key"),
        rotated.path().join("old.key"),
    )
    .unwrap();
    let text = text.replace("\"cookie.key\"", "[\"cookie.key\", \"old.key\"]");
    let rotated = start_in(&text, rotated);
    assert_eq!(ada.open(&rotated, "/app/x").status, 200);
}

#[test]
fn a_page_of_another_site_cannot_act_for_the_person() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let post = |headers: &[&str]| {
        ada.clone()
            .send(&site.running, "POST", "/app/", headers)
            .status
    };
    assert_eq!(post(&POSTS), 200);
    assert_eq!(post(&["Origin: https://gateway.test"]), 200);
    for headers in [
        &[][..],
        &["Origin: https://evil.example"],
        &["Origin: null"],
        &["Sec-Fetch-Site: same-site", "Origin: https://gateway.test"],
        &[
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: document",
        ],
    ] {
        assert_eq!(post(headers), 403, "{headers:?}");
    }
    let handshake = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Origin: https://evil.example",
    ];
    assert_eq!(
        ada.clone()
            .send(&site.running, "GET", "/app/", &handshake)
            .status,
        403
    );
    // A link from anywhere opens the page.
    let link = [
        "Accept: text/html",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
    ];
    assert_eq!(ada.send(&site.running, "GET", "/app/", &link).status, 200);
}

#[test]
fn the_upstream_gets_the_other_cookies_and_never_ours() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    ada.jar.insert("theme".to_owned(), "dark".to_owned());
    ada.jar.insert("countersign".to_owned(), "1.x".to_owned());
    for target in ["/app/", "/open/"] {
        let seen = ada.open(&site.running, target).json();
        assert_eq!(seen["headers"]["cookie"], json!(["theme=dark"]), "{target}");
        assert_eq!(seen["headers"]["authorization"], Value::Null);
    }
}

#[test]
fn an_upstream_cannot_set_or_take_away_a_session() {
    let provider = provider(&json!({}));
    let upstream = Bare::start(|mut stream| {
        read_head(&mut stream);
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nSet-Cookie: __Host-countersign=1.x; Path=/\r\nSet-Cookie: a=b\r\nSet-Cookie: countersign-in-x=; Max-Age=0\r\n\r\n",
        );
    });
    let running = start_in(&text(&provider, &upstream.url(), ""), keys('a'));
    let answer = running.get("/open/", &[]);
    assert_eq!(set_cookies(&answer), ["a=b"]);
}

#[test]
fn who_signs_out_is_signed_out_everywhere_and_only_by_their_own_doing() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let mut copy = ada.clone();
    let out = "/.countersign/sign-out";
    for headers in [
        &[
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: document",
        ][..],
        &["Sec-Fetch-Site: same-site", "Origin: https://gateway.test"],
        &[],
    ] {
        for method in ["GET", "POST"] {
            assert_page(&ada.send(&site.running, method, out, headers), 403);
        }
    }
    assert_eq!(ada.open(&site.running, "/app/").status, 200);
    let answer = ada.send(&site.running, "POST", out, &POSTS);
    assert_page(&answer, 200);
    assert!(ada.jar.is_empty(), "{:?}", ada.jar);
    assert_eq!(ada.open(&site.running, "/app/").status, 303);
    assert_eq!(
        copy.send(&site.running, "GET", "/app/", &FETCHES).status,
        401
    );
}

#[test]
fn signing_out_leads_to_where_the_session_ends_at_the_server() {
    let provider = provider(&json!({}));
    let end = format!("{}/end", provider.issuer());
    let published = end.clone();
    provider.edit(Endpoint::OpenIdConfiguration, move |metadata| {
        metadata["end_session_endpoint"] = json!(published);
    });
    let upstream = Upstream::start();
    let running = start_in(
        &text(&provider, &upstream.url(), "after_sign_out = \"/open/bye\""),
        keys('a'),
    );
    let site = Site {
        provider,
        upstream,
        running,
    };
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let away = ada.send(
        &site.running,
        "GET",
        "/.countersign/sign-out",
        &["Sec-Fetch-Site: same-origin"],
    );
    let url = Url::parse(location(&away)).unwrap();
    assert!(url.as_str().starts_with(&end), "{url}");
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(
        query["post_logout_redirect_uri"],
        "https://gateway.test/open/bye"
    );
    assert_eq!(query["client_id"], "web");
    assert!(site.provider.secrets().contains(&query["id_token_hint"]));
    // Who is not signed in need not go there.
    let home = ada.send(
        &site.running,
        "GET",
        "/.countersign/sign-out",
        &["Sec-Fetch-Site: same-origin"],
    );
    assert_eq!(location(&home), "https://gateway.test/open/bye");
}

#[test]
fn a_session_ends_with_its_token_and_the_person_signs_in_again() {
    let site = site_of(&json!({ "life": 2 }));
    site.provider.refresh_when_asked();
    let mut ada = Visitor::default();
    assert_eq!(ada.sign_in(&site, "/app/").status, 303);
    let begin = Instant::now();
    loop {
        let answer = ada.send(&site.running, "GET", "/app/", &FETCHES);
        if answer.status == 401 {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("invalid_token"), "{challenge}");
            break;
        }
        assert_eq!(answer.status, 200);
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_audit_log_tells_of_sign_ins_and_holds_no_secret_of_one() {
    let site = site();
    let mut ada = Visitor::default();
    let back = ada.begin(&site, "/app/");
    ada.open(&site.running, &back);
    ada.open(&site.running, &back);
    ada.send(&site.running, "POST", "/.countersign/sign-out", &POSTS);
    let Site {
        provider, running, ..
    } = site;
    let path = running.directory.path().join("audit.jsonl");
    running.gateway.stop();
    let begin = Instant::now();
    let log = loop {
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        if log.contains("signed_out") || begin.elapsed() > PATIENCE {
            break log;
        }
    };
    for code in [
        "no_credentials",
        "signed_in",
        "sign_in_unknown",
        "signed_out",
    ] {
        assert!(
            log.contains(&format!("\"code\":\"{code}\"")),
            "{code}: {log}"
        );
    }
    assert!(log.contains("\"sub\":\"ada\""), "{log}");
    for secret in provider.secrets() {
        assert!(!log.contains(&secret), "{log}");
    }
    let state = back
        .split("state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    assert!(!log.contains(state), "{log}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_write() {
    let (provider, upstream) = (provider(&json!({})), Upstream::start());
    let good = text(&provider, &upstream.url(), "");
    let complaint = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let directory = keys('a');
        match config(&good.replacen(from, to, 1), directory.path()) {
            Ok(_) => format!("nothing is wrong with {to:?}"),
            Err(problem) => problem.to_string(),
        }
    };
    for (from, to, said) in [
        (
            ORIGIN,
            "http://gateway.test",
            "cookies would travel in the clear to http://gateway.test",
        ),
        (
            "client_id = \"web\"",
            "client_id = \"\"",
            "client_id is empty",
        ),
        (
            "cookie_key_file = \"cookie.key\"",
            "cookie_key_file = []",
            "cookies have from 1 to 8 keys",
        ),
        (
            "client_id = \"web\"",
            "client_id = \"web\"\nprefix = \"auth\"",
            "is no prefix for paths",
        ),
        (
            "client_id = \"web\"",
            "client_id = \"web\"\nidle = \"2h\"\nlongest = \"1h\"",
            "idle is not more than longest",
        ),
        (
            "client_id = \"web\"",
            "client_id = \"web\"\nafter_sign_out = \"https://evil.example\"",
            "is no path of this site",
        ),
        (
            "client_id = \"web\"",
            "client_id = \"web\"\nsecret_file = \"a\"\nclient_key_file = \"b\"",
            "a secret or a key, not both",
        ),
        (
            "client_id = \"web\"",
            "client_id = \"web\"\ncookie_name = \"a-b\"",
            "is no name for a cookie",
        ),
        (
            "sign_in = true\n",
            "sign_in = true\nsender_constrained = true\n",
            "which no browser has",
        ),
        (
            "sign_in = true\n",
            "sign_in = true\npublic = true\n",
            "public and asks for something",
        ),
    ] {
        let complaint = complaint(from, to);
        assert!(complaint.contains(said), "{to}: {complaint}");
    }
    let directory = keys('a');
    let config = config(&good, directory.path()).unwrap_or_else(|problem| panic!("{problem}"));
    let words = countersign_gateway::config::explain(&config);
    assert!(
        words.contains("people at a browser are sent to sign in, programs are not"),
        "{words}"
    );
    let warnings = config.warnings().join("\n");
    assert!(
        warnings.contains("the scope keep, which [sign_in] does not ask for"),
        "{warnings}"
    );
}

#[test]
fn who_signs_out_leaves_no_refresh_token_behind() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    ada.send(&site.running, "POST", "/.countersign/sign-out", &POSTS);
    let begin = Instant::now();
    while site.provider.requests(Endpoint::Revocation).is_empty() {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_signs_out_or_brings_an_answer_at_one_replica_has_done_so_at_all() {
    let database = Database::redis(&[]);
    let state = format!(
        "[state]\nurl = \"redis+unix://{}\"\ntime = \"10s\"\n\n[audit]",
        database.socket().display()
    );
    let (provider, upstream) = (provider(&json!({})), Upstream::start());
    let text = text(&provider, &upstream.url(), "").replace("[audit]", &state);
    let other = start_in(&text, keys('a'));
    let running = start_in(&text, keys('a'));
    let site = Site {
        provider,
        upstream,
        running,
    };
    let mut ada = Visitor::default();
    let back = ada.begin(&site, "/app/");
    let mut copy = ada.clone();
    assert_eq!(ada.open(&site.running, &back).status, 303);
    assert_page(&copy.open(&other, &back), 400);
    let mut copy = ada.clone();
    assert_eq!(copy.open(&other, "/app/").status, 200);
    ada.send(&site.running, "POST", "/.countersign/sign-out", &POSTS);
    assert_eq!(copy.send(&other, "GET", "/app/", &FETCHES).status, 401);
}
