//! Who is sent to sign in, with what, and what they see when they come back.

use super::*;

#[test]
fn a_person_signs_in_and_comes_back_to_the_page_that_they_wanted() {
    let site = site();
    let mut ada = Visitor::default();
    let back = ada.sign_in(&site, "/app/a%20b?c=d&e=%2F");
    assert_eq!(location(&back), "https://gateway.test/app/a%20b?c=d&e=%2F");
    let page = ada.open(&site.running, "/app/a%20b?c=d&e=%2F");
    assert_eq!(page.status, 200, "{page:?}");
    let seen = page.json();
    assert_eq!(seen["headers"]["x-auth-subject"], json!(["ada"]));
    assert_eq!(seen["headers"]["x-auth-client-id"], json!(["web"]));
    for hidden in ["cookie", "authorization"] {
        assert_eq!(seen["headers"][hidden], Value::Null);
    }
}

#[test]
fn what_is_asked_of_the_authorization_server_is_a_code_with_pkce_state_and_nonce() {
    let site = site();
    let away = Visitor::default().open(&site.running, "/app/");
    let url = Url::parse(location(&away)).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "web"),
        ("code_challenge_method", "S256"),
        ("scope", "openid"),
        ("redirect_uri", "https://gateway.test/.countersign/callback"),
    ] {
        assert_eq!(query[name], value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(query[name].len(), 43, "{name}");
    }
    assert_eq!(away.header("cache-control"), Some("no-store"));
}

#[test]
fn cookies_are_sealed_bound_to_the_host_and_of_no_use_to_scripts() {
    let site = site();
    let mut ada = Visitor::default();
    let away = ada.open(&site.running, "/app/");
    let back = ada.sign_in(&site, "/app/");
    let mut sessions = 0;
    for cookie in [set_cookies(&away), set_cookies(&back)].concat() {
        assert!(cookie.starts_with("__Host-countersign"), "{cookie}");
        assert!(
            cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"),
            "{cookie}"
        );
        assert!(cookie.contains("; Path=/; Max-Age="), "{cookie}");
        sessions += usize::from(cookie.starts_with("__Host-countersign="));
    }
    assert_eq!(sessions, 1);
    for secret in site.provider.secrets() {
        assert!(!back.head.contains(&secret) && !away.head.contains(&secret));
    }
}

#[test]
fn on_this_machine_without_tls_a_cookie_is_such_as_browsers_take_there() {
    let (provider, upstream) = (provider(&json!({})), Upstream::start());
    let text = text(&provider, &upstream.url(), "").replace(ORIGIN, "http://localhost");
    let running = start_in(&text, keys('a'));
    let request = format!(
        "GET /app/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n\r\n",
        OPENS.join("\r\n")
    );
    let cookies = set_cookies(&running.raw(request));
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].starts_with("countersign-in-"), "{cookies:?}");
    assert!(
        cookies[0].ends_with("; HttpOnly; SameSite=Lax"),
        "{cookies:?}"
    );
}

#[test]
fn a_program_is_never_sent_anywhere() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let opens = OPENS.join("\r\n");
    for (method, target, headers) in [
        ("GET", "/app/", &[][..]),
        ("GET", "/app/", &["Accept: */*"]),
        ("GET", "/app/", &["Accept: application/json"]),
        ("GET", "/app/", &FETCHES),
        (
            "GET",
            "/app/",
            &["Accept: text/html", "X-Requested-With: XMLHttpRequest"],
        ),
        ("GET", "/app/", &[&opens, "Authorization: Bearer x.y.z"]),
        ("GET", "/app/", &[&opens, "Authorization: Basic eDp5"]),
        ("GET", "/app/?access_token=x", &[&opens]),
        ("POST", "/app/", &POSTS),
        ("PUT", "/app/", &[&opens]),
        ("GET", "/api/", &[&opens]),
        (
            "GET",
            "/app/",
            &[
                "Accept: text/html",
                "Connection: Upgrade",
                "Upgrade: websocket",
            ],
        ),
    ] {
        let answer = site.running.request(method, target, headers, "");
        assert_eq!(
            answer.status, 401,
            "{method} {target} {headers:?}: {answer:?}"
        );
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        assert!(set_cookies(&answer).is_empty() && answer.header("location").is_none());
        assert_eq!(answer.body, "");
    }
    // A session is of no use where a route does not ask for one, nor beside a token of the caller's.
    assert_eq!(ada.open(&site.running, "/api/").status, 401);
    let both = [&opens, "Authorization: Bearer x.y.z"];
    assert_eq!(ada.send(&site.running, "GET", "/app/", &both).status, 401);
}

#[test]
fn several_tabs_sign_in_at_once_and_the_oldest_of_too_many_gives_way() {
    let site = site();
    let mut ada = Visitor::default();
    let one = ada.begin(&site, "/app/one");
    let two = ada.begin(&site, "/app/two");
    assert_eq!(
        location(&ada.open(&site.running, &two)),
        "https://gateway.test/app/two"
    );
    assert_eq!(
        location(&ada.open(&site.running, &one)),
        "https://gateway.test/app/one"
    );
    let mut eve = Visitor::default();
    for number in 0..20 {
        eve.open(&site.running, &format!("/app/{number}"));
        assert!(eve.jar.len() <= 8, "{}", eve.jar.len());
    }
    let last = eve.begin(&site, "/app/last");
    assert_eq!(
        location(&eve.open(&site.running, &last)),
        "https://gateway.test/app/last"
    );
}

#[test]
fn a_page_that_wants_a_stronger_sign_in_leads_to_one_and_not_to_a_second() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let away = ada.open(&site.running, "/strong/");
    assert!(location(&away).contains("acr_values=mfa"), "{away:?}");
    // No `acr` comes back, whatever was asked: first in the ID token, then in the access token.
    let mut eve = Visitor::default();
    let address = eve.open(&site.running, "/strong/");
    assert!(location(&address).contains("acr_values=mfa"), "{address:?}");
    assert_page(&eve.sign_in(&site, "/strong/"), 403);
    site.provider
        .edit_id_token(|_, claims| claims["acr"] = json!("mfa"));
    assert_eq!(
        location(&eve.sign_in(&site, "/strong/")),
        "https://gateway.test/strong/"
    );
    let answer = eve.open(&site.running, "/strong/");
    assert_page(&answer, 403);
    assert!(
        answer
            .body
            .contains("not in the way that this page asks for"),
        "{answer:?}"
    );
    let fetch = eve.send(&site.running, "GET", "/strong/", &FETCHES);
    assert_eq!(fetch.status, 401);
    assert!(
        fetch
            .header("www-authenticate")
            .unwrap()
            .contains("acr_values=\"mfa\"")
    );
}

#[test]
fn a_page_that_wants_a_stronger_sign_in_opens_after_it() {
    let site = site_of(&json!({ "acr": "mfa" }));
    site.provider
        .edit_id_token(|_, claims| claims["acr"] = json!("mfa"));
    let mut ada = Visitor::default();
    assert_eq!(
        location(&ada.sign_in(&site, "/strong/x")),
        "https://gateway.test/strong/x"
    );
    assert_eq!(ada.open(&site.running, "/strong/x").status, 200);
}

#[test]
fn who_is_signed_in_and_may_not_is_told_so_and_not_sent_round() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    let answer = ada.open(&site.running, "/keepers/");
    assert_page(&answer, 403);
    assert!(answer.body.contains("/.countersign/sign-out"), "{answer:?}");
    let fetch = ada.send(&site.running, "GET", "/keepers/", &FETCHES);
    assert_eq!((fetch.status, fetch.body.as_str()), (403, ""));
    assert!(
        fetch
            .header("www-authenticate")
            .unwrap()
            .contains("insufficient_scope")
    );
}

/// A browser cannot send a password with a request, and signing in again would not change that.
#[test]
fn who_opens_what_a_password_confirms_is_told_to_take_a_command_line() {
    let (provider, upstream) = (provider(&json!({})), Upstream::start());
    let directory = keys('a');
    crate::step_up::furnish(directory.path());
    let route = "[[route]]\npath = \"/confirmed/**\"\nsign_in = true\nupstream = \"stock\"\n\
                 step_up = { otp = [\"yubikey\"] }\n[otp]\nregistry = \"otp.sqlite\"\nkey_file = \"otp.key\"\n";
    let text = text(&provider, &upstream.url(), "") + route;
    let site = Site {
        running: start_in(&text, directory),
        provider,
        upstream,
    };
    let mut ada = Visitor::default();
    let back = ada.begin(&site, "/confirmed/");
    let answer = ada.open(&site.running, &back);
    let answer = ada.open(&site.running, location(&answer));
    assert_page(&answer, 403);
    assert!(answer.body.contains("countersign curl"), "{answer:?}");
    let fetch = ada.send(&site.running, "GET", "/confirmed/", &FETCHES);
    assert_eq!((fetch.status, fetch.body.as_str()), (403, ""));
    assert!(site.upstream.requests().is_empty());
}

#[test]
fn while_the_authorization_server_is_away_people_are_told_and_it_is_not_stormed() {
    let site = site();
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
        site.provider
            .always(endpoint, Reply::text(500, "text/plain", "away"));
    }
    let asked = || site.provider.requests(Endpoint::OpenIdConfiguration).len();
    let mut ada = Visitor::default();
    assert_page(&ada.open(&site.running, "/app/"), 503);
    let once = asked();
    for _ in 0..20 {
        assert_page(&ada.open(&site.running, "/app/"), 503);
    }
    assert!(asked() <= once + 3, "{} then {}", once, asked());
    assert_eq!(site.running.get("/app/", &[]).status, 401);
}

#[test]
fn a_client_with_a_secret_proves_itself_and_pushes_its_request_where_the_server_wants_that() {
    for authentication in [
        ClientAuthentication::SecretBasic("a secret".to_owned()),
        ClientAuthentication::SecretPost("a secret".to_owned()),
    ] {
        let (provider, upstream) = (provider(&json!({})), Upstream::start());
        provider.demand_authentication(authentication);
        provider.demand_par();
        let directory = keys('a');
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "a secret\n").unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let more = "secret_file = \"secret\"";
        let running = start_in(&text(&provider, &upstream.url(), more), directory);
        let site = Site {
            provider,
            upstream,
            running,
        };
        let mut ada = Visitor::default();
        let away = ada.open(&site.running, "/app/");
        assert!(location(&away).contains("request_uri="), "{away:?}");
        assert!(!location(&away).contains("state="), "{away:?}");
        assert_eq!(ada.sign_in(&site, "/app/").status, 303);
        assert_eq!(ada.open(&site.running, "/app/").status, 200);
    }
}
