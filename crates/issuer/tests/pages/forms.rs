//! A form counts only when one of our own pages sent it, for this browser and this session.

use http::StatusCode;

use crate::site::{ORIGIN, Site};

const FORMS: [&str; 8] = [
    "/device",
    "/d",
    "/device/decision",
    "/sign-in",
    "/sign-out",
    "/setup",
    "/authorize/decision",
    "/end_session/decision",
];

#[tokio::test]
async fn no_form_is_taken_without_its_token() {
    let site = Site::new().await;
    for path in FORMS {
        let mut browser = site.signed_in().await;
        for values in [&[][..], &[("csrf", "")], &[("csrf", "AAAA")]] {
            let answer = browser.post_with(path, values).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {values:?}");
            assert!(answer.shows("This form has expired"), "{path}");
        }
        assert!(browser.is_signed_in().await, "{path} changed nothing");
    }
}

#[tokio::test]
async fn no_form_is_taken_with_another_browsers_token() {
    let site = Site::new().await;
    let token = site.signed_in().await.csrf().await;
    for path in FORMS {
        let answer = site
            .signed_in()
            .await
            .post_with(path, &[("csrf", &token)])
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_token_from_before_the_sign_in_is_worth_nothing_after_it() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let before = browser.csrf().await;
    browser.sign_in("ada").await;
    let answer = browser.post_with("/sign-out", &[("csrf", &before)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn no_form_is_taken_from_another_sites_page_even_with_the_token() {
    let site = Site::new().await;
    for path in FORMS {
        let mut browser = site.signed_in().await;
        let token = browser.csrf().await;
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            let body = Some(format!("csrf={token}"));
            let answer = browser.send("POST", path, headers, body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
            assert!(
                answer.shows("This came from another site"),
                "{path} {headers:?}"
            );
        }
        assert!(browser.is_signed_in().await, "{path} changed nothing");
    }
}

#[tokio::test]
async fn a_browser_without_cookies_is_told_so() {
    let site = Site::new().await;
    let token = site.browser().csrf().await;
    let answer = site
        .browser()
        .post_with("/sign-in", &[("csrf", &token)])
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.shows("your browser keeps no cookies"));
}

#[tokio::test]
async fn what_is_too_large_or_no_form_is_refused_with_a_page() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let token = browser.csrf().await;
    let large = "x".repeat(17 * 1024);
    let answer = browser
        .post_with("/sign-in", &[("csrf", &token), ("username", &large)])
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.shows("<h1"));

    let json = &[("content-type", "application/json")];
    let answer = browser
        .send("POST", "/sign-in", json, Some("{}".to_owned()))
        .await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(answer.shows("<h1"));
}

#[tokio::test]
async fn a_form_with_a_field_twice_decides_nothing() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    let twice = [
        ("user_code", device.user_code.as_str()),
        ("decision", "deny"),
        ("decision", "approve"),
    ];
    let answer = browser.post("/device/decision", &twice).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.poll(&device).await, "authorization_pending");
}
