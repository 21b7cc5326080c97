//! What every answer carries, whatever it is.

use http::StatusCode;

use crate::site::Site;

const EVERYWHERE: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
];

const PAGES: [(&str, &str, u16); 15] = [
    ("GET", "/", 200),
    ("GET", "/device", 200),
    ("GET", "/d", 200),
    ("GET", "/device?user_code=AEIOU", 400),
    ("GET", "/sign-in", 200),
    ("GET", "/setup?token=nothing", 404),
    ("GET", "/nothing/here", 404),
    ("DELETE", "/device", 405),
    ("POST", "/sign-in", 415),
    ("POST", "/factors/remove", 415),
    ("GET", "/authorize", 400),
    ("POST", "/authorize", 415),
    ("GET", "/authorize/consent?request=AAAA", 410),
    ("GET", "/end_session/done", 200),
    ("GET", "/end_session?id_token_hint=a.b.c", 400),
];

#[tokio::test]
async fn every_page_carries_the_same_strict_headers() {
    let site = Site::new().await;
    for (method, path, status) in PAGES {
        let answer = site.browser().send(method, path, &[], None).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        for (name, value) in EVERYWHERE {
            assert_eq!(answer.header(name), value, "{method} {path}");
        }
        assert_eq!(
            answer.header("cache-control"),
            "no-store",
            "{method} {path}"
        );
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{method} {path}"
        );
        assert!(answer.shows("<html lang=\"en\">"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_stored_either() {
    let site = Site::new().await;
    let device = site.device().await;
    let path = format!("/device?user_code={}", device.user_code);
    let answer = site.browser().get(&path).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn no_page_has_a_script_an_inline_style_or_another_sites_address() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    let confirm = format!("/device?user_code={}", device.user_code);
    let asked = format!("/authorize?{}", crate::authorize::asked(&[]));
    let consent = browser.get(&asked).await.location().to_owned();
    site.wait(std::time::Duration::from_secs(1));
    let again = format!("{asked}&prompt=login");
    let again = browser.get(&again).await.location().to_owned();
    let sign_in = browser.get(&again).await.location().to_owned();
    let sign_out = browser.get("/end_session").await.location().to_owned();
    for path in [
        "/", "/device", "/sign-in", "/nothing", &confirm, &consent, &sign_in, &sign_out,
    ] {
        let body = browser
            .get(path)
            .await
            .body
            .replace(crate::site::ORIGIN, "");
        for never in [
            "<script",
            "<style",
            " style=",
            "javascript:",
            " onclick=",
            "//",
        ] {
            assert!(!body.contains(never), "{never} on {path}:\n{body}");
        }
    }
}

#[tokio::test]
async fn the_style_sheet_is_named_by_its_content_and_kept() {
    let site = Site::new().await;
    let page = site.browser().get("/").await;
    let path = page
        .body
        .split_once("rel=\"stylesheet\" href=\"")
        .unwrap()
        .1;
    let path = path.split_once('"').unwrap().0;
    let answer = site.browser().get(path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(
        site.browser().get("/assets/style.css").await.status,
        StatusCode::NOT_FOUND
    );
}
