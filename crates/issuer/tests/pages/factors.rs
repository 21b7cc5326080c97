//! Second factors on the pages: set up, asked for, taken away.

use std::time::Duration;

use countersign_issuer::core::{AskedSignIn, SecondFactorPolicy};
use countersign_jose::Timestamp;
use countersign_otp::crypto::aws_lc;
use countersign_otp::oath::{Secret, Totp};
use countersign_otp::yubico::{KeyFile, Secrets, sim::SimulatedKey};
use http::StatusCode;

use crate::site::{Answer, Browser, PASSWORD, Site};

/// An authenticator that has read the secret off the page.
struct Authenticator(Totp);

impl Authenticator {
    fn reading(page: &Answer) -> Self {
        let (_, rest) = page.body.split_once("class=\"command secret\">").unwrap();
        let secret = rest.split_once('<').unwrap().0.replace(' ', "");
        Self(Totp::new(Secret::from_base32(&secret).unwrap()))
    }

    fn code(&self, now: Timestamp) -> String {
        let since_1970 = Duration::from_millis(u64::try_from(now.as_millis()).unwrap());
        self.0.code_at(since_1970, aws_lc::provider()).to_string()
    }
}

/// Sets an authenticator up on the pages; the page with the recovery codes.
async fn set_up(site: &Site, browser: &mut Browser<'_>, query: &str) -> (Authenticator, Answer) {
    let page = browser.get(&format!("/factors/totp{query}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let authenticator = Authenticator::reading(&page);
    let offer = page.field("offer");
    let code = authenticator.code(site.now());
    let mut fields = vec![("offer", offer.as_str()), ("code", code.as_str())];
    let waiting = query.trim_start_matches('?').split_once('=');
    fields.extend(waiting);
    let answer = browser.post("/factors/totp", &fields).await;
    site.wait(Duration::from_secs(60));
    (authenticator, answer)
}

/// The recovery codes of a page.
pub(crate) fn codes(page: &Answer) -> Vec<String> {
    let (_, list) = page.body.split_once("<ol class=\"codes\">").unwrap();
    let list = list.split_once("</ol>").unwrap().0;
    let codes = list.split("<code>").skip(1);
    codes
        .map(|code| code.split_once('<').unwrap().0.to_owned())
        .collect()
}

pub(crate) async fn password(browser: &mut Browser<'_>, more: &[(&str, &str)]) -> Answer {
    let credentials = [("username", "ada"), ("password", PASSWORD)];
    browser
        .post("/sign-in", &[&credentials[..], more].concat())
        .await
}

#[tokio::test]
async fn an_authenticator_is_set_up_and_from_then_on_asked_for() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    assert!(browser.get("/").await.shows("Set one up"));
    let page = browser.get("/factors").await;
    assert!(page.shows("You have none yet."), "{}", page.body);
    assert!(!page.shows("/factors/yubikey"), "there is no key to claim");

    let before = browser.cookie.clone();
    let (authenticator, page) = set_up(&site, &mut browser, "?for=factors").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let codes = codes(&page);
    assert_eq!(codes.len(), 10);
    assert_ne!(
        browser.cookie, before,
        "a stronger session has another name"
    );
    assert!(page.shows("href=\"/factors\""));
    for path in ["/factors", "/"] {
        let page = browser.get(path).await;
        assert!(!page.shows(&codes[0]), "shown once");
    }
    assert!(browser.get("/factors").await.shows("10 of them are unused"));

    let mut browser = site.browser();
    let answer = password(&mut browser, &[]).await;
    assert_eq!(answer.location(), "/sign-in/code");
    let page = browser.get("/sign-in/code").await;
    assert!(page.shows("Enter your code"), "{}", page.body);
    let wrong = browser.post("/sign-in/code", &[("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.shows("That code is not right") && !wrong.shows("000000"));
    let code = authenticator.code(site.now());
    let right = browser.post("/sign-in/code", &[("code", &code)]).await;
    assert_eq!(right.location(), "/");
    assert!(browser.is_signed_in().await);

    let mut other = site.browser();
    password(&mut other, &[]).await;
    let used = other.post("/sign-in/code", &[("code", &code)]).await;
    assert_eq!(used.status, StatusCode::FORBIDDEN);
    assert!(used.shows("was used already"), "{}", used.body);
    let right = other.post("/sign-in/code", &[("code", &codes[0])]).await;
    assert_eq!(right.location(), "/");
    assert!(other.get("/factors").await.shows("9 of them are unused"));
}

/// The cookie after the password alone opens no page and approves nothing.
#[tokio::test]
async fn half_a_sign_in_opens_nothing() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    set_up(&site, &mut browser, "?for=factors").await;
    let mut half = site.browser();
    password(&mut half, &[]).await;
    assert!(!half.is_signed_in().await);
    let device = site.device().await;
    let code = device.user_code.as_str();
    let link = format!("/device?user_code={code}");
    assert_eq!(
        half.get(&link).await.location(),
        format!("/sign-in?user_code={code}")
    );
    let approval = [("user_code", code), ("decision", "approve")];
    let answer = half.post("/device/decision", &approval).await;
    assert_eq!(answer.location(), format!("/sign-in?user_code={code}"));
    assert_eq!(site.poll(&device).await, "authorization_pending");
    assert_eq!(
        half.get("/factors").await.location(),
        "/sign-in?for=factors"
    );
    // It has a factor, so it sets no other one up.
    for path in ["/factors/totp", "/factors/yubikey"] {
        assert_eq!(half.get(path).await.location(), "/sign-in/code");
    }
    for path in ["/factors/remove", "/factors/recovery"] {
        let id = "AAAAAAAAAAAAAAAAAAAAAA";
        let answer = half.post(path, &[("factor", id)]).await;
        assert_eq!(answer.location(), "/sign-in?for=factors", "{path}");
    }
    // And whoever it is not can be somebody else.
    let answer = half.post("/sign-out", &[("user_code", code)]).await;
    assert_eq!(answer.location(), format!("/sign-in?user_code={code}"));
    assert_eq!(half.get("/sign-in/code").await.location(), "/sign-in");
}

#[tokio::test]
async fn what_waits_behind_a_sign_in_waits_behind_the_code_as_well() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let (authenticator, _) = set_up(&site, &mut browser, "?for=factors").await;
    let device = site.device().await;
    let code = ("user_code", device.user_code.as_str());
    let mut browser = site.browser();
    let answer = password(&mut browser, &[code]).await;
    let next = format!("/sign-in/code?user_code={}", device.user_code);
    assert_eq!(answer.location(), next);
    let page = browser.get(&next).await;
    assert_eq!(page.field("user_code"), device.user_code);
    let typed = authenticator.code(site.now());
    let answer = browser
        .post("/sign-in/code", &[code, ("code", &typed)])
        .await;
    assert_eq!(
        answer.location(),
        format!("/device?user_code={}", device.user_code)
    );
    let approval = [code, ("decision", "approve")];
    browser.post("/device/decision", &approval).await;
    assert_eq!(site.poll(&device).await, "tokens");
}

#[tokio::test]
async fn a_terminal_that_asks_for_more_has_the_code_alone_asked_for() {
    let site = Site::asking(SecondFactorPolicy::OnRequest).await;
    let mut browser = site.signed_in().await;
    let (authenticator, _) = set_up(&site, &mut browser, "?for=factors").await;
    // The password is enough until something asks for more.
    let mut browser = site.signed_in().await;
    let device = site
        .device_asking(AskedSignIn {
            acr_values: Some("mfa".to_owned()),
            ..AskedSignIn::default()
        })
        .await;
    let code = ("user_code", device.user_code.as_str());
    let link = format!("/device?user_code={}", device.user_code);
    let next = format!("/sign-in/code?user_code={}", device.user_code);
    assert_eq!(browser.get(&link).await.location(), next);
    // The approval is no way around it.
    let approval = [code, ("decision", "approve")];
    let answer = browser.post("/device/decision", &approval).await;
    assert_eq!(answer.location(), link);
    assert_eq!(site.poll(&device).await, "authorization_pending");
    // Nor does another site's link to the code page look codes up.
    let foreign = browser.get_from("cross-site", &next).await;
    assert_eq!(foreign.location(), link);
    assert!(browser.get(&next).await.shows("Enter your code"));
    let typed = authenticator.code(site.now());
    let answer = browser
        .post("/sign-in/code", &[code, ("code", &typed)])
        .await;
    assert_eq!(answer.location(), link);
    assert!(browser.get(&link).await.shows("Approve this sign-in?"));
    browser.post("/device/decision", &approval).await;
    assert_eq!(site.poll(&device).await, "tokens");
}

#[tokio::test]
async fn a_terminal_that_asks_for_a_fresh_sign_in_has_the_password_asked_for() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    site.wait(Duration::from_secs(301));
    let device = site
        .device_asking(AskedSignIn {
            max_age: Some("300".to_owned()),
            ..AskedSignIn::default()
        })
        .await;
    let code = ("user_code", device.user_code.as_str());
    let link = format!("/device?user_code={}", device.user_code);
    let sign_in = format!("/sign-in?user_code={}", device.user_code);
    assert_eq!(browser.get(&link).await.location(), sign_in);
    let page = browser.get(&sign_in).await;
    assert!(page.shows("Sign in again") && page.shows("asks you to sign in again"));
    assert!(page.shows("value=\"ada\""), "{}", page.body);
    assert_eq!(password(&mut browser, &[code]).await.location(), link);
    assert!(browser.get(&link).await.shows("Approve this sign-in?"));
    // A request without demands sends nobody to the sign-in.
    let plain = site.device().await;
    let sign_in = format!("/sign-in?user_code={}", plain.user_code);
    let link = format!("/device?user_code={}", plain.user_code);
    assert_eq!(browser.get(&sign_in).await.location(), link);
}

#[tokio::test]
async fn who_cannot_do_what_a_terminal_asks_for_is_told_what_to_do() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    let asked = || AskedSignIn {
        acr_values: Some("mfa".to_owned()),
        ..AskedSignIn::default()
    };
    let device = site.device_asking(asked()).await;
    let link = format!("/device?user_code={}", device.user_code);
    let page = browser.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.shows("This needs a second factor") && !page.shows("value=\"approve\""));
    let fields = [
        ("user_code", device.user_code.as_str()),
        ("decision", "unmet"),
    ];
    let answer = browser.post("/device/decision", &fields).await;
    let done = answer.location().to_owned();
    assert!(browser.get(&done).await.shows("Denied"));
    assert_eq!(
        site.poll(&device).await,
        "unmet_authentication_requirements"
    );
    // Set up meanwhile, it can be approved.
    let device = site.device_asking(asked()).await;
    set_up(&site, &mut browser, "?for=factors").await;
    let link = format!("/device?user_code={}", device.user_code);
    assert!(browser.get(&link).await.shows("Approve this sign-in?"));
}

#[tokio::test]
async fn where_a_second_factor_is_required_it_is_set_up_on_the_way_in() {
    let site = Site::asking(SecondFactorPolicy::Required).await;
    let device = site.device().await;
    let code = device.user_code.as_str();
    let mut browser = site.browser();
    let answer = password(&mut browser, &[("user_code", code)]).await;
    assert_eq!(answer.location(), format!("/sign-in/code?user_code={code}"));
    let query = format!("?user_code={code}");
    let answer = browser.get(&format!("/sign-in/code{query}")).await;
    assert_eq!(answer.location(), format!("/factors/totp{query}"));
    let (_, page) = set_up(&site, &mut browser, &query).await;
    let next = format!("/device?user_code={code}");
    assert!(page.shows(&format!("href=\"{next}\"")), "{}", page.body);
    assert!(browser.get(&next).await.shows("Approve this sign-in?"));
}

#[tokio::test]
async fn a_key_is_claimed_by_a_touch_and_taken_away_after_a_question() {
    let site = Site::new().await;
    let file = "1,ccccccccbcbb,010203040506,000102030405060708090a0b0c0d0e0f,,2026-01-01T00:00:00,";
    let keys = KeyFile::parse(file).unwrap().into_records();
    let imported = site.core.import_keys(keys, Some("ada"), site.now());
    imported.await.unwrap().unwrap();
    let secrets = Secrets::from_hex("010203040506", "000102030405060708090a0b0c0d0e0f").unwrap();
    let mut key = SimulatedKey::new("ccccccccbcbb".parse().unwrap(), secrets);

    let mut browser = site.signed_in().await;
    assert!(browser.get("/factors").await.shows("Set up a Yubikey"));
    assert_eq!(
        browser.get("/factors/yubikey?for=factors").await.status,
        StatusCode::OK
    );
    let waiting = ("for", "factors");
    for typed in ["123456", &"c".repeat(44)] {
        let fields = [waiting, ("code", typed)];
        let answer = browser.post("/factors/yubikey", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
    }
    let otp = key.press(3);
    let fields = [waiting, ("code", otp.expose())];
    let page = browser.post("/factors/yubikey", &fields).await;
    assert_eq!(codes(&page).len(), 10);
    let page = browser.get("/factors").await;
    assert!(page.shows("<code>ccccccccbcbb</code>"), "{}", page.body);

    let mut other = site.browser();
    password(&mut other, &[]).await;
    assert!(other.get("/sign-in/code").await.shows("Touch your Yubikey"));
    // Caps Lock was on, and the key ends with Enter.
    let otp = format!("{}\n", key.press(4).expose().to_uppercase());
    let answer = other.post("/sign-in/code", &[("code", &otp)]).await;
    assert_eq!(answer.location(), "/");

    let (_, rest) = page.body.split_once("/factors/remove?factor=").unwrap();
    let id = rest.split_once('"').unwrap().0.to_owned();
    let asked = browser.get(&format!("/factors/remove?factor={id}")).await;
    assert!(asked.shows("It is your only one"), "{}", asked.body);
    assert!(browser.get("/factors").await.shows("ccccccccbcbb"));
    let answer = browser.post("/factors/remove", &[("factor", &id)]).await;
    assert_eq!(answer.location(), "/factors");
    assert!(browser.get("/factors").await.shows("You have none yet."));
    assert_eq!(
        browser
            .get(&format!("/factors/remove?factor={id}"))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_session_that_was_left_open_changes_nothing() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    site.wait(Duration::from_secs(601));
    let answer = browser.get("/factors/totp?for=factors").await;
    assert_eq!(answer.location(), "/sign-in?for=factors");
    assert!(
        browser
            .get("/sign-in?for=factors")
            .await
            .shows("Sign in again")
    );
    let answer = password(&mut browser, &[("for", "factors")]).await;
    assert_eq!(answer.location(), "/factors");
    set_up(&site, &mut browser, "?for=factors").await;
    site.wait(Duration::from_secs(601));
    let page = browser.get("/factors").await;
    assert_eq!(page.status, StatusCode::OK, "looking is free");
    for path in ["/factors/totp?for=factors", "/factors/remove?factor=AA"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.location(), "/sign-in/code?for=factors", "{path}");
    }
    let answer = browser.post("/factors/recovery", &[]).await;
    assert_eq!(answer.location(), "/sign-in/code?for=factors");
    assert!(
        browser
            .get("/sign-in/code?for=factors")
            .await
            .shows("Enter your code")
    );
}

#[tokio::test]
async fn wrong_codes_are_stopped_with_the_time_to_wait() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    set_up(&site, &mut browser, "?for=factors").await;
    let mut browser = site.browser();
    password(&mut browser, &[]).await;
    for _ in 0..5 {
        let wrong = browser.post("/sign-in/code", &[("code", "000000")]).await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    }
    let stopped = browser.post("/sign-in/code", &[("code", "000000")]).await;
    assert_eq!(stopped.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stopped.header("retry-after"), "600");
    assert!(
        stopped.shows("somebody knows your password"),
        "{}",
        stopped.body
    );
}

#[tokio::test]
async fn where_there_are_none_there_are_no_pages_for_them() {
    let site = Site::asking(SecondFactorPolicy::Off).await;
    let mut browser = site.signed_in().await;
    assert!(!browser.get("/").await.shows("econd factor"));
    for path in ["/factors", "/factors/totp", "/factors/yubikey"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND);
    }
    for path in ["/factors/totp", "/factors/yubikey", "/factors/recovery"] {
        let answer = browser.post(path, &[("code", "000000")]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

/// `OpenID` Connect Core 1.0, section 3.1.2.1, on the pages.
#[tokio::test]
async fn an_application_that_asks_for_more_has_it_asked_for() {
    let site = Site::asking(SecondFactorPolicy::OnRequest).await;
    let mut browser = site.signed_in().await;
    let (authenticator, _) = set_up(&site, &mut browser, "?for=factors").await;
    let mut browser = site.signed_in().await;
    let request = "/authorize?response_type=code&client_id=cli\
                   &redirect_uri=http%3A%2F%2F127.0.0.1%3A49152%2Fcallback&acr_values=mfa\
                   &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                   &code_challenge_method=S256";
    let consent = browser.get(request).await.location().to_owned();
    let code_page = browser.get(&consent).await.location().to_owned();
    assert!(
        code_page.starts_with("/sign-in/code?request="),
        "{code_page}"
    );
    let page = browser.get(&code_page).await;
    let sealed = page.field("request");
    let typed = authenticator.code(site.now());
    let fields = [("request", sealed.as_str()), ("code", typed.as_str())];
    let answer = browser.post("/sign-in/code", &fields).await;
    assert_eq!(answer.location(), consent);
    let fields = [("request", sealed.as_str()), ("decision", "approve")];
    let answer = browser.post("/authorize/decision", &fields).await;
    assert!(answer.goes_on_to().contains("code="), "{}", answer.body);
}
