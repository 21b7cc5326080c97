//! A real Chromium in front of a real `countersign-gateway`, with a real `countersign-issuer` behind the
//! sign-in: what people see, and what pages of others get out of their browsers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use countersign_e2e::{Issuer, Person, Seen};
use countersign_testkit::{HttpServer, Program, Reply, Running, bin};
use tempfile::TempDir;

const AUDIENCE: &str = "https://api.example.com";

struct Site {
    issuer: Issuer,
    /// The pages behind the gateway.
    behind: HttpServer,
    origin: String,
    _gateway: Running,
    _directory: TempDir,
}

fn page(heading: &str, body: &str) -> Reply {
    let text = format!(
        "<!doctype html><html lang=\"en\"><title>{heading}</title><h1>{heading}</h1>{body}"
    );
    Reply::text(200, "text/html; charset=utf-8", text)
}

fn site() -> Site {
    let issuer = Issuer::start();
    let secret = issuer.administer(&format!(
        "client add web --confidential --redirect-uri http://127.0.0.1/.countersign/callback --audience {AUDIENCE}"
    ));
    let behind = HttpServer::start();
    let form = |action: &str, button: &str| {
        format!("<form method=post action=\"{action}\"><button>{button}</button></form>")
    };
    let forms = form("/app/order", "Order") + &form("/.countersign/sign-out", "Sign out");
    behind.on("GET", "/app/one", page("One", &forms));
    behind.on("GET", "/app/two", page("Two", ""));
    behind.on("POST", "/app/order", page("Ordered", ""));
    let asks = "<script>fetch('/app/one').then(async answer => { await answer.text();\
        document.querySelector('h1').textContent = 'It says ' + answer.status + \
        (answer.redirected ? ' elsewhere' : ' at once'); })</script>";
    behind.on("GET", "/open/asks", page("Asking", asks));

    let directory = TempDir::new().unwrap();
    for (name, text) in [("secret", secret.trim()), ("cookie.key", &"A".repeat(43))] {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let port = free_port();
    let origin = format!("http://127.0.0.1:{port}");
    let text = format!(
        r#"
[listen]
address = "127.0.0.1:{port}"
origin = "{origin}"
workers = 1

[[issuer]]
url = "{issuer}"
audience = "{AUDIENCE}"

[sign_in]
issuer = "{issuer}"
client_id = "web"
secret_file = "secret"
resource = "{AUDIENCE}"
cookie_key_file = "cookie.key"

[[upstream]]
name = "pages"
address = "{behind}"

[[route]]
path = "/app/**"
sign_in = true
upstream = "pages"

[[route]]
path = "/open/**"
public = true
upstream = "pages"
"#,
        issuer = issuer.issuer(),
        behind = behind.origin(),
    );
    let file = directory.path().join("gateway.toml");
    fs::write(&file, text).unwrap();
    let gateway = Program::new(bin("countersign-gateway"))
        .arg("run")
        .arg(&file)
        .limit(Duration::from_secs(300))
        .start();
    gateway.wait_for_stdout(|text| text.contains("listening=").then_some(()));
    Site {
        issuer,
        behind,
        origin,
        _gateway: gateway,
        _directory: directory,
    }
}

/// A port that nobody has a moment ago: the name of the gateway, and so its port, has to be known
/// before it starts.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Site {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Opens a page, and signs in where it leads.
    fn sign_in(&self, person: &Person, path: &str) -> Seen {
        let asked = person.open(&self.url(path));
        assert!(asked.url.starts_with(self.issuer.issuer()), "{}", asked.url);
        self.issuer.authorize_in(person, &asked.url, "approve")
    }
}

#[test]
fn a_person_signs_in_uses_two_tabs_and_signs_out() {
    let site = site();
    let ada = Person::new();
    let seen = site.sign_in(&ada, "/app/one?from=link");
    assert_eq!(
        (seen.heading.as_str(), seen.url),
        ("One", site.url("/app/one?from=link"))
    );
    assert_eq!(ada.open(&site.url("/app/two")).heading, "Two");
    // A form of the same origin, and nothing of ours at the upstream.
    ada.open(&site.url("/app/one"));
    assert_eq!(ada.press("Order").heading, "Ordered");
    for request in site.behind.requests() {
        let cookies = request.header("cookie").unwrap_or_default();
        assert!(!cookies.contains("countersign="), "{cookies}");
        assert_eq!(request.header("authorization"), None);
    }
    ada.open(&site.url("/app/one"));
    let out = ada.press_and_leave("Sign out");
    assert!(out.url.starts_with(site.issuer.issuer()), "{}", out.url);
    let again = ada.open(&site.url("/app/one"));
    assert!(again.url.starts_with(site.issuer.issuer()), "{}", again.url);
    ada.leave();
}

#[test]
fn a_script_is_told_401_where_its_page_would_have_been_sent_to_sign_in() {
    let site = site();
    let eve = Person::with_scripts();
    eve.open(&site.url("/open/asks"));
    let seen = (0..200).find_map(|_| {
        let seen = eve.look();
        (seen.heading != "Asking").then_some(seen)
    });
    assert_eq!(seen.unwrap().heading, "It says 401 at once");
    eve.leave();
}

#[test]
fn a_page_of_a_neighbour_cannot_order_for_the_person() {
    let site = site();
    // The answer is a bare 403, in whose place Chromium shows a page of its own.
    let ada = Person::among_strangers();
    site.sign_in(&ada, "/app/one");
    // Another port of the same host is the same site: the browser sends the cookie along.
    let neighbour = HttpServer::start();
    let action = site.url("/app/order");
    let form = format!("<form method=post action=\"{action}\"><button>Win</button></form>");
    neighbour.on("GET", "/", page("You have won", &form));
    ada.open(&neighbour.url("/"));
    ada.press_and_leave("Win");
    assert!(site.behind.requests_to("/app/order").is_empty());
    ada.leave();
}

#[test]
fn a_sign_in_that_is_refused_or_stale_ends_on_a_page_that_can_be_read() {
    let site = site();
    let ada = Person::new();
    let asked = ada.open(&site.url("/app/one"));
    let refused = site.issuer.authorize_in(&ada, &asked.url, "deny");
    assert_eq!(refused.heading, "You are not signed in", "{}", refused.text);
    ada.looks_right("gateway-refused");
    // The same answer once more, and in a browser where it was not begun.
    let eve = Person::new();
    assert_eq!(eve.open(&refused.url).heading, "This sign-in is over");
    eve.looks_right("gateway-over");
    eve.leave();
    ada.leave();
}
