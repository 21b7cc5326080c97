//! People at a browser, and programs that are none: who is sent to sign in, what they come back with,
//! and what others make of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use countersign_testkit::{Browser, Endpoint, Key, Provider, Signature};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::fixture::{AUDIENCE, Answer, PATIENCE, Running, config, start_in};
use crate::upstream::{Bare, Upstream, read_head, say};

const ORIGIN: &str = "https://gateway.test";
const CALLBACK: &str = "/.countersign/callback";

const ROUTES: &str = r#"
[[route]]
path = "/app/**"
sign_in = true
upstream = "stock"
identity = ["headers"]

[[route]]
path = "/strong/**"
sign_in = true
acr = ["mfa"]
upstream = "stock"

[[route]]
path = "/keepers/**"
sign_in = true
scopes = ["keep"]
upstream = "stock"

[[route]]
path = "/api/**"
upstream = "stock"

[[route]]
path = "/open/**"
public = true
upstream = "stock"
"#;

/// What Chromium says when a person opens a page.
const OPENS: [&str; 4] = [
    "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
];
/// And when a page of the same origin sends a form, or asks for data.
const POSTS: [&str; 4] = [
    "Origin: https://gateway.test",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
];
const FETCHES: [&str; 4] = [
    "Accept: */*",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Dest: empty",
];

/// An authorization server whose access tokens have these claims changed.
fn provider(changes: &Value) -> Provider {
    let provider = Provider::start();
    let key = Key::generate("access");
    let published = key.jwk();
    provider.edit(Endpoint::Jwks, move |keys| {
        keys["keys"].as_array_mut().unwrap().push(published.clone());
    });
    provider.edit_id_token(|_, claims| {
        claims.as_object_mut().unwrap().remove("at_hash");
    });
    let (issuer, changes) = (provider.issuer(), changes.clone());
    provider.edit(Endpoint::Token, move |body| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let life = changes["life"].as_u64().unwrap_or(300);
        let mut claims = json!({
            "iss": issuer, "aud": AUDIENCE, "sub": "ada", "client_id": "web",
            "jti": format!("{now}"), "iat": now, "exp": now + life, "auth_time": now,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "typ": "at+jwt" });
        body["access_token"] = json!(key.sign(&header, &claims, Signature::Good));
    });
    provider
}

fn text(provider: &Provider, upstream: &str, more: &str) -> String {
    format!(
        r#"
[listen]
address = "127.0.0.1:0"
admin = "127.0.0.1:0"
origin = "{ORIGIN}"
workers = 2
drain = "2s"

[[issuer]]
url = "{}"
audience = "{AUDIENCE}"

[sign_in]
issuer = "{}"
client_id = "web"
cookie_key_file = "cookie.key"
{more}

[limits]
leeway = "0s"

[audit]
file = "audit.jsonl"
query = true

[[upstream]]
name = "stock"
address = "{upstream}"
{ROUTES}
"#,
        provider.issuer(),
        provider.issuer()
    )
}

/// A directory with this key for cookies.
fn keys(letter: char) -> TempDir {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("cookie.key");
    std::fs::write(&path, format!("{}A\n", letter.to_string().repeat(42))).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    directory
}

struct Site {
    provider: Provider,
    upstream: Upstream,
    running: Running,
}

fn site() -> Site {
    site_of(&json!({}))
}

fn site_of(changes: &Value) -> Site {
    let (provider, upstream) = (provider(changes), Upstream::start());
    let running = start_in(&text(&provider, &upstream.url(), ""), keys('a'));
    Site {
        provider,
        upstream,
        running,
    }
}

/// A browser, as far as cookies and addresses go.
#[derive(Default, Clone)]
struct Visitor {
    jar: BTreeMap<String, String>,
}

impl Visitor {
    fn send(&mut self, running: &Running, method: &str, target: &str, headers: &[&str]) -> Answer {
        let cookies: Vec<String> = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = format!("Cookie: {}", cookies.join("; "));
        let mut all = headers.to_vec();
        if !self.jar.is_empty() {
            all.push(&cookies);
        }
        let answer = running.request(method, target, &all, "");
        for cookie in set_cookies(&answer) {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0;") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    fn open(&mut self, running: &Running, target: &str) -> Answer {
        self.send(running, "GET", target, &OPENS)
    }

    /// Opens a page, signs in where it leads, and says which answer the browser was sent back with.
    fn begin(&mut self, site: &Site, target: &str) -> String {
        let away = self.open(&site.running, target);
        assert_eq!(away.status, 303, "{away:?}");
        approve(site, away.header("location").unwrap())
    }

    /// As `begin`, and takes the answer to the gateway.
    fn sign_in(&mut self, site: &Site, target: &str) -> Answer {
        let back = self.begin(site, target);
        self.open(&site.running, &back)
    }
}

/// The person signs in at the authorization server; the target that the browser is sent back to.
fn approve(site: &Site, address: &str) -> String {
    assert!(
        address.starts_with(&site.provider.url(Endpoint::Authorization)),
        "{address}"
    );
    let mut browser = Browser::new();
    browser.hold(ORIGIN);
    let back = browser.get(address).location();
    format!("{}?{}", back.path(), back.query().unwrap())
}

fn set_cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap()
}

/// A page of ours: plain, complete, and for nobody to keep.
fn assert_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.contains("<h1>") && !answer.body.contains("<script"));
}

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
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_page_that_wants_a_stronger_sign_in_leads_to_one_and_not_to_a_second() {
    let site = site();
    let mut ada = Visitor::default();
    ada.sign_in(&site, "/app/");
    // A token without `acr`, whatever was asked: first by the ID token, then by the access token.
    let away = ada.open(&site.running, "/strong/");
    assert_page(&away, 403);
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

#[test]
fn while_the_authorization_server_is_away_people_are_told_and_it_is_not_stormed() {
    let site = site();
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
        site.provider.always(
            endpoint,
            countersign_testkit::Reply::text(500, "text/plain", "away"),
        );
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
