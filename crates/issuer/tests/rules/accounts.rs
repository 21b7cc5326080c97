//! Who signs in, and how the first account is made.

use std::net::IpAddr;
use std::time::Duration;

use countersign_issuer::core::{AccountRejected, NewAccount, Setup, SignIn};
use countersign_issuer::storage::Memory;
use countersign_jose::Timestamp;
use countersign_oauth::Secret;

use crate::fixture::{Fixture, PASSWORD, PEER, core, policy};
use crate::over_both;

over_both!(
    a_session_in_use_lasts_twelve_hours_or_until_signing_out,
    a_session_that_nobody_uses_lasts_an_hour,
    disabling_an_account_ends_its_sessions_at_once,
    a_new_password_ends_all_sessions_and_logins,
    forms_are_bound_to_their_browser,
);

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

async fn a_session_in_use_lasts_twelve_hours_or_until_signing_out(f: Fixture) {
    let outcome = f
        .core
        .sign_in("  ADA ", &Secret::new(PASSWORD), PEER, f.now())
        .await
        .unwrap();
    let SignIn::Accepted(new) = outcome else {
        panic!("{outcome:?}")
    };
    let session = || f.core.session(&new.token, f.now()).unwrap();
    assert_eq!(session().unwrap().account.username, "ada");
    assert_eq!(session().unwrap().authenticated_at, f.now());
    for _ in 0..23 {
        f.advance_secs(1_800);
        let used = session().unwrap();
        f.core.keep_session(&used, f.now()).await.unwrap();
    }
    f.advance_secs(1_799);
    let last = session().unwrap();
    assert_eq!(
        last.expires_at.since(last.authenticated_at).as_secs(),
        12 * 3_600
    );
    f.advance_secs(1);
    assert!(session().is_none());

    let session = f.sign_in("ada").await;
    let outcome = f
        .core
        .sign_in("ada", &Secret::new(PASSWORD), PEER, f.now())
        .await
        .unwrap();
    let SignIn::Accepted(other) = outcome else {
        panic!("{outcome:?}")
    };
    f.core.sign_out(&session).await.unwrap();
    assert!(f.core.session(&other.token, f.now()).unwrap().is_some());
    assert!(
        f.core
            .session(&Secret::new("guess"), f.now())
            .unwrap()
            .is_none()
    );
}

async fn a_session_that_nobody_uses_lasts_an_hour(f: Fixture) {
    let outcome = f
        .core
        .sign_in("ada", &Secret::new(PASSWORD), PEER, f.now())
        .await
        .unwrap();
    let SignIn::Accepted(new) = outcome else {
        panic!("{outcome:?}")
    };
    f.advance_secs(3_599);
    assert!(f.core.session(&new.token, f.now()).unwrap().is_some());
    f.advance_secs(1);
    assert!(f.core.session(&new.token, f.now()).unwrap().is_none());
}

async fn disabling_an_account_ends_its_sessions_at_once(f: Fixture) {
    let outcome = f
        .core
        .sign_in("ada", &Secret::new(PASSWORD), PEER, f.now())
        .await
        .unwrap();
    let SignIn::Accepted(new) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(f.core.set_disabled("ada", true).await.unwrap());
    assert!(f.core.session(&new.token, f.now()).unwrap().is_none());
    let outcome = f
        .core
        .sign_in("ada", &Secret::new(PASSWORD), PEER, f.now())
        .await
        .unwrap();
    assert!(matches!(outcome, SignIn::Refused));
    assert!(f.core.set_disabled("ada", false).await.unwrap());
    assert!(f.core.session(&new.token, f.now()).unwrap().is_none());
    f.sign_in("ada").await;
    assert!(!f.core.set_disabled("nobody", true).await.unwrap());
}

async fn a_new_password_ends_all_sessions_and_logins(f: Fixture) {
    let tokens = f.log_in("openid offline_access").await;
    let new = Secret::new("another good password");
    assert_eq!(f.core.set_password("ada", &new).await.unwrap(), Ok(true));
    assert!(f.refresh(&tokens.refresh_token.unwrap()).await.is_err());
    let outcome = f
        .core
        .sign_in("ada", &Secret::new(PASSWORD), PEER, f.now())
        .await
        .unwrap();
    assert!(matches!(outcome, SignIn::Refused));
    let outcome = f.core.sign_in("ada", &new, PEER, f.now()).await.unwrap();
    assert!(matches!(outcome, SignIn::Accepted(_)));
    assert_eq!(
        f.core.set_password("nobody", &new).await.unwrap(),
        Ok(false)
    );
}

async fn forms_are_bound_to_their_browser(f: Fixture) {
    let (mine, other) = (
        f.core.browser_mark().unwrap(),
        f.core.browser_mark().unwrap(),
    );
    let token = f.core.csrf_token(&mine);
    assert!(f.core.csrf_matches(&mine, &token));
    assert!(!f.core.csrf_matches(&other, &token));
    assert!(!f.core.csrf_matches(&mine, ""));
    assert_ne!(token, mine.expose());
}

#[tokio::test]
async fn the_sixth_wrong_password_waits_and_so_does_the_right_one() {
    let f = Fixture::in_memory().await;
    f.add_account("eve", Vec::new()).await;
    let wrong = Secret::new("wrong");
    let sign_in = async |username: &str, password: &Secret, peer: IpAddr| {
        f.core
            .sign_in(username, password, peer, f.now())
            .await
            .unwrap()
    };
    for _ in 0..5 {
        assert!(matches!(
            sign_in("ada", &wrong, PEER).await,
            SignIn::Refused
        ));
    }
    let outcome = sign_in("ada", &Secret::new(PASSWORD), PEER).await;
    let SignIn::Limited { retry_after } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(retry_after, Duration::from_secs(600));
    // Nobody else is kept out: not another person here, not Ada elsewhere.
    let right = Secret::new(PASSWORD);
    assert!(matches!(
        sign_in("eve", &right, PEER).await,
        SignIn::Accepted(_)
    ));
    let elsewhere: IpAddr = [198, 51, 100, 1].into();
    assert!(matches!(
        sign_in("ada", &right, elsewhere).await,
        SignIn::Accepted(_)
    ));
    f.advance_secs(600);
    f.sign_in("ada").await;
}

#[tokio::test]
async fn an_unknown_name_is_refused_and_limited_like_a_wrong_password() {
    let f = Fixture::in_memory().await;
    let guess = Secret::new("guess");
    for _ in 0..5 {
        let outcome = f
            .core
            .sign_in("nobody", &guess, PEER, f.now())
            .await
            .unwrap();
        assert!(matches!(outcome, SignIn::Refused));
    }
    let outcome = f
        .core
        .sign_in("nobody", &guess, PEER, f.now())
        .await
        .unwrap();
    assert!(matches!(outcome, SignIn::Limited { .. }));
}

#[tokio::test]
async fn the_setup_link_makes_one_account_once() {
    let core = core(Box::new(Memory::new()), policy());
    let token = core.offer_setup_link(NOW).await.unwrap().unwrap();
    assert!(core.setup_link_is_valid(&token, NOW).unwrap());
    assert!(
        !core
            .setup_link_is_valid(&Secret::new("guess"), NOW)
            .unwrap()
    );
    let guessed = core
        .create_first_account(&Secret::new("guess"), ada(), NOW)
        .await
        .unwrap();
    assert!(matches!(guessed, Setup::LinkInvalid));

    let short = NewAccount {
        password: Secret::new("short"),
        ..ada()
    };
    let rejected = core.create_first_account(&token, short, NOW).await.unwrap();
    assert!(matches!(
        rejected,
        Setup::Rejected(AccountRejected::PasswordTooShort)
    ));

    let created = core.create_first_account(&token, ada(), NOW).await.unwrap();
    let Setup::Created(session) = created else {
        panic!("{created:?}")
    };
    let session = core.session(&session.token, NOW).unwrap().unwrap();
    assert_eq!(session.account.display_name(), "Ada");

    assert!(!core.setup_link_is_valid(&token, NOW).unwrap());
    let again = core.create_first_account(&token, ada(), NOW).await.unwrap();
    assert!(matches!(again, Setup::LinkInvalid));
    assert!(core.offer_setup_link(NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a_setup_link_ends_after_an_hour_with_the_next_one_or_with_the_first_account() {
    let core = core(Box::new(Memory::new()), policy());
    let first = core.offer_setup_link(NOW).await.unwrap().unwrap();
    let second = core.offer_setup_link(NOW).await.unwrap().unwrap();
    assert!(!core.setup_link_is_valid(&first, NOW).unwrap());
    assert!(
        core.setup_link_is_valid(&second, NOW + Duration::from_secs(3_599))
            .unwrap()
    );
    assert!(
        !core
            .setup_link_is_valid(&second, NOW + Duration::from_secs(3_600))
            .unwrap()
    );
    core.add_account(ada(), Vec::new(), NOW)
        .await
        .unwrap()
        .unwrap();
    assert!(!core.setup_link_is_valid(&second, NOW).unwrap());
}

#[tokio::test]
async fn what_cannot_be_an_account_is_rejected_with_the_reason() {
    let core = core(Box::new(Memory::new()), policy());
    let add = async |account| {
        core.add_account(account, Vec::new(), NOW)
            .await
            .unwrap()
            .map(drop)
    };
    for username in ["", "-ada", "a da", "ädä", "a/b", &"a".repeat(65)] {
        let account = NewAccount {
            username: username.to_owned(),
            ..ada()
        };
        assert_eq!(
            add(account).await,
            Err(AccountRejected::UsernameMalformed),
            "{username}"
        );
    }
    let account = NewAccount {
        name: Some("\u{202e}adA".to_owned()),
        ..ada()
    };
    assert_eq!(add(account).await, Err(AccountRejected::NameMalformed));
    let account = NewAccount {
        email: Some("a\u{1b}[2J".to_owned()),
        ..ada()
    };
    assert_eq!(add(account).await, Err(AccountRejected::NameMalformed));
    assert_eq!(add(ada()).await, Ok(()));
    let account = NewAccount {
        username: " ADA ".to_owned(),
        ..ada()
    };
    assert_eq!(add(account).await, Err(AccountRejected::UsernameTaken));
}

#[test]
fn no_secret_of_an_account_is_printed() {
    let shown = format!("{:?}", ada());
    assert!(
        shown.contains("Ada") && !shown.contains(PASSWORD),
        "{shown}"
    );
}

fn ada() -> NewAccount {
    NewAccount {
        username: "ada".to_owned(),
        name: Some(" Ada ".to_owned()),
        email: Some(String::new()),
        password: Secret::new(PASSWORD),
    }
}
