//! What comes between a login in the browser and its end, each by itself: the real `countersign`, the
//! real issuer or a stranger's, and a person or somebody else in between.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use countersign_e2e::{Cli, Issuer, NodeProvider, Visiting, stray};
use countersign_testkit::{Browser, Endpoint, Finished, Program, Provider};
use serde_json::{Value, json};
use url::Url;

fn at(issuer: &str) -> String {
    format!("--issuer {issuer} --client-id cli")
}

/// With this code, this exit code, and something to do about it.
fn ends_in(done: &Finished, code: &str, exit: i32) {
    let stderr = &done.stderr;
    assert!(stderr.contains(&format!("code: {code}\n")), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
    assert_eq!(done.code(), Some(exit), "{stderr}");
}

fn welcome(login: Visiting) {
    let done = login.finish().expect_code(0);
    assert!(done.stderr.contains("Welcome, "), "{}", done.stderr);
}

/// The person has decided, and the browser stops short of going back: where it would have gone.
fn held(issuer: &Issuer, login: &Visiting) -> Url {
    let mut browser = Browser::new();
    browser.hold(&login.asked("redirect_uri"));
    let page = issuer.authorize(&mut browser, &login.address, "approve");
    page.location()
}

/// The same address with another value for one member, or without it.
fn altered(address: &Url, name: &str, value: Option<&str>) -> String {
    let mut altered = address.clone();
    let members: Vec<(String, String)> = address
        .query_pairs()
        .into_owned()
        .filter_map(|(known, old)| {
            if known == name {
                value.map(|value| (known, value.to_owned()))
            } else {
                Some((known, old))
            }
        })
        .collect();
    altered.query_pairs_mut().clear().extend_pairs(members);
    altered.into()
}

fn member(address: &Url, name: &str) -> String {
    let mut members = address.query_pairs();
    let found = members.find(|(known, _)| known == name);
    found.unwrap().1.into_owned()
}

/// Brings a code to a token endpoint with a verifier of one's own.
fn redeem(endpoint: &str, code: &str, redirect_uri: &str) -> Value {
    let verifier = "somebody-else-who-has-seen-the-address-go-by";
    let done = Program::new("curl")
        .args(["--silent", "--data-urlencode", "client_id=cli"])
        .args(["--data-urlencode", "grant_type=authorization_code"])
        .args(["--data-urlencode", &format!("code={code}")])
        .args(["--data-urlencode", &format!("redirect_uri={redirect_uri}")])
        .args(["--data-urlencode", &format!("code_verifier={verifier}")])
        .arg(endpoint)
        .run()
        .expect_code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

// The server says no on the way back

#[test]
fn an_error_that_our_issuer_sends_back_ends_the_login() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    // Nobody is signed in there, and nobody may be asked to.
    let login = cli.start_browser(&format!("{} --prompt none", at(issuer.issuer())));
    let page = Browser::new().get(&login.address);
    assert!(page.text().contains("login_required"), "{}", page.text());
    ends_in(&login.finish(), "login_required", 1);
}

#[test]
fn an_error_that_oidc_provider_sends_back_ends_the_login() {
    let provider = NodeProvider::start(&json!({}));
    let cli = Cli::new();
    let login = cli.start_browser(&format!("{} --prompt none", at(provider.issuer())));
    let page = Browser::new().get(&login.address);
    assert!(page.text().contains("login_required"), "{}", page.text());
    ends_in(&login.finish(), "login_required", 1);
}

/// A redirect URI that is not registered is not redirected to: the person reads it at the server, and the
/// program goes on waiting until they give up.
#[test]
fn an_address_that_is_not_registered_is_shown_at_the_server() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let uri = "--redirect-uri http://127.0.0.1:0/elsewhere";
    let mut login = cli.start_browser(&format!("{} {uri}", at(issuer.issuer())));
    let page = Browser::new().get(&login.address);
    assert_eq!(page.status, 400);
    assert!(page.text().contains("not registered"), "{}", page.text());
    assert!(stray::is_listening(&login.asked("redirect_uri")));
    login.process.interrupt();
    assert_eq!(login.finish().signal(), Some(2));
}

// The code

/// Who has seen the address go by has a code without its verifier, which is worth nothing; and trying it
/// takes nothing from the one who has both.
fn tries_it_first(token_endpoint: &str, back: &Url, login: Visiting) {
    let code = member(back, "code");
    let refused = redeem(token_endpoint, &code, &login.asked("redirect_uri"));
    assert_eq!(refused["error"], json!("invalid_grant"));
    let page = Browser::new().get(back.as_str());
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    welcome(login);
}

#[test]
fn a_wrong_verifier_is_refused_by_our_issuer() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = cli.start_browser(&at(issuer.issuer()));
    let back = held(&issuer, &login);
    tries_it_first(&format!("{}/token", issuer.issuer()), &back, login);
}

#[test]
fn a_wrong_verifier_is_refused_by_oidc_provider() {
    let provider = NodeProvider::start(&json!({}));
    let cli = Cli::new();
    let login = cli.start_browser(&at(provider.issuer()));
    let mut browser = Browser::new();
    browser.hold(&login.asked("redirect_uri"));
    let page = provider.authorize(&mut browser, &login.address, "ada");
    let endpoint = format!("{}/token", provider.issuer());
    tries_it_first(&endpoint, &page.location(), login);
}

/// The program is told plainly when its code is not good any more.
#[test]
fn a_code_that_was_spent_already_ends_the_login() {
    let provider = Provider::start();
    let cli = Cli::new();
    let login = cli.start_browser(&at(&provider.issuer()));
    let redirect_uri = login.asked("redirect_uri");
    let mut browser = Browser::new();
    browser.hold(&redirect_uri);
    let back = browser.get(&login.address).location();
    // This provider spends a code on whoever brings it.
    let endpoint = provider.url(Endpoint::Token);
    redeem(&endpoint, &member(&back, "code"), &redirect_uri);
    let page = Browser::new().get(back.as_str());
    assert!(page.text().contains("did not succeed"), "{}", page.text());
    ends_in(&login.finish(), "code_rejected", 1);
}

#[test]
fn a_code_that_is_replayed_ends_the_session_it_began() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = cli.start_browser(&at(issuer.issuer()));
    let redirect_uri = login.asked("redirect_uri");
    let back = held(&issuer, &login);
    Browser::new().get(back.as_str());
    welcome(login);
    assert!(!stray::is_listening(&redirect_uri), "nobody waits any more");
    let token = cli.run("token").expect_code(0).stdout;
    let endpoint = format!("{}/token", issuer.issuer());
    let refused = redeem(&endpoint, &member(&back, "code"), &redirect_uri);
    assert_eq!(refused["error"], json!("invalid_grant"));
    assert_eq!(issuer.introspect(token.trim()), json!({ "active": false }));
    ends_in(&cli.run("token --force-refresh"), "login_required", 4);
}

// The way back

#[test]
fn an_answer_of_another_issuer_is_refused_and_its_code_goes_nowhere() {
    let provider = Provider::start();
    provider.edit_authorization_response(|answer| {
        for (name, value) in answer {
            if name == "iss" {
                "https://evil.example".clone_into(value);
            }
        }
    });
    let login = Cli::new().start_browser(&at(&provider.issuer()));
    let page = Browser::new().get(&login.address);
    assert!(page.text().contains("evil.example"), "{}", page.text());
    ends_in(&login.finish(), "issuer_mixed_up", 1);
    assert!(provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn an_answer_that_hides_its_issuer_is_refused_where_one_was_promised() {
    let issuer = Issuer::start();
    let login = Cli::new().start_browser(&at(issuer.issuer()));
    let back = held(&issuer, &login);
    Browser::new().get(&altered(&back, "iss", None));
    ends_in(&login.finish(), "iss_missing", 1);
}

#[test]
fn an_answer_with_another_state_is_not_ours_and_the_login_goes_on() {
    let issuer = Issuer::start();
    let login = Cli::new().start_browser(&at(issuer.issuer()));
    let back = held(&issuer, &login);
    for wrong in [Some("another"), Some(""), None] {
        let page = Browser::new().get(&altered(&back, "state", wrong));
        assert_eq!(page.status, 400, "{}", page.text());
        assert!(page.text().contains("goes on waiting"), "{}", page.text());
    }
    let page = Browser::new().get(back.as_str());
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    welcome(login);
}

#[test]
fn stray_requests_neither_end_the_login_nor_hold_it_up() {
    let issuer = Issuer::start();
    let login = Cli::new().start_browser(&at(issuer.issuer()));
    let here = login.asked("redirect_uri");
    let back = held(&issuer, &login);
    let right = format!("{}?{}", back.path(), back.query().unwrap());

    // Opened in advance, and never used; and requests that never end.
    let idle: Vec<_> = [
        &b""[..],
        b"G",
        b"GET /callback?code=",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
    ]
    .iter()
    .cycle()
    .take(40)
    .map(|bytes| stray::half(&here, bytes))
    .collect();
    let status = |answer: &str| answer.split(' ').nth(1).map(str::to_owned);
    for (method, path, expected) in [
        ("GET", "/favicon.ico", "404"),
        ("GET", "/", "404"),
        ("GET", "/callback/../callback", "404"),
        ("GET", "/callback", "400"),
        ("HEAD", right.as_str(), "200"),
        ("POST", right.as_str(), "405"),
        ("OPTIONS", right.as_str(), "405"),
    ] {
        let answer = stray::ask(&here, method, path);
        assert_eq!(
            status(&answer).as_deref(),
            Some(expected),
            "{method} {path}: {answer}"
        );
        assert!(!answer.contains("signed in"), "{answer}");
    }
    let rebound = format!("GET {right} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(
        status(&stray::send(&here, rebound.as_bytes())).as_deref(),
        Some("421")
    );
    let ahead = format!(
        "GET {right} HTTP/1.1\r\nHost: {}\r\nSec-Purpose: prefetch\r\n\r\n",
        back.authority()
    );
    assert_eq!(
        status(&stray::send(&here, ahead.as_bytes())).as_deref(),
        Some("503")
    );
    stray::send(&here, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");

    let page = Browser::new().get(back.as_str());
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    welcome(login);
    drop(idle);
}

// People

#[test]
fn a_slow_human_is_waited_for() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = cli.start_browser(&at(issuer.issuer()));
    let mut browser = Browser::new();
    // Looks, forgets the password, reads the page again, and comes back to it from the history.
    let page = browser.get(&login.address);
    let wrong = [("username", "ada"), ("password", "was it this one?")];
    let refused = browser.submit(&page, &page.form_with("username"), &wrong);
    assert_eq!(refused.status, 403);
    browser.get(page.url.as_str());
    let again = issuer.authorize(&mut browser, page.url.as_str(), "approve");
    assert!(
        again.text().contains("You are signed in"),
        "{}",
        again.text()
    );
    welcome(login);
}

#[test]
fn a_human_who_never_comes_is_given_up() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = cli.start_browser(&format!("{} --login-timeout 1s", at(issuer.issuer())));
    let redirect_uri = login.asked("redirect_uri");
    ends_in(&login.finish(), "login_timed_out", 6);
    assert!(!stray::is_listening(&redirect_uri), "nobody waits any more");
}

#[test]
fn two_logins_at_once_end_each_with_its_own_answer() {
    let issuer = Issuer::start();
    let (one, other) = (Cli::new(), Cli::new());
    let first = one.start_browser(&at(issuer.issuer()));
    let second = other.start_browser(&at(issuer.issuer()));
    let (first_back, second_back) = (held(&issuer, &first), held(&issuer, &second));

    // The answers are exchanged on the way: each is none of the other's business.
    for (answer, address) in [(&first_back, &second_back), (&second_back, &first_back)] {
        let mut crossed = (*address).clone();
        crossed.set_query(answer.query());
        let page = Browser::new().get(crossed.as_str());
        assert!(
            !page.text().contains("You are signed in"),
            "{}",
            page.text()
        );
    }
    Browser::new().get(second_back.as_str());
    welcome(second);
    Browser::new().get(first_back.as_str());
    welcome(first);
    for cli in [one, other] {
        cli.run("whoami --verify").expect_code(0);
    }
}

/// Nobody wants two windows: the second login waits for the first, and has what that one brings.
#[test]
fn two_logins_to_one_session_at_once_are_one() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let first = cli.start_browser(&at(issuer.issuer()));
    let login = format!("login --flow browser --no-browser {}", at(issuer.issuer()));
    let second = cli.command(&login).start();
    second.wait_for_stderr(|text| text.contains("another login").then_some(()));
    issuer.authorize(&mut Browser::new(), &first.address, "approve");
    welcome(first);
    let second = second.finish().expect_code(0);
    assert!(!second.stderr.contains("/authorize?"), "{}", second.stderr);
    cli.run("whoami --verify").expect_code(0);
}

/// The answer is carried to the terminal by hand: from a page behind a redirect URI that is registered
/// for just that.
#[test]
fn the_answer_of_a_hosted_page_is_pasted() {
    let issuer = Issuer::start();
    let hosted = "https://login.example.com/countersign/";
    issuer.administer(&format!("client add hosted --redirect-uri {hosted}"));
    for whole in [true, false] {
        let cli = Cli::new();
        let arguments = format!(
            "login --flow paste --redirect-uri {hosted} --issuer {} --client-id hosted",
            issuer.issuer()
        );
        let login = Visiting::start(cli.command(&arguments).listening());
        assert_eq!(login.asked("redirect_uri"), hosted);
        let back = held(&issuer, &login);
        let code = member(&back, "code");
        login
            .process
            .tell(if whole { back.as_str() } else { &code });
        welcome(login);
        cli.run("whoami --verify").expect_code(0);
    }
}
