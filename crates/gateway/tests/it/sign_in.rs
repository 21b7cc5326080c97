//! People at a browser, and programs that are none: who is sent to sign in, what they come back with,
//! and what others make of it.

mod answers;
mod arriving;
mod renewal;
mod sessions;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_testkit::{
    Browser, ClientAuthentication, Database, Endpoint, Key, Provider, Reply, Signature,
};
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
