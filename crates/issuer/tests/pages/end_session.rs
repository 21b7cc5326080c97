//! An application asks that its person be signed out, in the shapes of the `OpenID` conformance
//! suite's names for RP-initiated logout.

use std::time::Duration;

use countersign_issuer::core::{GrantType, NewClient};
use http::StatusCode;
use url::form_urlencoded;

use crate::site::{Answer, Browser, Site};

const AFTERWARDS: &str = "https://app.example/bye?a=b";

/// A site with a client that has somewhere to go afterwards.
async fn site() -> Site {
    let site = Site::new().await;
    let cli = NewClient {
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        post_logout_redirect_uris: vec![AFTERWARDS.to_owned()],
        ..NewClient::new("cli")
    };
    site.core
        .put_client(cli, site.now())
        .await
        .unwrap()
        .unwrap();
    let other = NewClient {
        post_logout_redirect_uris: vec!["https://other.example/".to_owned()],
        ..NewClient::new("other")
    };
    site.core
        .put_client(other, site.now())
        .await
        .unwrap()
        .unwrap();
    site
}

fn asked(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// The page that the request leads to.
async fn ask(browser: &mut Browser<'_>, parameters: &[(&str, &str)]) -> Answer {
    let begun = browser
        .get(&format!("/end_session?{}", asked(parameters)))
        .await;
    if begun.status != StatusCode::SEE_OTHER {
        return begun;
    }
    let path = begun.location().to_owned();
    browser.get(&path).await
}

async fn confirm(browser: &mut Browser<'_>, page: &Answer) -> Answer {
    let request = page.field("request");
    let values = [("request", request.as_str()), ("decision", "sign-out")];
    browser.post("/end_session/decision", &values).await
}

/// An ID token of Ada, for `cli`.
async fn hint(site: &Site, browser: &mut Browser<'_>) -> String {
    let id_token = site.log_in_for_an_id_token(browser).await;
    id_token.expose().to_owned()
}

/// `oidcc-rp-initiated-logout`: back to the client, with its state.
#[tokio::test]
async fn the_person_confirms_and_goes_back_to_the_application() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let hint = hint(&site, &mut browser).await;
    // An expired hint is as good.
    site.wait(Duration::from_secs(1_800));
    let parameters = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", AFTERWARDS),
        ("state", "s & t"),
        ("ui_locales", "de"),
        ("logout_hint", "ada"),
    ];
    let page = ask(&mut browser, &parameters).await;
    assert!(page.shows("<strong>cli</strong> asks that you be signed out"));
    assert!(page.shows("<code>app.example</code>"));
    assert!(!page.shows("another account"));
    assert!(browser.is_signed_in().await, "asking signs nobody out");
    let answer = confirm(&mut browser, &page).await;
    assert!(answer.shows("You are signed out"));
    assert_eq!(
        answer.goes_on_to(),
        "https://app.example/bye?a=b&state=s+%26+t"
    );
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert!(!browser.is_signed_in().await);
}

/// `-no-state`.
#[tokio::test]
async fn without_a_state_the_address_is_the_registered_one() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let hint = hint(&site, &mut browser).await;
    let parameters = [
        ("id_token_hint", hint.as_str()),
        ("client_id", "cli"),
        ("post_logout_redirect_uri", AFTERWARDS),
    ];
    let page = ask(&mut browser, &parameters).await;
    assert_eq!(confirm(&mut browser, &page).await.goes_on_to(), AFTERWARDS);
}

/// `-no-params`, `-only-state`, `-no-post-logout-redirect-uri`,
/// `-no-id-token-hint`: the person is asked and stays here.
#[tokio::test]
async fn without_a_client_and_an_address_the_browser_stays_here() {
    let site = site().await;
    for which in 0..4 {
        let mut browser = site.signed_in().await;
        let hint = hint(&site, &mut browser).await;
        let parameters = match which {
            0 => vec![],
            1 => vec![("state", "s")],
            2 => vec![("id_token_hint", hint.as_str()), ("state", "s")],
            _ => vec![("post_logout_redirect_uri", AFTERWARDS), ("state", "s")],
        };
        let page = ask(&mut browser, &parameters).await;
        assert!(page.shows("Sign out of this browser?"), "{parameters:?}");
        assert!(!page.shows("app.example"), "{parameters:?}");
        let answer = confirm(&mut browser, &page).await;
        assert_eq!(answer.location(), "/end_session/done", "{parameters:?}");
        assert!(!browser.is_signed_in().await);
        assert!(
            browser
                .get("/end_session/done")
                .await
                .shows("You are signed out")
        );
    }
}

/// `-bad-post-logout-redirect-uri`, `-query-added-to-post-logout-redirect-uri`.
#[tokio::test]
async fn an_address_that_is_not_registered_is_an_error_and_leads_nowhere() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let hint = hint(&site, &mut browser).await;
    for uri in [
        "https://evil.example/",
        "https://app.example/bye?a=b&c=d",
        "https://app.example/bye",
        "https://app.example:443/bye?a=b",
        "https://other.example/",
    ] {
        for client in [("id_token_hint", hint.as_str()), ("client_id", "cli")] {
            let answer = ask(&mut browser, &[client, ("post_logout_redirect_uri", uri)]).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
            assert!(answer.shows("You were not signed out"), "{uri}");
            assert!(!answer.shows("evil"), "{uri}");
        }
    }
    assert!(browser.is_signed_in().await);
}

/// `-modified-id-token-hint`, `-bad-id-token-hint`.
#[tokio::test]
async fn a_hint_that_we_have_not_signed_is_an_error() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let hint = hint(&site, &mut browser).await;
    let (signed, signature) = hint.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let modified = format!("{signed}.{flipped}{}", &signature[1..]);
    let access_token = site.log_in_for_an_access_token(&mut browser).await;
    for bad in [
        modified.as_str(),
        &format!("{signed}."),
        access_token.expose(),
        "not a token",
    ] {
        let parameters = [
            ("id_token_hint", bad),
            ("post_logout_redirect_uri", AFTERWARDS),
        ];
        let answer = ask(&mut browser, &parameters).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(answer.shows("id_token_hint"), "{bad}");
    }
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn a_client_that_is_another_than_the_hints_is_an_error() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let hint = hint(&site, &mut browser).await;
    for parameters in [
        &[("id_token_hint", hint.as_str()), ("client_id", "other")][..],
        &[("client_id", "nobody")],
        &[("client_id", "cli"), ("client_id", "cli")],
    ] {
        let answer = ask(&mut browser, parameters).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{parameters:?}");
    }
}

/// RP-Initiated Logout 1.0, section 2: "OpenID Providers MUST support the use
/// of the HTTP GET and POST methods".
#[tokio::test]
async fn a_request_may_be_posted_by_another_site() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let parameters = asked(&[
        ("client_id", "cli"),
        ("post_logout_redirect_uri", AFTERWARDS),
    ]);
    let headers = [
        ("origin", "https://app.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = site
        .browser()
        .send("POST", "/end_session", &headers, Some(parameters))
        .await;
    let page = browser.get(answer.location()).await;
    assert_eq!(confirm(&mut browser, &page).await.goes_on_to(), AFTERWARDS);
}

#[tokio::test]
async fn a_get_signs_nobody_out_and_whoever_wants_to_stay_stays() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let token = browser.csrf().await;
    let page = ask(&mut browser, &[]).await;
    let request = page.field("request");
    for path in [
        format!("/end_session/confirm?request={request}&decision=sign-out&csrf={token}"),
        format!("/end_session/decision?request={request}&decision=sign-out&csrf={token}"),
        "/end_session/done".to_owned(),
    ] {
        browser.get(&path).await;
        assert!(browser.is_signed_in().await, "{path}");
    }
    let values = [("request", request.as_str()), ("decision", "stay")];
    let answer = browser.post("/end_session/decision", &values).await;
    assert_eq!(answer.location(), "/");
    let values = [("request", request.as_str()), ("decision", "perhaps")];
    let answer = browser.post("/end_session/decision", &values).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn who_is_not_signed_in_goes_straight_on() {
    let site = site().await;
    let mut browser = site.browser();
    let parameters = [
        ("client_id", "cli"),
        ("post_logout_redirect_uri", AFTERWARDS),
    ];
    assert_eq!(ask(&mut browser, &parameters).await.location(), AFTERWARDS);
    assert_eq!(ask(&mut browser, &[]).await.location(), "/end_session/done");
}

#[tokio::test]
async fn who_is_signed_in_as_another_is_told_so() {
    let site = site().await;
    site.add("bob").await;
    let hint = hint(&site, &mut site.signed_in().await).await;
    let mut bob = site.browser();
    bob.sign_in("bob").await;
    let page = ask(&mut bob, &[("id_token_hint", &hint)]).await;
    assert!(page.shows("<code>bob</code>") && page.shows("another account"));
}

#[tokio::test]
async fn the_page_may_be_open_for_an_hour() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let request = ask(&mut browser, &[]).await.field("request");
    site.wait(Duration::from_secs(3_000));
    assert!(browser.is_signed_in().await);
    site.wait(Duration::from_secs(600));
    let path = format!("/end_session/confirm?request={request}");
    assert_eq!(browser.get(&path).await.status, StatusCode::GONE);
}

/// What a terminal was given is its own: see `core::logout`.
#[tokio::test]
async fn terminals_stay_signed_in() {
    let site = site().await;
    let mut browser = site.signed_in().await;
    let token = site.log_in_a_terminal(&mut browser).await;
    let page = ask(&mut browser, &[]).await;
    confirm(&mut browser, &page).await;
    assert!(!browser.is_signed_in().await);
    assert!(site.renews(&token).await);
}
