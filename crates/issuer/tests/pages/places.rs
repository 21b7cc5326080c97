//! Where the pages are: host names, and an issuer below a path.

use http::StatusCode;

use crate::site::Site;

#[tokio::test]
async fn a_foreign_host_name_is_not_served() {
    let site = Site::new().await;
    for host in ["evil.example", "evil.example:4455", "127.0.0.1:4456", ""] {
        let answer = site
            .browser()
            .send("GET", "/", &[("host", host)], None)
            .await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!answer.shows("csrf"), "{host}");
    }
}

#[tokio::test]
async fn another_name_of_this_machine_leads_to_the_issuers_own() {
    let site = Site::new().await;
    let path = "/device?user_code=WDJB-MJHT";
    for host in ["localhost:4455", "[::1]:4455"] {
        let answer = site
            .browser()
            .send("GET", path, &[("host", host)], None)
            .await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{host}");
        assert_eq!(
            answer.header("location"),
            "http://127.0.0.1:4455/device?user_code=WDJB-MJHT",
            "{host}"
        );
        let answer = site
            .browser()
            .send("POST", "/sign-in", &[("host", host)], None)
            .await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
}

#[tokio::test]
async fn an_issuer_below_a_path_keeps_every_link_and_redirect_below_it() {
    let site = Site::at("https://id.example.com/auth").await;
    let device = site.device().await;
    let mut browser = site.browser();
    let home = browser.get("/auth").await;
    assert_eq!(home.status, StatusCode::OK);
    for attribute in ["href=\"", "action=\""] {
        for part in home.body.split(attribute).skip(1) {
            assert!(
                part.starts_with("/auth") || part.starts_with('#'),
                "{attribute}{part}"
            );
        }
    }
    let link = format!("/auth/device?user_code={}", device.user_code);
    let sign_in = browser.get(&link).await.location().to_owned();
    assert_eq!(
        sign_in,
        format!("/auth/sign-in?user_code={}", device.user_code)
    );
    let code = ("user_code", device.user_code.as_str());
    let values = [
        ("username", "ada"),
        ("password", crate::site::PASSWORD),
        code,
    ];
    assert_eq!(
        browser.post("/auth/sign-in", &values).await.location(),
        link
    );
    let done = browser
        .post("/auth/device/decision", &[code, ("decision", "approve")])
        .await;
    assert!(done.location().starts_with("/auth/device/done?"));
    let answer = browser.post("/auth/sign-out", &[]).await;
    assert_eq!(browser.get(answer.location()).await.status, StatusCode::OK);
}
