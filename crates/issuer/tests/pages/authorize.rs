//! An application asks for a code: what its person sees, and where the browser goes.

use std::time::Duration;

use countersign_issuer::core::{
    ClientCredentials, CodeRequest, GrantType, NewAuthentication, NewClient,
};
use countersign_oauth::Secret;
use http::StatusCode;
use url::form_urlencoded;

use crate::site::{Answer, Browser, ORIGIN, PASSWORD, Site};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "http://127.0.0.1:49152/callback";

/// What a program on this machine asks, with more or other parameters.
pub(crate) fn asked(more: &[(&str, &str)]) -> String {
    let honest = [
        ("response_type", "code"),
        ("client_id", "cli"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid email offline_access"),
        ("state", "a state & more"),
        ("nonce", "n"),
        (
            "code_challenge",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        ),
        ("code_challenge_method", "S256"),
    ];
    let kept = honest
        .iter()
        .filter(|(name, _)| !more.iter().any(|(changed, _)| changed == name));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept.chain(more))
        .finish()
}

/// The page that asks for consent, for a browser that is signed in.
async fn consent(browser: &mut Browser<'_>, more: &[(&str, &str)]) -> (String, Answer) {
    let begun = browser.get(&format!("/authorize?{}", asked(more))).await;
    let path = begun.location().to_owned();
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    (path, page)
}

async fn decide(browser: &mut Browser<'_>, page: &Answer, decision: &str) -> Answer {
    let request = page.field("request");
    browser
        .post(
            "/authorize/decision",
            &[("request", &request), ("decision", decision)],
        )
        .await
}

/// A parameter of an address.
fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// What redeeming a code is answered: `"tokens"`, or the error's code.
async fn redeem(site: &Site, code: &str) -> String {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", "cli")
        .append_pair("code", code)
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("code_verifier", VERIFIER)
        .finish();
    let answer = site.browser().send("POST", "/token", &[], Some(body)).await;
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    json["error"].as_str().unwrap_or("tokens").to_owned()
}

#[tokio::test]
async fn somebody_signs_in_sees_who_asks_and_approves() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let begun = browser
        .get_from("cross-site", &format!("/authorize?{}", asked(&[])))
        .await;
    let consent = begun.location().to_owned();
    let sign_in = browser.get(&consent).await.location().to_owned();
    let page = browser.get(&sign_in).await;
    assert!(page.shows("To go on with <strong>Countersign CLI (development)</strong>"));
    let request = page.field("request");
    let values = [
        ("username", "ada"),
        ("password", PASSWORD),
        ("request", request.as_str()),
    ];
    let answer = browser.post("/sign-in", &values).await;
    assert_eq!(answer.location(), consent);
    let page = browser.get(&consent).await;
    for part in [
        "Approve this sign-in?",
        "Countersign CLI (development)",
        "<code>cli</code>",
        "<code>ada</code>",
        "See your email address",
        "Stay signed in",
        "a program on this computer",
        "<code>127.0.0.1:49152</code>",
    ] {
        assert!(page.shows(part), "{part}:\n{}", page.body);
    }
    let answer = decide(&mut browser, &page, "approve").await;
    assert!(answer.shows("Approved"));
    let url = answer.goes_on_to();
    assert!(url.starts_with("http://127.0.0.1:49152/callback?code="));
    assert_eq!(parameter(url, "state").as_deref(), Some("a state & more"));
    assert_eq!(parameter(url, "iss").as_deref(), Some(ORIGIN));
    let code = parameter(url, "code").unwrap();
    assert_eq!(redeem(&site, &code).await, "tokens");
    assert_eq!(redeem(&site, &code).await, "invalid_grant");
}

#[tokio::test]
async fn deny_sends_the_browser_back_with_access_denied() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let (_, page) = consent(&mut browser, &[]).await;
    let answer = decide(&mut browser, &page, "deny").await;
    assert!(answer.shows("Denied"));
    let url = answer.goes_on_to();
    assert_eq!(parameter(url, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(url, "state").as_deref(), Some("a state & more"));
    assert_eq!(parameter(url, "iss").as_deref(), Some(ORIGIN));
    assert_eq!(parameter(url, "code"), None);
}

#[tokio::test]
async fn a_get_approves_nothing() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let token = browser.csrf().await;
    let (path, _) = consent(&mut browser, &[]).await;
    for path in [
        path.clone(),
        format!("{path}&decision=approve&csrf={token}"),
        format!("{}&csrf={token}", path.replace("consent", "decision")),
        format!("/authorize?{}&decision=approve&csrf={token}", asked(&[])),
    ] {
        for from in ["none", "same-origin", "cross-site"] {
            let answer = browser.get_from(from, &path).await;
            assert!(!answer.shows("code="), "{path}");
            assert!(!answer.header("location").contains("code="), "{path}");
            assert_eq!(answer.header("refresh"), "", "{path}");
        }
    }
}

#[tokio::test]
async fn a_decision_needs_a_word_we_know_a_session_and_this_sessions_token() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let (path, page) = consent(&mut browser, &[]).await;
    for word in ["", "yes", "APPROVE"] {
        let answer = decide(&mut browser, &page, word).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{word:?}");
    }
    // Another browser, and nobody signed in there.
    let answer = decide(&mut site.browser(), &page, "approve").await;
    assert_eq!(
        answer.location(),
        path.replace("authorize/consent", "sign-in")
    );
    // The form of one browser, sent by another in which somebody is signed in.
    let stolen = [
        ("csrf", page.field("csrf")),
        ("request", page.field("request")),
        ("decision", "approve".to_owned()),
    ];
    let stolen: Vec<_> = stolen
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut victim = site.signed_in().await;
    let answer = victim.post_with("/authorize/decision", &stolen).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_the_browser_carries_cannot_be_changed() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let (path, page) = consent(&mut browser, &[]).await;
    let sealed = page.field("request");
    for altered in [format!("{sealed}A"), sealed[1..].to_owned(), String::new()] {
        let values = [("request", altered.as_str()), ("decision", "approve")];
        let answer = browser.post("/authorize/decision", &values).await;
        assert_eq!(answer.status, StatusCode::GONE, "{altered}");
        let answer = browser.get(&format!("/sign-in?request={altered}")).await;
        let expected = if altered.is_empty() {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::GONE
        };
        assert_eq!(answer.status, expected, "{altered}");
    }
    site.wait(Duration::from_secs(3_000));
    assert_eq!(browser.get(&path).await.status, StatusCode::OK);
    site.wait(Duration::from_secs(600));
    let late = browser.get(&path).await;
    assert_eq!(late.status, StatusCode::GONE);
    assert!(late.shows("This sign-in took too long"));
}

#[tokio::test]
async fn two_logins_at_once_in_one_browser_are_two() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let mut paths = Vec::new();
    for state in ["one", "two"] {
        let begun = browser
            .get(&format!("/authorize?{}", asked(&[("state", state)])))
            .await;
        paths.push(begun.location().to_owned());
    }
    browser.sign_in("ada").await;
    for (path, state) in paths.iter().zip(["one", "two"]).rev() {
        let page = browser.get(path).await;
        let answer = decide(&mut browser, &page, "approve").await;
        let url = answer.goes_on_to().to_owned();
        assert_eq!(parameter(&url, "state").as_deref(), Some(state));
        let code = parameter(&url, "code").unwrap();
        assert_eq!(redeem(&site, &code).await, "tokens");
    }
}

/// RFC 6749, section 4.1.2.1: "MUST NOT automatically redirect".
#[tokio::test]
async fn without_an_address_of_the_client_the_person_is_told_here() {
    let site = Site::new().await;
    for (more, reason) in [
        (&[("client_id", "nobody")][..], "client_id"),
        (&[("redirect_uri", "https://evil.example/")], "redirect_uri"),
        (
            &[("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)],
            "redirect_uri",
        ),
        (
            &[("request_uri", "urn:ietf:params:oauth:request_uri:x")],
            "request_uri",
        ),
    ] {
        let path = format!("/authorize?{}", asked(more));
        let answer = site.browser().get(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.shows("This sign-in cannot go on"), "{more:?}");
        assert!(answer.shows(reason), "{}", answer.body);
        assert!(!answer.shows("evil") && !answer.shows("nobody"), "{more:?}");
        assert_eq!(answer.header("location"), "");
    }
}

#[tokio::test]
async fn whatever_else_is_wrong_sends_the_browser_straight_back() {
    let site = Site::new().await;
    for (more, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("request", "x"), "request_not_supported"),
        (("prompt", "none consent"), "invalid_request"),
    ] {
        let path = format!("/authorize?{}", asked(&[more]));
        let answer = site.browser().get(&path).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        let url = answer.location();
        assert!(url.starts_with(CALLBACK), "{url}");
        assert_eq!(parameter(url, "error").as_deref(), Some(error));
        assert_eq!(parameter(url, "iss").as_deref(), Some(ORIGIN));
    }
}

/// RFC 6749, section 3.1; `OpenID` Connect Core 1.0, section 3.1.2.1: both
/// methods. The cookie stays at home when another site sends a form, and is
/// there again after the redirect.
#[tokio::test]
async fn a_request_may_be_posted_by_another_site() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let headers = [
        ("origin", "https://app.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let mut elsewhere = site.browser();
    let answer = elsewhere
        .send("POST", "/authorize", &headers, Some(asked(&[])))
        .await;
    let page = browser.get(answer.location()).await;
    assert!(page.shows("Approve this sign-in?"));
    // What stands in the address is not part of a posted request.
    let answer = elsewhere
        .send(
            "POST",
            &format!("/authorize?{}", asked(&[])),
            &headers,
            Some(String::new()),
        )
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let twice = format!("{}&state=x", asked(&[]));
    let answer = elsewhere
        .send("POST", "/authorize", &headers, Some(twice))
        .await;
    assert_eq!(
        parameter(answer.location(), "error").as_deref(),
        Some("invalid_request")
    );
}

#[tokio::test]
async fn not_you_keeps_the_request_for_the_next_account() {
    let site = Site::new().await;
    site.add("bob").await;
    let mut browser = site.signed_in().await;
    let (path, page) = consent(&mut browser, &[("prompt", "select_account")]).await;
    assert!(page.shows("Not you?"));
    let request = page.field("request");
    let answer = browser.post("/sign-out", &[("request", &request)]).await;
    assert_eq!(answer.location(), format!("/sign-in?request={request}"));
    let values = [
        ("username", "bob"),
        ("password", PASSWORD),
        ("request", &request),
    ];
    let answer = browser.post("/sign-in", &values).await;
    assert_eq!(answer.location(), path);
    assert!(browser.get(&path).await.shows("<code>bob</code>"));
}

/// `OpenID` Connect Core 1.0, section 3.1.2.1: `prompt=login`, `max_age`.
#[tokio::test]
async fn who_is_signed_in_may_have_to_type_the_password_again() {
    let site = Site::new().await;
    for more in [("prompt", "login"), ("max_age", "60")] {
        let mut browser = site.signed_in().await;
        site.wait(Duration::from_secs(61));
        let begun = browser.get(&format!("/authorize?{}", asked(&[more]))).await;
        let consent = begun.location().to_owned();
        let sign_in = browser.get(&consent).await.location().to_owned();
        assert!(sign_in.starts_with("/sign-in?request="), "{more:?}");
        let page = browser.get(&sign_in).await;
        assert!(page.shows("value=\"ada\""), "the name is there already");
        // Without the password there is no way around it.
        let token = page.field("csrf");
        let request = page.field("request");
        let values = [
            ("csrf", token.as_str()),
            ("request", &request),
            ("decision", "approve"),
        ];
        let answer = browser.post_with("/authorize/decision", &values).await;
        assert_eq!(answer.location(), sign_in);
        let values = [
            ("username", "ada"),
            ("password", PASSWORD),
            ("request", &request),
        ];
        assert_eq!(browser.post("/sign-in", &values).await.location(), consent);
        let page = browser.get(&consent).await;
        decide(&mut browser, &page, "approve").await.goes_on_to();
    }
}

#[tokio::test]
async fn a_hint_fills_the_name_in() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let hint = ("login_hint", "\"><b>ada");
    let begun = browser.get(&format!("/authorize?{}", asked(&[hint]))).await;
    let sign_in = browser.get(begun.location()).await.location().to_owned();
    let page = browser.get(&sign_in).await;
    assert!(
        page.shows("value=\"&#34;&#62;&#60;b&#62;ada\""),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn with_prompt_none_the_answer_is_a_redirect_and_never_a_page() {
    let site = Site::new().await;
    let path = format!("/authorize?{}", asked(&[("prompt", "none")]));
    for (mut browser, error) in [
        (site.browser(), "login_required"),
        (site.signed_in().await, "consent_required"),
    ] {
        let begun = browser.get(&path).await;
        let answer = browser.get(begun.location()).await;
        let error_of = parameter(answer.location(), "error");
        assert_eq!(error_of.as_deref(), Some(error));
    }
}

/// The rules are in `tests/rules/authorization.rs`.
#[tokio::test]
async fn what_is_granted_without_a_page_comes_with_a_redirect() {
    let site = Site::new().await;
    let uri = "https://app.example/cb";
    let web = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec![uri.to_owned()],
        ..NewClient::new("web")
    };
    let web = site
        .core
        .put_client(web, site.now())
        .await
        .unwrap()
        .unwrap();
    let mut browser = site.signed_in().await;
    let asks = [("client_id", "web"), ("redirect_uri", uri)];
    let (_, page) = consent(&mut browser, &asks).await;
    let approved = decide(&mut browser, &page, "approve").await;
    let code = parameter(approved.goes_on_to(), "code").unwrap();
    let secret = web.secret.unwrap();
    let request = CodeRequest {
        credentials: ClientCredentials::with_secret("web", secret),
        code: Secret::from(code.clone()),
        redirect_uri: uri.to_owned(),
        code_verifier: Secret::new(VERIFIER),
        resources: Vec::new(),
    };
    site.core.redeem_code(request, site.now()).await.unwrap();

    let silent = asked(&[asks[0], asks[1], ("prompt", "none")]);
    let begun = browser.get(&format!("/authorize?{silent}")).await;
    let answer = browser.get(begun.location()).await;
    let again = parameter(answer.location(), "code").unwrap();
    assert_ne!(again, code);
    // Nobody else is served by what she has consented to.
    let mut stranger = site.browser();
    let begun = stranger.get(&format!("/authorize?{silent}")).await;
    let answer = stranger.get(begun.location()).await;
    let error = parameter(answer.location(), "error");
    assert_eq!(error.as_deref(), Some("login_required"));
}

#[tokio::test]
async fn an_application_elsewhere_is_shown_with_its_place() {
    let site = Site::new().await;
    let web = NewClient {
        name: "<b>Web</b>".to_owned(),
        authentication: NewAuthentication::Secret,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec!["https://app.example:8443/cb?a=b".to_owned()],
        ..NewClient::new("web")
    };
    site.core
        .put_client(web, site.now())
        .await
        .unwrap()
        .unwrap();
    let mut browser = site.signed_in().await;
    let web = [
        ("client_id", "web"),
        ("redirect_uri", "https://app.example:8443/cb?a=b"),
    ];
    let (_, page) = consent(&mut browser, &web).await;
    assert!(page.shows("<code>app.example:8443</code>"));
    assert!(page.shows("&#60;b&#62;Web"));
    assert!(!page.shows("on this computer"));
    assert!(!page.shows("Stay signed in"), "it may not renew");
    let answer = decide(&mut browser, &page, "approve").await;
    assert!(
        answer
            .goes_on_to()
            .starts_with("https://app.example:8443/cb?a=b&code=")
    );
}

/// Chromium holds `form-action` against what follows a form: nothing does.
#[tokio::test]
async fn no_form_of_ours_is_answered_with_a_redirect_to_another_place() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    for callback in [
        "http://[::1]:49152/callback",
        "http://localhost:1/",
        CALLBACK,
    ] {
        for decision in ["approve", "deny"] {
            let (_, page) = consent(&mut browser, &[("redirect_uri", callback)]).await;
            let answer = decide(&mut browser, &page, decision).await;
            assert!(answer.goes_on_to().starts_with(callback));
            assert_eq!(answer.header("location"), "");
            assert!(
                answer
                    .header("content-security-policy")
                    .contains("form-action 'self';")
            );
        }
    }
}
