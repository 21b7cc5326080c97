//! What a sign-in is worth, and what is asked of it: `acr`, `amr`, `auth_time`, `acr_values`,
//! `max_age`, `prompt=login` and an essential `acr`, by browser and by terminal (RFC 9470).

use countersign_issuer::core::{
    AskedSignIn, BrowserSession, Claimant, CodeLookup, Decision, DeviceRequest, Enrolment, Missing,
    Policy, SecondFactorPolicy, SignIn, Standing, StartedDevice,
};
use countersign_oauth::Secret;
use serde_json::{Value, json};

use crate::code_flow::{answer, error_of};
use crate::fixture::{Fixture, PASSWORD, PEER, claims, code_of, request};
use crate::over_both;
use crate::people::{Authenticator, done, touch, yubikey};

over_both!(
    tokens_say_by_what_and_when_their_person_signed_in,
    a_renewed_login_stays_what_it_was,
    a_terminal_that_asks_for_a_fresh_sign_in_gets_one,
);

const MFA: [(&str, &str); 1] = [("acr_values", "mfa")];

/// A policy under which the password is enough until something asks for more.
fn on_request(policy: &mut Policy) {
    policy.second_factor = SecondFactorPolicy::OnRequest;
}

impl Fixture {
    async fn start_asking(&self, sign_in: AskedSignIn) -> StartedDevice {
        let request = DeviceRequest {
            sign_in,
            ..request("openid offline_access")
        };
        self.core.start_device(request, self.now()).await.unwrap()
    }

    fn missing(&self, started: &StartedDevice, session: &BrowserSession) -> Option<Missing> {
        match self.look_up(&started.user_code, session) {
            CodeLookup::Found(pending) => pending.missing,
            other => panic!("a pending login, not {other:?}"),
        }
    }

    /// What the tokens of both flows say, which has to be the same.
    async fn told(&self, session: &BrowserSession, asked: &[(&str, &str)]) -> Value {
        let by_code = self.redeem(&self.code(asked, session).await).await.unwrap();
        let value = |name| {
            let found = asked.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let started = self.start_asking(AskedSignIn {
            acr_values: value("acr_values"),
            max_age: value("max_age"),
            prompt: None,
        });
        let started = started.await;
        self.approve(&started, session).await;
        let by_device = self.poll(&started).await.unwrap();
        let said = |token: &Secret| {
            let claims = claims(token);
            json!({ "acr": claims["acr"], "amr": claims["amr"], "auth_time": claims["auth_time"] })
        };
        let first = said(&by_code.access_token);
        for tokens in [&by_code, &by_device] {
            assert_eq!(said(&tokens.access_token), first);
            assert_eq!(said(tokens.id_token.as_ref().unwrap()), first);
        }
        first
    }
}

fn acr_values(values: &str) -> AskedSignIn {
    AskedSignIn {
        acr_values: Some(values.to_owned()),
        ..AskedSignIn::default()
    }
}

fn max_age(seconds: &str) -> AskedSignIn {
    AskedSignIn {
        max_age: Some(seconds.to_owned()),
        ..AskedSignIn::default()
    }
}

/// RFC 9068, section 2.2.1; RFC 8176, section 2.
async fn tokens_say_by_what_and_when_their_person_signed_in(f: Fixture) {
    let (mut key, file) = yubikey("bb");
    let imported = f.core.import_keys(file.into_records(), None, f.now());
    imported.await.unwrap().unwrap();
    let session = f.sign_in("ada").await;
    let at = f.now().as_secs();
    f.advance_secs(5);
    assert_eq!(
        f.told(&session, &[]).await,
        json!({ "acr": "1", "amr": ["pwd"], "auth_time": at })
    );
    // What is proved later makes a sign-in stronger, and no younger.
    let (authenticator, codes, session) = f.set_up(&session).await;
    assert_eq!(
        f.told(&session, &MFA).await,
        json!({ "acr": "mfa", "amr": ["pwd", "otp", "mfa"], "auth_time": at })
    );
    let claimed = f
        .claim(Claimant::SignedIn(&session), &touch(&mut key))
        .await;
    done(claimed);
    f.advance_secs(60);
    for (typed, methods) in [
        (authenticator.code(f.now()), json!(["pwd", "otp", "mfa"])),
        (touch(&mut key), json!(["pwd", "otp", "hwk", "mfa"])),
        (codes[0].clone(), json!(["pwd", "mfa"])),
    ] {
        let session = f.sign_in_with("ada", &typed).await;
        let at = f.now().as_secs();
        f.advance_secs(5);
        assert_eq!(
            f.told(&session, &[]).await,
            json!({ "acr": "mfa", "amr": methods, "auth_time": at })
        );
        // Whoever knows only the class below is told that one.
        assert_eq!(
            f.told(&session, &[("acr_values", "1")]).await,
            json!({ "acr": "1", "amr": ["pwd"], "auth_time": at })
        );
        let both = f.told(&session, &[("acr_values", "1 mfa")]).await;
        assert_eq!(both["acr"], "mfa");
    }
}

async fn a_renewed_login_stays_what_it_was(f: Fixture) {
    let session = f.sign_in("ada").await;
    let at = f.now().as_secs();
    let started = f.start("openid offline_access").await;
    f.approve(&started, &session).await;
    let tokens = f.poll(&started).await.unwrap();
    let (_, _, stronger) = f.set_up(&session).await;
    let started = f.start("openid offline_access").await;
    f.approve(&started, &stronger).await;
    let strong = f.poll(&started).await.unwrap();
    f.advance_secs(3_600);
    for (tokens, acr) in [(tokens, "1"), (strong, "mfa")] {
        let renewed = f.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
        for token in [&renewed.access_token, renewed.id_token.as_ref().unwrap()] {
            assert_eq!(claims(token)["acr"], acr);
            assert_eq!(claims(token)["auth_time"], at);
        }
    }
}

async fn a_terminal_that_asks_for_a_fresh_sign_in_gets_one(f: Fixture) {
    let session = f.sign_in("ada").await;
    f.advance_secs(300);
    let old_enough = f.start_asking(max_age("300")).await;
    assert_eq!(f.missing(&old_enough, &session), None);
    f.advance_secs(1);
    let anew = AskedSignIn {
        prompt: Some("consent login".to_owned()),
        ..AskedSignIn::default()
    };
    for asked in [max_age("300"), max_age("0"), anew] {
        let started = f.start_asking(asked).await;
        assert_eq!(f.missing(&started, &session), Some(Missing::SignIn));
        // Not by the page alone: the approval itself refuses.
        let approved = f.core.approve(&started.user_code, &session, PEER, f.now());
        let approved = approved.await.unwrap();
        assert!(
            matches!(approved, Decision::Missing(Missing::SignIn)),
            "{approved:?}"
        );
        assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
        f.advance_secs(5);
        let fresh = f.sign_in("ada").await;
        // However long the person looks at the page.
        f.advance_secs(500);
        assert_eq!(f.missing(&started, &fresh), None);
        f.approve(&started, &fresh).await;
        let tokens = f.poll(&started).await.unwrap();
        assert_eq!(
            claims(&tokens.access_token)["auth_time"],
            fresh.authenticated_at.as_secs()
        );
    }
    // A denial needs no sign-in of any kind.
    let started = f.start_asking(max_age("0")).await;
    let denied = f.core.deny(&started.user_code, &session, PEER, f.now());
    assert!(matches!(denied.await.unwrap(), Decision::Recorded));
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for() {
    let f = Fixture::with_policy(on_request).await;
    let first = f.sign_in("ada").await;
    let (authenticator, _, _) = f.set_up(&first).await;
    f.advance_secs(60);
    // Nobody has asked for more yet.
    let session = f.sign_in("ada").await;
    let at = f.now().as_secs();
    let plain = f.ask(&[]).unwrap();
    assert!(matches!(
        f.standing(&plain, Some(&session)),
        Standing::Consent
    ));
    f.advance_secs(60);
    let request = f.ask(&MFA).unwrap();
    let preferred = f.ask(&[("acr_values", "mfa 1")]).unwrap();
    for request in [&request, &preferred] {
        assert!(matches!(
            f.standing(request, Some(&session)),
            Standing::SecondFactor
        ));
    }
    let enough = f.ask(&[("acr_values", "1 mfa")]).unwrap();
    assert!(matches!(
        f.standing(&enough, Some(&session)),
        Standing::Consent
    ));
    let started = f.start_asking(acr_values("phr mfa")).await;
    assert_eq!(f.missing(&started, &session), Some(Missing::SecondFactor));
    let refused = f.core.approve(&started.user_code, &session, PEER, f.now());
    assert!(matches!(
        refused.await.unwrap(),
        Decision::Missing(Missing::SecondFactor)
    ));
    // Whoever may see no page cannot be asked.
    let silent = f.ask(&[("acr_values", "mfa"), ("prompt", "none")]).unwrap();
    let Standing::Answered(response) = f.standing(&silent, Some(&session)) else {
        panic!("an answer");
    };
    assert_eq!(error_of(&response), "login_required");

    let proved = f
        .prove(Claimant::SignedIn(&session), &authenticator.code(f.now()))
        .await;
    let session = f.opened(proved);
    assert!(matches!(
        f.standing(&request, Some(&session)),
        Standing::Consent
    ));
    assert_eq!(f.missing(&started, &session), None);
    let told = f.told(&session, &MFA).await;
    assert_eq!(
        (&told["acr"], &told["auth_time"]),
        (&json!("mfa"), &json!(at))
    );
    // The code does not make up for a password that is too old.
    let both = f.ask(&[("acr_values", "mfa"), ("max_age", "30")]).unwrap();
    assert!(matches!(
        f.standing(&both, Some(&session)),
        Standing::SignIn
    ));
}

/// RFC 9470, section 5: `unmet_authentication_requirements`.
#[tokio::test]
async fn what_cannot_be_met_is_refused_in_the_words_for_it() {
    let f = Fixture::in_memory().await;
    let unmet = "unmet_authentication_requirements";
    // Nobody here could: told at once, before a person is bothered.
    for changes in [
        &[("acr_values", "phr urn:other")][..],
        &[(
            "claims",
            r#"{"id_token":{"acr":{"essential":true,"values":["phr"]}}}"#,
        )],
    ] {
        assert_eq!(error_of(&f.answered(changes)), unmet);
    }
    let request = DeviceRequest {
        sign_in: acr_values("phr"),
        ..request("openid")
    };
    assert_eq!(code_of(f.core.start_device(request, f.now()).await), unmet);
    // This person cannot, who has no second factor.
    let session = f.sign_in("ada").await;
    for changes in [
        &MFA[..],
        &[(
            "claims",
            r#"{"id_token":{"acr":{"essential":true,"value":"mfa"}}}"#,
        )],
        // What is essential is not made up for by what is preferred.
        &[
            ("acr_values", "1"),
            (
                "claims",
                r#"{"id_token":{"acr":{"essential":true,"values":["mfa","phr"]}}}"#,
            ),
        ],
    ] {
        let request = f.ask(changes).unwrap();
        let Standing::Answered(response) = f.standing(&request, Some(&session)) else {
            panic!("an answer to {changes:?}");
        };
        assert_eq!(error_of(&response), unmet, "{changes:?}");
        assert_eq!(answer(&response, "state").as_deref(), Some("af0ifjsldkj"));
    }
    for voluntary in [
        r#"{"id_token":{"acr":{"values":["phr"]}}}"#,
        r#"{"id_token":{"acr":null}}"#,
        r#"{"id_token":{"acr":{"essential":true}}}"#,
        r#"{"userinfo":{"acr":{"essential":true,"value":"mfa"}}}"#,
    ] {
        let request = f.ask(&[("claims", voluntary)]).unwrap();
        let standing = f.standing(&request, Some(&session));
        assert!(matches!(standing, Standing::Consent), "{voluntary}");
    }
    for malformed in [
        "{",
        r#"{"id_token":{"acr":{"essential":true,"values":[7]}}}"#,
    ] {
        let response = f.answered(&[("claims", malformed)]);
        assert_eq!(error_of(&response), "invalid_request", "{malformed}");
    }
    // The terminal is told so when the person says so.
    let started = f.start_asking(acr_values("mfa")).await;
    assert_eq!(f.missing(&started, &session), Some(Missing::Unmet));
    let told = f
        .core
        .cannot_meet(&started.user_code, &session, PEER, f.now());
    assert!(matches!(told.await.unwrap(), Decision::Recorded));
    assert_eq!(code_of(f.poll(&started).await), unmet);
    // Where they could, it is a denial and nothing else.
    let started = f.start_asking(AskedSignIn::default()).await;
    let told = f
        .core
        .cannot_meet(&started.user_code, &session, PEER, f.now());
    assert!(matches!(told.await.unwrap(), Decision::Recorded));
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
}

#[tokio::test]
async fn a_malformed_age_is_refused_at_both_endpoints() {
    let f = Fixture::in_memory().await;
    for malformed in ["-1", "+1", "1.5", "a", "4294967296"] {
        let response = f.answered(&[("max_age", malformed)]);
        assert_eq!(error_of(&response), "invalid_request", "{malformed}");
        let request = DeviceRequest {
            sign_in: max_age(malformed),
            ..request("openid")
        };
        let refused = f.core.start_device(request, f.now()).await;
        assert_eq!(code_of(refused), "invalid_request", "{malformed}");
    }
}

#[tokio::test]
async fn where_a_second_factor_is_required_nobody_gets_in_without() {
    let f = Fixture::with_policy(|policy| {
        policy.second_factor = SecondFactorPolicy::Required;
        policy.mfa_acr = "urn:example:two".to_owned();
    });
    let f = f.await;
    let half = f.half("ada").await;
    let claimant = Claimant::Halfway(&half);
    // There is nothing to be asked for yet, so it is set up on the way in.
    assert_eq!(f.core.missing_for_factors(claimant, f.now()).unwrap(), None);
    let second_window = f.half("ada").await;
    let enrol = async |half| {
        let claimant = Claimant::Halfway(half);
        let offer = f.core.offer_totp(claimant, f.now()).unwrap();
        let code = Authenticator::new(&offer.secret).code(f.now());
        f.confirm(claimant, &offer.sealed, &code).await
    };
    let done = done(enrol(&half).await);
    let session = f.session_of(&done.session);
    // A thief of the password who was as fast sets up nothing more.
    let late = enrol(&second_window).await;
    assert!(
        matches!(late, Enrolment::Missing(Missing::SecondFactor)),
        "{late:?}"
    );
    assert_eq!(f.core.acr_values(), ["1", "urn:example:two"]);
    let told = f.told(&session, &[("acr_values", "urn:example:two")]).await;
    assert_eq!(told["acr"], "urn:example:two");
}

#[tokio::test]
async fn where_there_are_none_nothing_is_asked_and_nothing_is_promised() {
    let f = Fixture::with_policy(|policy| policy.second_factor = SecondFactorPolicy::Off).await;
    assert_eq!(f.core.acr_values(), ["1"]);
    assert_eq!(
        error_of(&f.answered(&MFA)),
        "unmet_authentication_requirements"
    );
    let password = Secret::new(PASSWORD);
    let outcome = f.core.sign_in("ada", &password, PEER, f.now());
    let SignIn::Accepted(new) = outcome.await.unwrap() else {
        panic!("ada signs in");
    };
    assert!(!new.is_halfway);
}

/// Sessions from before are not enough where a second factor becomes required.
#[tokio::test]
async fn a_session_from_before_the_requirement_signs_in_again() {
    let before = Fixture::in_sqlite().await;
    let password = Secret::new(PASSWORD);
    let outcome = before.core.sign_in("ada", &password, PEER, before.now());
    let SignIn::Accepted(new) = outcome.await.unwrap() else {
        panic!("ada signs in");
    };
    let session =
        |core: &countersign_issuer::Core| core.session(&new.token, before.now()).unwrap().is_some();
    assert!(session(&before.core));
    let mut policy = crate::fixture::policy();
    policy.second_factor = SecondFactorPolicy::Required;
    let path = before.database().unwrap();
    let storage = countersign_issuer::storage::Sqlite::open(&path).unwrap();
    let after = crate::fixture::core(Box::new(storage), policy);
    assert!(!session(&after));
    let half = after.half_session(&new.token, before.now());
    assert!(half.unwrap().is_none());
    drop(after);
    // Nor where whoever has one is asked for it, once there is one. Such a session
    // may also have begun in the moment in which the first factor was set up.
    let elsewhere = before.sign_in("ada").await;
    before.set_up(&elsewhere).await;
    let mut policy = crate::fixture::policy();
    policy.second_factor = SecondFactorPolicy::OnRequest;
    let storage = countersign_issuer::storage::Sqlite::open(&path).unwrap();
    let lenient = crate::fixture::core(Box::new(storage), policy);
    let outcome = lenient.sign_in("ada", &password, PEER, before.now());
    let SignIn::Accepted(new) = outcome.await.unwrap() else {
        panic!("ada signs in");
    };
    let session =
        |core: &countersign_issuer::Core| core.session(&new.token, before.now()).unwrap().is_some();
    assert!(session(&lenient) && !session(&before.core));
}
