//! Signing in and out, and the cookie.

use std::time::Duration;

use http::StatusCode;

use crate::site::{PASSWORD, Site};

#[tokio::test]
async fn the_cookie_has_every_attribute_and_is_new_after_the_sign_in() {
    let site = Site::new().await;
    let mut browser = site.browser();
    browser.get("/").await;
    let before = browser.cookie.clone().unwrap();
    let answer = browser.sign_in("ada").await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("countersign-4455="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    assert_ne!(browser.cookie, Some(before));
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn an_https_issuer_sets_a_host_cookie() {
    let site = Site::at("https://id.example.com").await;
    let answer = site.browser().get("/").await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-countersign="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn a_cookie_planted_before_the_sign_in_opens_nothing_after_it() {
    let site = Site::new().await;
    let mut attacker = site.browser();
    attacker.get("/").await;
    let mut victim = site.browser();
    victim.cookie = attacker.cookie.clone();
    victim.sign_in("ada").await;
    assert!(victim.is_signed_in().await);
    assert!(!attacker.is_signed_in().await);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let mut copy = browser.clone();
    browser.sign_in("ada").await;
    assert!(browser.is_signed_in().await);
    assert!(!copy.is_signed_in().await);
}

#[tokio::test]
async fn signing_out_ends_the_session_for_every_copy_of_its_cookie() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let mut copy = browser.clone();
    let answer = browser.post("/sign-out", &[]).await;
    assert_eq!(answer.location(), "/");
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert!(!copy.is_signed_in().await);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_browser_and_every_terminal_of_the_account() {
    let site = Site::new().await;
    site.add("bob").await;
    let mut bob = site.browser();
    bob.sign_in("bob").await;
    let of_bob = site.log_in_a_terminal(&mut bob).await;
    let mut here = site.signed_in().await;
    let mut there = site.signed_in().await;
    let of_ada = site.log_in_a_terminal(&mut there).await;
    assert!(site.renews(&of_ada).await && site.renews(&of_bob).await);
    let answer = here.post("/sign-out", &[("everywhere", "yes")]).await;
    assert_eq!(answer.location(), "/");
    assert!(!here.is_signed_in().await && !there.is_signed_in().await);
    assert!(!site.renews(&of_ada).await);
    assert!(bob.is_signed_in().await && site.renews(&of_bob).await);
}

#[tokio::test]
async fn signing_out_of_a_browser_leaves_the_terminals_it_approved() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let token = site.log_in_a_terminal(&mut browser).await;
    browser.post("/sign-out", &[]).await;
    assert!(site.renews(&token).await);
}

#[tokio::test]
async fn a_get_signs_nobody_out() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    assert_eq!(
        browser.get("/sign-out").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_after_an_hour() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    site.wait(Duration::from_secs(3_599));
    assert!(browser.is_signed_in().await);
    site.wait(Duration::from_secs(3_599));
    assert!(browser.is_signed_in().await);
    site.wait(Duration::from_secs(3_600));
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn a_session_in_use_ends_twelve_hours_after_the_password() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    for _ in 0..23 {
        site.wait(Duration::from_secs(1_800));
        assert!(browser.is_signed_in().await);
    }
    site.wait(Duration::from_secs(1_799));
    assert!(browser.is_signed_in().await);
    site.wait(Duration::from_secs(1));
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let site = Site::new().await;
    let mut answers = Vec::new();
    for (username, password) in [("ada", "wrong password"), ("bob", PASSWORD)] {
        let mut browser = site.browser();
        let token = browser.csrf().await;
        let values = [
            ("csrf", token.as_str()),
            ("username", username),
            ("password", password),
        ];
        let answer = browser.post_with("/sign-in", &values).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let body = answer
            .body
            .replace(&token, "TOKEN")
            .replace(username, "NAME");
        answers.push((body, answer.headers));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_wrong_password_is_never_sent_back() {
    let site = Site::new().await;
    let values = [("username", "ada"), ("password", "canary-in-a-coal-mine")];
    let answer = site.browser().post("/sign-in", &values).await;
    assert!(answer.shows("The username or the password is not right."));
    assert!(!answer.shows("canary"));
}

#[tokio::test]
async fn wrong_passwords_are_limited_with_the_time_to_wait() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let wrong = [("username", "ada"), ("password", "wrong password")];
    for _ in 0..5 {
        assert_eq!(
            browser.post("/sign-in", &wrong).await.status,
            StatusCode::FORBIDDEN
        );
    }
    let right = [("username", "ada"), ("password", PASSWORD)];
    let answer = browser.post("/sign-in", &right).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "600");
    assert!(answer.shows("Try again in 10 minutes."));
}

#[tokio::test]
async fn a_sign_in_leads_nowhere_but_home_or_to_a_code() {
    let site = Site::new().await;
    for elsewhere in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:1",
    ] {
        for name in ["user_code", "next", "return_to", "redirect_uri"] {
            let values = [
                ("username", "ada"),
                ("password", PASSWORD),
                (name, elsewhere),
            ];
            assert_eq!(
                site.browser().post("/sign-in", &values).await.location(),
                "/"
            );
            let path = format!("/sign-in?{name}={elsewhere}");
            let page = site.browser().get(&path).await;
            assert!(!page.shows("evil"), "{path}");
            assert_eq!(
                site.signed_in().await.get(&path).await.location(),
                "/",
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn not_you_keeps_the_request_for_the_next_account() {
    let site = Site::new().await;
    site.add("bob").await;
    let device = site.device().await;
    let code = device.user_code.as_str();
    let mut browser = site.signed_in().await;
    let answer = browser.post("/sign-out", &[("user_code", code)]).await;
    assert_eq!(answer.location(), format!("/sign-in?user_code={code}"));
    let values = [
        ("username", "bob"),
        ("password", PASSWORD),
        ("user_code", code),
    ];
    let confirm = browser
        .post("/sign-in", &values)
        .await
        .location()
        .to_owned();
    let page = browser.get(&confirm).await;
    assert!(page.shows("<code>bob</code>") && page.shows(code));
}
