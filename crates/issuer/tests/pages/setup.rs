//! The first account, through the one-time link.

use std::time::Duration;

use http::StatusCode;

use crate::site::{Browser, ORIGIN, PASSWORD, Site};

async fn fresh() -> (Site, String) {
    let site = Site::without_accounts(ORIGIN).await;
    let token = site
        .core
        .offer_setup_link(site.now())
        .await
        .unwrap()
        .unwrap();
    (site, token.expose().to_owned())
}

async fn submit(
    browser: &mut Browser<'_>,
    token: &str,
    changes: &[(&str, &str)],
) -> crate::site::Answer {
    let mut values = vec![
        ("token", token),
        ("username", "ada"),
        ("name", "Ada Lovelace"),
        ("email", ""),
        ("password", PASSWORD),
        ("repeated", PASSWORD),
    ];
    values.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    values.extend(changes);
    browser.post("/setup", &values).await
}

#[tokio::test]
async fn the_link_makes_the_first_account_once_and_signs_it_in() {
    let (site, token) = fresh().await;
    let path = format!("/setup?token={token}");
    let mut browser = site.browser();
    for _ in 0..3 {
        assert_eq!(
            browser.get(&path).await.status,
            StatusCode::OK,
            "looking uses nothing up"
        );
    }
    let before = browser.cookie.clone();
    assert_eq!(submit(&mut browser, &token, &[]).await.location(), "/");
    assert_ne!(browser.cookie, before);
    assert!(browser.get("/").await.shows("Hello, Ada Lovelace"));

    let page = site.browser().get(&path).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.shows("This link is no longer valid"));
    let again = submit(&mut site.browser(), &token, &[("username", "eve")]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(site.core.accounts().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_or_old_link_makes_nothing() {
    let (site, token) = fresh().await;
    for wrong in ["", "AAAA", &format!("{token}A")] {
        let answer = submit(&mut site.browser(), wrong, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    site.wait(Duration::from_secs(3600));
    let answer = submit(&mut site.browser(), &token, &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(site.core.accounts().unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_accepted_is_said_at_its_field_and_the_link_stays_good() {
    let (site, token) = fresh().await;
    let mut browser = site.browser();
    for (change, field, words) in [
        (
            ("username", "../etc"),
            "username",
            "A user name has 1 to 64",
        ),
        (
            ("repeated", "another one"),
            "password",
            "The two passwords are not the same.",
        ),
        (("password", "short"), "password", "The two passwords"),
    ] {
        let page = submit(&mut browser, &token, &[change]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{change:?}");
        assert!(page.shows(words), "{change:?}:\n{}", page.body);
        let begin = format!("<input id=\"{field}\"");
        let input = page
            .body
            .split_once(&begin)
            .unwrap()
            .1
            .split_once('>')
            .unwrap()
            .0;
        assert!(
            input.contains("aria-invalid=\"true\""),
            "{change:?}: {input}"
        );
        assert!(!page.shows(PASSWORD), "no password is sent back");
    }
    let short = [("password", "short"), ("repeated", "short")];
    let page = submit(&mut browser, &token, &short).await;
    assert!(page.shows("A password has at least 10 characters."));
    assert_eq!(submit(&mut browser, &token, &[]).await.location(), "/");
}

#[tokio::test]
async fn what_was_typed_is_kept_and_escaped() {
    let (site, token) = fresh().await;
    let values = [("name", "\"><b>Ada"), ("repeated", "another one")];
    let page = submit(&mut site.browser(), &token, &values).await;
    assert!(
        page.shows("value=\"&#34;&#62;&#60;b&#62;Ada\""),
        "{}",
        page.body
    );
}
