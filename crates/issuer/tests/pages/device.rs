//! The device page: what a link, a click and a guess can do there, and what they cannot.

use std::time::Duration;

use http::StatusCode;

use crate::site::Site;

fn link(code: &str) -> String {
    format!("/device?user_code={code}")
}

#[tokio::test]
async fn a_get_never_approves_and_never_burns_a_code() {
    let site = Site::new().await;
    let device = site.device().await;
    let code = &device.user_code;
    let mut browser = site.signed_in().await;
    let token = browser.csrf().await;
    for path in [
        link(code),
        format!("/d?user_code={code}"),
        format!("/device?user_code={code}&decision=approve&csrf={token}"),
        format!("/device/decision?user_code={code}&decision=approve&csrf={token}"),
        format!("/device/done?outcome=approved&user_code={code}&csrf={token}"),
    ] {
        for from in ["none", "same-origin", "cross-site"] {
            browser.get_from(from, &path).await;
            browser.send("HEAD", &path, &[], None).await;
        }
    }
    assert_eq!(site.poll(&device).await, "authorization_pending");
    assert!(
        browser
            .get(&link(code))
            .await
            .shows("Approve this sign-in?")
    );
}

#[tokio::test]
async fn approve_gives_the_device_its_tokens() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    let values = [
        ("user_code", device.user_code.as_str()),
        ("decision", "approve"),
    ];
    let done = browser
        .post("/device/decision", &values)
        .await
        .location()
        .to_owned();
    assert!(browser.get(&done).await.shows("Return to your terminal"));
    assert_eq!(site.poll(&device).await, "tokens");
    assert!(
        browser.get(&done).await.shows("Approved"),
        "a reload tells the same"
    );
}

#[tokio::test]
async fn deny_tells_the_device_access_denied() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    let values = [
        ("user_code", device.user_code.as_str()),
        ("decision", "deny"),
    ];
    let done = browser
        .post("/device/decision", &values)
        .await
        .location()
        .to_owned();
    assert!(browser.get(&done).await.shows("Denied"));
    assert_eq!(site.poll(&device).await, "access_denied");
}

#[tokio::test]
async fn a_code_that_was_decided_cannot_be_decided_again() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    let deny = [
        ("user_code", device.user_code.as_str()),
        ("decision", "deny"),
    ];
    let approve = [
        ("user_code", device.user_code.as_str()),
        ("decision", "approve"),
    ];
    browser.post("/device/decision", &deny).await;
    let done = browser
        .post("/device/decision", &approve)
        .await
        .location()
        .to_owned();
    assert!(browser.get(&done).await.shows("Too late for this code"));
    assert_eq!(site.poll(&device).await, "access_denied");
}

#[tokio::test]
async fn a_decision_needs_a_word_we_know_and_a_session() {
    let site = Site::new().await;
    let device = site.device().await;
    let code = device.user_code.as_str();
    for word in ["", "yes", "APPROVE"] {
        let values = [("user_code", code), ("decision", word)];
        let answer = site
            .signed_in()
            .await
            .post("/device/decision", &values)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{word:?}");
    }
    let values = [("user_code", code), ("decision", "approve")];
    let answer = site.browser().post("/device/decision", &values).await;
    assert_eq!(answer.location(), format!("/sign-in?user_code={code}"));
    assert_eq!(site.poll(&device).await, "authorization_pending");
}

#[tokio::test]
async fn a_code_is_taken_in_any_case_with_any_dash_and_space() {
    let site = Site::new().await;
    let device = site.device().await;
    let code = &device.user_code;
    let mut browser = site.signed_in().await;
    for typed in [
        code.to_lowercase(),
        code.replace('-', ""),
        format!("  {} ", code.replace('-', " ")),
    ] {
        let answer = browser.post("/device", &[("user_code", &typed)]).await;
        assert_eq!(answer.location(), link(code), "{typed:?}");
    }
}

#[tokio::test]
async fn a_link_with_the_code_leads_through_the_sign_in_to_the_confirmation() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.browser();
    let sign_in = browser
        .get(&link(&device.user_code))
        .await
        .location()
        .to_owned();
    let page = browser.get(&sign_in).await;
    assert!(page.shows(&device.user_code));
    let code = page.field("user_code");
    let values = [
        ("username", "ada"),
        ("password", crate::site::PASSWORD),
        ("user_code", code.as_str()),
    ];
    let answer = browser.post("/sign-in", &values).await;
    let confirm = answer.location().to_owned();
    assert!(
        browser
            .get_from("same-origin", &confirm)
            .await
            .shows("Approve this sign-in?")
    );
}

#[tokio::test]
async fn another_sites_link_has_to_be_compared_first_and_spends_no_guess() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    for _ in 0..20 {
        let page = browser.get_from("cross-site", &link("BBBB-BBBB")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.shows("Is this the code in your terminal?"));
    }
    let page = browser
        .get_from("cross-site", &link(&device.user_code))
        .await;
    assert!(page.shows("Is this the code in your terminal?") && !page.shows("Approve"));
    assert!(
        browser
            .get(&link(&device.user_code))
            .await
            .shows("Approve this sign-in?")
    );
}

#[tokio::test]
async fn a_link_with_two_codes_has_none() {
    let site = Site::new().await;
    let page = site
        .signed_in()
        .await
        .get("/device?user_code=BBBB-BBBB&user_code=CCCC-CCCC")
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.shows("Enter the code") && !page.shows("BBBB") && !page.shows("CCCC"));
}

#[tokio::test]
async fn a_stranger_cannot_try_codes() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.browser();
    let real = browser.get(&link(&device.user_code)).await;
    let made_up = browser.get(&link("BBBB-BBBB")).await;
    assert_eq!(real.status, made_up.status);
    assert_eq!(made_up.location(), "/sign-in?user_code=BBBB-BBBB");
}

#[tokio::test]
async fn wrong_codes_are_limited_with_the_time_to_wait() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    for last in ["B", "C", "D", "F", "G"] {
        let page = browser.get(&link(&format!("BBBB-BBB{last}"))).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.shows("No terminal waits with this code."));
    }
    for code in ["BBBB-BBBH", &device.user_code] {
        let page = browser.get(&link(code)).await;
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(page.header("retry-after"), "600");
        assert!(page.shows("Try again in 10 minutes."));
    }
    site.wait(Duration::from_secs(600));
    assert_eq!(
        browser.get(&link("BBBB-BBBJ")).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn decisions_are_no_way_around_the_limit() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let mut stopped = false;
    for last in "BCDFGHJK".chars() {
        let code = format!("BBBB-BBB{last}");
        let values = [("user_code", code.as_str()), ("decision", "approve")];
        let answer = browser.post("/device/decision", &values).await;
        stopped |= answer.status == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(stopped);
}

#[tokio::test]
async fn the_confirmation_says_who_asks_from_where_and_what_is_only_claimed() {
    let site = Site::new().await;
    let device = site
        .device_claiming(Some("ada-laptop"), Some("countersign login"))
        .await;
    site.wait(Duration::from_secs(130));
    let page = site.signed_in().await.get(&link(&device.user_code)).await;
    assert_eq!(page.status, StatusCode::OK);
    let code = &device.user_code;
    for part in [
        code.as_str(),
        "Countersign CLI",
        "<code>cli</code>",
        "<code>ada</code>",
        "Not you?",
        "Know which account you are",
        "See your email address",
        "Stay signed in",
        "192.0.2.7",
        "<code>ada-laptop</code>",
        "<code>countersign login</code>",
        "claimed, not verified",
        "2 minutes ago",
        "value=\"approve\"",
        "value=\"deny\"",
    ] {
        assert!(page.shows(part), "{part}:\n{}", page.body);
    }
    // For speech, letter by letter.
    let spelled = countersign_spelling(code);
    assert!(page.shows(&spelled), "{spelled}");
}

fn countersign_spelling(code: &str) -> String {
    code.replace('-', ",")
        .chars()
        .map(String::from)
        .collect::<Vec<_>>()
        .join(" ")
        .replace(" ,", ",")
}

#[tokio::test]
async fn a_hostile_name_is_shown_as_text() {
    let site = Site::new().await;
    let hostile = "\"><script>alert(1)</script><a href='//evil.example'>&lt;";
    let device = site.device_claiming(Some(hostile), Some(hostile)).await;
    let page = site.signed_in().await.get(&link(&device.user_code)).await;
    assert!(page.shows("&#60;script&#62;alert(1)"), "{}", page.body);
    assert!(!page.shows("<script") && !page.shows("<a href='//evil"));

    let typed = "\"><script>alert(1)</script>";
    let page = site
        .browser()
        .post("/device", &[("user_code", typed)])
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.shows("<script"));
}

#[tokio::test]
async fn nobody_is_shown_approved_by_a_link() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut ada = site.signed_in().await;
    let values = [
        ("user_code", device.user_code.as_str()),
        ("decision", "deny"),
    ];
    let denied = ada
        .post("/device/decision", &values)
        .await
        .location()
        .to_owned();
    let forged = denied.replace("denied", "approved");
    assert_eq!(ada.get(&forged).await.location(), "/device");
    assert_eq!(
        ada.get("/device/done?outcome=approved").await.location(),
        "/device"
    );
    assert_eq!(
        site.signed_in().await.get(&denied).await.location(),
        "/device"
    );
}

#[tokio::test]
async fn a_code_that_came_too_late_is_told_from_a_wrong_one() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    site.wait(Duration::from_secs(600));
    for _ in 0..20 {
        let page = browser.get(&link(&device.user_code)).await;
        assert_eq!(page.status, StatusCode::GONE, "a reload is no guess");
        assert!(page.shows("This code has expired"));
    }
}

#[tokio::test]
async fn a_code_that_was_decided_is_said_to_be_used() {
    let site = Site::new().await;
    let device = site.device().await;
    let mut browser = site.signed_in().await;
    let values = [
        ("user_code", device.user_code.as_str()),
        ("decision", "approve"),
    ];
    browser.post("/device/decision", &values).await;
    for _ in 0..20 {
        let page = browser.get(&link(&device.user_code)).await;
        assert_eq!(page.status, StatusCode::GONE);
        assert!(page.shows("This code was used already"));
    }
}
