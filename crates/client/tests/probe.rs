//! Looking without touching: what a server lets a client do, what it presents, and how the store is.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[allow(dead_code, reason = "each test file uses a part")]
mod tls_server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use countersign_client::probe::{self, Allowed, ServerClock};
use countersign_client::{Context, Directories, HttpOptions, Login};
use countersign_testkit::{Endpoint, Provider, Reply};
use serde_json::json;
use tempfile::TempDir;
use tls_server::{Authority, TlsServer};
use url::Url;

const LIMIT: Duration = Duration::from_secs(10);
const REDIRECT: &str = "http://127.0.0.1:6363/callback";

struct Desk {
    provider: Provider,
    home: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            provider: Provider::start(),
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn context(&self) -> Context {
        let directories = Directories::new(
            self.home.path().join("state"),
            self.home.path().join("cache"),
        );
        Context::new(directories, HttpOptions::default())
    }

    fn login(&self) -> Login {
        let login = Login::new(&self.provider.issuer(), "cli").unwrap();
        login.context(self.context())
    }

    fn server(&self) -> countersign_client::Provider {
        probe::discover(&self.login(), LIMIT)
            .unwrap()
            .provider
            .unwrap()
    }

    fn device(&self) -> Allowed {
        probe::device(&self.login(), &self.server(), LIMIT)
    }

    fn code(&self) -> Allowed {
        probe::code(&self.login(), &self.server(), REDIRECT, LIMIT)
    }

    /// What the authorization endpoint answers from now on.
    fn authorize(&self, reply: Reply) {
        self.provider.always(Endpoint::Authorization, reply);
    }
}

#[test]
fn a_server_is_asked_now_and_tells_the_time() {
    let desk = Desk::new();
    let found = probe::discover(&desk.login(), LIMIT).unwrap();
    assert!(found.provider.is_ok() && found.published && found.set_aside.is_empty());
    assert_eq!(found.clock, ServerClock::Unknown);
    // What is in the cache is of no interest to whoever wants to know how things are.
    let asked = desk.provider.requests(Endpoint::OpenIdConfiguration).len();
    desk.provider.tell_the_time();
    let found = probe::discover(&desk.login(), LIMIT).unwrap();
    assert_eq!(found.clock, ServerClock::Agrees);
    let again = desk.provider.requests(Endpoint::OpenIdConfiguration).len();
    assert_eq!(again, asked + 1);
}

#[test]
fn a_clock_that_is_hours_off_is_noticed() {
    let desk = Desk::new();
    desk.provider.always(
        Endpoint::OpenIdConfiguration,
        Reply::json(200, &json!({ "issuer": desk.provider.issuer() }))
            .with_header("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    );
    let found = probe::discover(&desk.login(), LIMIT).unwrap();
    let ServerClock::Differs { by, ahead } = found.clock else {
        panic!("{:?}", found.clock)
    };
    assert!(ahead && by > Duration::from_secs(3600));
}

#[test]
fn a_device_code_is_asked_for_and_never_redeemed() {
    let desk = Desk::new();
    assert!(matches!(desk.device(), Allowed::Yes));
    assert_eq!(
        desk.provider.requests(Endpoint::DeviceAuthorization).len(),
        1
    );
    assert!(desk.provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn a_flow_that_is_refused_absent_or_out_of_reach_is_told_apart() {
    let desk = Desk::new();
    let refusal = json!({ "error": "unauthorized_client", "error_description": "switched off" });
    desk.provider
        .always(Endpoint::DeviceAuthorization, Reply::json(400, &refusal));
    let Allowed::No(error) = desk.device() else {
        panic!("it was refused");
    };
    assert_eq!(error.code(), "unauthorized_client");
    desk.provider
        .always(Endpoint::DeviceAuthorization, Reply::new(503));
    assert!(matches!(desk.device(), Allowed::Unreachable(_)));
    desk.provider
        .edit(Endpoint::OpenIdConfiguration, |document| {
            let members = document.as_object_mut().unwrap();
            members.remove("device_authorization_endpoint");
            members.remove("authorization_endpoint");
        });
    desk.provider
        .always(Endpoint::OauthMetadata, Reply::new(404));
    assert!(matches!(desk.device(), Allowed::NotOffered));
    assert!(matches!(desk.code(), Allowed::NotOffered));
}

#[test]
fn a_server_that_wants_a_person_knows_the_client_and_the_redirect_uri() {
    let desk = Desk::new();
    for error in ["login_required", "interaction_required", "consent_required"] {
        desk.provider.deny(error, None);
        assert!(matches!(desk.code(), Allowed::Yes), "{error}");
    }
    let asked = desk.provider.requests(Endpoint::Authorization);
    assert_eq!(asked[0].query_value("prompt").as_deref(), Some("none"));
    assert_eq!(
        asked[0].query_value("redirect_uri").as_deref(),
        Some(REDIRECT)
    );
    assert!(desk.provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn a_refusal_at_the_redirect_uri_is_one() {
    let desk = Desk::new();
    desk.provider
        .deny("unauthorized_client", Some("not this one"));
    let Allowed::No(error) = desk.code() else {
        panic!("it was refused");
    };
    assert_eq!(error.code(), "unauthorized_client");
}

#[test]
fn what_only_a_person_could_judge_is_not_known() {
    let desk = Desk::new();
    let issuer = desk.provider.issuer();
    let page = "<HTML><Title lang=en>\n Callback URL\u{1b} mismatch\n</TITLE><h1>…</h1>";
    for (body, expected) in [(page, Some("Callback URL mismatch")), ("<title>", None)] {
        desk.authorize(Reply::text(403, "text/html", body));
        let Allowed::Doubtful { status, title } = desk.code() else {
            panic!("it was a page");
        };
        assert_eq!((status, title.as_deref()), (403, expected));
    }
    for reply in [
        Reply::text(200, "text/html", "<h1>Sign in</h1>"),
        Reply::redirect(302, &format!("{issuer}/login?client_id=cli")),
        Reply::redirect(302, "/login"),
    ] {
        desk.authorize(reply);
        assert!(matches!(desk.code(), Allowed::Unknown(_)));
    }
    // A page of the server's own that names an error in its address says enough.
    desk.authorize(Reply::redirect(
        302,
        &format!("{issuer}/error?error=redirect_mismatch&client_id=cli"),
    ));
    let Allowed::No(error) = desk.code() else {
        panic!("it was refused");
    };
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn an_answer_that_is_not_ours_proves_nothing_good() {
    let desk = Desk::new();
    desk.authorize(Reply::redirect(
        302,
        &format!("{REDIRECT}?error=login_required&state=x"),
    ));
    assert!(matches!(desk.code(), Allowed::No(_)));
}

#[test]
fn a_pushed_request_is_pushed_where_the_server_wants_that() {
    let desk = Desk::new();
    desk.provider.demand_par();
    desk.provider.deny("login_required", None);
    assert!(matches!(desk.code(), Allowed::Yes));
    assert_eq!(
        desk.provider.requests(Endpoint::PushedAuthorization).len(),
        1
    );
}

#[test]
fn a_chain_is_shown_whether_or_not_it_is_believed() {
    let authority = Authority::new();
    for identity in [
        authority.certify("localhost"),
        authority.certify_expired("localhost"),
    ] {
        let server = TlsServer::start(&identity);
        let url = Url::parse(&format!("https://127.0.0.1:{}/", server.port())).unwrap();
        let chain = probe::danger_look_at_chain(&url, LIMIT).unwrap();
        assert_eq!(chain.protocol, Some("TLS 1.3"));
        assert_eq!(chain.certificates.len(), 1);
        let own = &chain.certificates[0];
        assert!(own.not_before < own.not_after);
        // Nothing was sent over it.
        assert_eq!(server.requests(), 0);
    }
}

#[test]
fn no_server_and_no_tls_end_within_the_limit() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    let url = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
    // It accepts, as the backlog does, and says nothing.
    let begun = std::time::Instant::now();
    let limit = Duration::from_millis(300);
    assert!(probe::danger_look_at_chain(&url, limit).is_err());
    assert!(begun.elapsed() < LIMIT);
    drop(closed);
    assert!(probe::danger_look_at_chain(&url, limit).is_err());
    let desk = Desk::new();
    let plain = Url::parse(&desk.provider.issuer().replace("http:", "https:")).unwrap();
    assert!(probe::danger_look_at_chain(&plain, LIMIT).is_err());
}

#[test]
fn a_store_is_looked_at_and_not_touched() {
    let desk = Desk::new();
    let context = desk.context();
    let fresh = probe::store(&context);
    assert!(!fresh.exists && fresh.writable.is_ok() && fresh.directory.is_ok());
    assert!(!fresh.path.exists());
    assert_eq!(fresh.room, Some(true));

    fs::create_dir_all(&fresh.path).unwrap();
    fs::set_permissions(&fresh.path, fs::Permissions::from_mode(0o755)).unwrap();
    let open = probe::store(&context);
    assert_eq!(open.directory.unwrap_err().code(), "store_wrong_mode");
    fs::set_permissions(&fresh.path, fs::Permissions::from_mode(0o500)).unwrap();
    let locked = probe::store(&context);
    // Whoever runs the tests as root may write anywhere.
    assert!(locked.directory.is_ok());
    assert_eq!(locked.writable.is_ok(), rustix_is_root());
    fs::set_permissions(&fresh.path, fs::Permissions::from_mode(0o700)).unwrap();
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}
