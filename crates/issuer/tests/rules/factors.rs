//! Second factors: proved, used up, set up and taken away.

use std::sync::Arc;
use std::time::Duration;

use countersign_issuer::core::{
    Claimant, Enrolment, EnrolmentRefused, Error, Holder, Missing, ProvedFactor,
};
use countersign_oauth::Secret;

use crate::fixture::{Fixture, PEER};
use crate::over_both;
use crate::people::{Authenticator, done, touch, yubikey};

over_both!(
    with_a_second_factor_the_password_alone_signs_nobody_in,
    a_code_is_good_once_and_only_in_its_time,
    of_sixty_four_sign_ins_with_one_code_one_gets_in,
    of_sixty_four_touches_of_one_sign_in_one_gets_in,
    wrong_codes_wait_and_right_ones_with_them,
    a_guesser_with_patience_is_stopped_for_the_day,
    a_recovery_code_works_once_however_it_was_copied,
    a_key_is_claimed_by_whom_it_is_for,
    a_key_of_somebody_else_signs_nobody_in,
    a_key_remembers_its_place_wherever_it_goes,
    whoever_finds_an_open_browser_changes_nothing,
    the_first_factor_ends_other_sessions_and_brings_the_codes,
    an_offer_makes_one_factor_in_its_session_and_time,
    a_factor_that_was_taken_away_is_asked_for_no_more,
    whoever_has_lost_everything_begins_anew,
    what_changes_between_password_and_code_counts,
    half_a_session_ends_soon_and_opens_nothing,
);

async fn with_a_second_factor_the_password_alone_signs_nobody_in(f: Fixture) {
    let (authenticator, _) = f.ada_with_authenticator().await;
    let half = f.half("ada").await;
    assert_eq!(half.account().username, "ada");
    let refused = f
        .prove(Claimant::Halfway(&half), &Secret::new("000000"))
        .await;
    assert!(matches!(refused, ProvedFactor::Refused), "{refused:?}");
    let proved = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    let session = f.opened(proved);
    assert_eq!(session.authenticated_at, f.now());
    assert_eq!(session.second.unwrap().at, f.now());
    // The half of it is gone.
    f.advance_secs(30);
    let gone = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    assert!(matches!(gone, ProvedFactor::Gone), "{gone:?}");
}

/// RFC 6238, section 5.2.
async fn a_code_is_good_once_and_only_in_its_time(f: Fixture) {
    let (authenticator, _) = f.ada_with_authenticator().await;
    let code = authenticator.code(f.now());
    let earlier = authenticator.code(f.now() - Duration::from_secs(30));
    let stale = authenticator.code(f.now() - Duration::from_secs(60));
    f.sign_in_with("ada", &code).await;
    for (code, replayed) in [(&code, true), (&earlier, true), (&stale, false)] {
        let half = f.half("ada").await;
        let outcome = f.prove(Claimant::Halfway(&half), code).await;
        let as_expected = if replayed {
            matches!(outcome, ProvedFactor::Replayed)
        } else {
            matches!(outcome, ProvedFactor::Refused)
        };
        assert!(as_expected, "{outcome:?}");
    }
    f.advance_secs(30);
    // As an authenticator shows it.
    let next = authenticator.code(f.now());
    let (left, right) = next.expose().split_at(3);
    f.sign_in_with("ada", &Secret::new(format!(" {left} {right}\n")))
        .await;
}

async fn of_sixty_four_sign_ins_with_one_code_one_gets_in(f: Fixture) {
    let (authenticator, codes) = f.ada_with_authenticator().await;
    let f = Arc::new(f);
    for typed in [authenticator.code(f.now()), codes[3].clone()] {
        // Eight browsers, each of which sends its form eight times.
        let mut browsers = Vec::new();
        for _ in 0..8 {
            browsers.push(Arc::new(f.half("ada").await));
        }
        let tasks: Vec<_> = (0..64_u8)
            .map(|number| {
                let half = Arc::clone(&browsers[usize::from(number) % 8]);
                let (f, typed) = (Arc::clone(&f), typed.clone());
                tokio::spawn(async move {
                    let peer = [192, 0, 2, number].into();
                    let claimant = Claimant::Halfway(&half);
                    let proved = f.core.prove_second_factor(claimant, &typed, peer, f.now());
                    proved.await.unwrap()
                })
            })
            .collect();
        let mut accepted = 0;
        for task in tasks {
            accepted += u32::from(matches!(task.await.unwrap(), ProvedFactor::Accepted(_)));
        }
        assert_eq!(accepted, 1);
        f.advance_secs(600);
    }
}

async fn of_sixty_four_touches_of_one_sign_in_one_gets_in(f: Fixture) {
    let (mut key, file) = yubikey("bb");
    let imported = f
        .core
        .import_keys(file.into_records(), Some("Ada"), f.now());
    assert_eq!(imported.await.unwrap().unwrap().imported, 1);
    let session = f.sign_in("ada").await;
    let claimed = f
        .claim(Claimant::SignedIn(&session), &touch(&mut key))
        .await;
    done(claimed);
    let half = Arc::new(f.half("ada").await);
    let f = Arc::new(f);
    let otp = touch(&mut key);
    let tasks: Vec<_> = (0..64_u8)
        .map(|number| {
            let (f, half, otp) = (Arc::clone(&f), Arc::clone(&half), otp.clone());
            tokio::spawn(async move {
                let peer = [192, 0, 2, number].into();
                let claimant = Claimant::Halfway(&half);
                let proved = f.core.prove_second_factor(claimant, &otp, peer, f.now());
                proved.await.unwrap()
            })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        accepted += u32::from(matches!(task.await.unwrap(), ProvedFactor::Accepted(_)));
    }
    assert_eq!(accepted, 1);
}

async fn wrong_codes_wait_and_right_ones_with_them(f: Fixture) {
    let (authenticator, codes) = f.ada_with_authenticator().await;
    f.add_account("eve", Vec::new()).await;
    let half = f.half("ada").await;
    for _ in 0..5 {
        let wrong = f
            .prove(Claimant::Halfway(&half), &Secret::new("000000"))
            .await;
        assert!(matches!(wrong, ProvedFactor::Refused), "{wrong:?}");
        // A slip of the keyboard is no guess.
        let slip = f
            .prove(Claimant::Halfway(&half), &Secret::new("o00000"))
            .await;
        assert!(matches!(slip, ProvedFactor::Refused), "{slip:?}");
    }
    for typed in [authenticator.code(f.now()), codes[0].clone()] {
        let limited = f.prove(Claimant::Halfway(&half), &typed).await;
        let ProvedFactor::Limited { retry_after } = limited else {
            panic!("a wait, not {limited:?}");
        };
        assert_eq!(retry_after, Duration::from_secs(600));
    }
    // Whoever has no factor notices nothing.
    f.sign_in("eve").await;
    f.advance_secs(600);
    f.sign_in_with("ada", &authenticator.code(f.now())).await;
    f.sign_in_with("ada", &codes[0]).await;
}

async fn a_guesser_with_patience_is_stopped_for_the_day(f: Fixture) {
    let (authenticator, _) = f.ada_with_authenticator().await;
    for _ in 0..10 {
        let half = f.half("ada").await;
        for _ in 0..5 {
            let wrong = f
                .prove(Claimant::Halfway(&half), &Secret::new("000000"))
                .await;
            assert!(matches!(wrong, ProvedFactor::Refused), "{wrong:?}");
        }
        f.advance_secs(600);
    }
    let half = f.half("ada").await;
    let limited = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    let ProvedFactor::Limited { retry_after } = limited else {
        panic!("a wait, not {limited:?}");
    };
    assert_eq!(retry_after, Duration::from_secs(86_400 - 6_000));
    f.advance(retry_after);
    f.sign_in_with("ada", &authenticator.code(f.now())).await;
}

async fn a_recovery_code_works_once_however_it_was_copied(f: Fixture) {
    let (_, codes) = f.ada_with_authenticator().await;
    assert_eq!(codes.len(), 10);
    let id = f.sign_in_with("ada", &codes[0]).await.account.id;
    let shouted = codes[1].expose().to_uppercase().replace('-', " ");
    f.sign_in_with("ada", &Secret::new(shouted)).await;
    assert_eq!(f.core.recovery_codes_left(&id).unwrap(), 8);
    for used in &codes[..2] {
        let half = f.half("ada").await;
        let again = f.prove(Claimant::Halfway(&half), used).await;
        assert!(matches!(again, ProvedFactor::Refused), "{again:?}");
    }
    // New ones take the place of those that are left.
    let session = f.sign_in_with("ada", &codes[2]).await;
    let renewed = f.core.renew_recovery_codes(&session, f.now());
    let renewed = renewed.await.unwrap().unwrap();
    assert_eq!(renewed.len(), 10);
    let half = f.half("ada").await;
    let old = f.prove(Claimant::Halfway(&half), &codes[3]).await;
    assert!(matches!(old, ProvedFactor::Refused), "{old:?}");
    f.sign_in_with("ada", &renewed[0]).await;
}

async fn a_key_is_claimed_by_whom_it_is_for(f: Fixture) {
    f.add_account("eve", Vec::new()).await;
    let (mut for_ada, file_of_ada) = yubikey("bb");
    let (mut free, free_file) = yubikey("bc");
    let (mut unknown, _) = yubikey("bd");
    let import = |file: countersign_otp::yubico::KeyFile, whose| {
        f.core.import_keys(file.into_records(), whose, f.now())
    };
    assert_eq!(import(yubikey("bb").1, Some("nobody")).await.unwrap(), None);
    import(file_of_ada, Some("ada")).await.unwrap().unwrap();
    import(free_file, None).await.unwrap().unwrap();
    let (ada, eve) = (f.sign_in("ada").await, f.sign_in("eve").await);
    assert!(f.core.has_claimable_key(&eve.account.id).unwrap());

    let claim = async |session, typed: &Secret| {
        let claimant = Claimant::SignedIn(session);
        f.claim(claimant, typed).await
    };
    let refused = |enrolment: Enrolment, why| match enrolment {
        Enrolment::Refused(refused) => assert_eq!(refused, why),
        other => panic!("{why:?}, not {other:?}"),
    };
    let otp = touch(&mut for_ada);
    refused(claim(&eve, &otp).await, EnrolmentRefused::UnknownKey);
    refused(
        claim(&eve, &touch(&mut unknown)).await,
        EnrolmentRefused::UnknownKey,
    );
    refused(
        claim(&eve, &Secret::new("123456")).await,
        EnrolmentRefused::NoOtp,
    );
    // The letters of one key before the block of another.
    let mixed = format!("ccccccccbcbc{}", &otp.expose()[12..]);
    refused(
        claim(&eve, &Secret::new(mixed)).await,
        EnrolmentRefused::UnknownKey,
    );
    let eve = f.session_of(&done(claim(&eve, &touch(&mut free)).await).session);
    let ada = f.session_of(&done(claim(&ada, &otp).await).session);
    assert!(ada.second.is_some());
    // Nobody claims what is somebody's.
    refused(
        claim(&eve, &touch(&mut for_ada)).await,
        EnrolmentRefused::UnknownKey,
    );
    let stock = f.core.keys_in_stock().unwrap();
    let whose: Vec<_> = stock
        .iter()
        .map(|key| (key.username.as_deref(), key.is_enrolled))
        .collect();
    assert_eq!(whose, [(Some("ada"), true), (Some("eve"), true)]);
    assert!(!f.core.has_claimable_key(&eve.account.id).unwrap());
    // A file that names a key in use changes nothing about it.
    let again = import(yubikey("bb").1, None).await.unwrap().unwrap();
    assert_eq!((again.imported, again.in_use), (0, 1));
    f.sign_in_with("ada", &touch(&mut for_ada)).await;
    f.sign_in_with("eve", &touch(&mut free)).await;
}

/// Confused deputies: the password of one, the key of another.
async fn a_key_of_somebody_else_signs_nobody_in(f: Fixture) {
    f.add_account("eve", Vec::new()).await;
    let (mut of_ada, file_of_ada) = yubikey("bb");
    let (mut of_eve, file_of_eve) = yubikey("bc");
    for (file, whose) in [(file_of_ada, "ada"), (file_of_eve, "eve")] {
        let imported = f
            .core
            .import_keys(file.into_records(), Some(whose), f.now());
        imported.await.unwrap().unwrap();
    }
    for (key, whose) in [(&mut of_ada, "ada"), (&mut of_eve, "eve")] {
        let session = f.sign_in(whose).await;
        let claimant = Claimant::SignedIn(&session);
        let claimed = f.claim(claimant, &touch(key)).await;
        done(claimed);
    }
    let half = f.half("eve").await;
    let otp = touch(&mut of_ada);
    let refused = f.prove(Claimant::Halfway(&half), &otp).await;
    assert!(matches!(refused, ProvedFactor::Refused), "{refused:?}");
    // And it was not used up by that.
    f.sign_in_with("ada", &otp).await;
    // Nor does a code of one authenticator open another's account.
    let session = f.sign_in_with("ada", &touch(&mut of_ada)).await;
    let (authenticator, _, _) = f.set_up(&session).await;
    f.advance_secs(60);
    let half = f.half("eve").await;
    let refused = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    assert!(matches!(refused, ProvedFactor::Refused), "{refused:?}");
}

async fn a_key_remembers_its_place_wherever_it_goes(f: Fixture) {
    let (mut key, file) = yubikey("bb");
    let imported = f.core.import_keys(file.into_records(), None, f.now());
    imported.await.unwrap().unwrap();
    let session = f.sign_in("ada").await;
    let (kept, claimed) = (touch(&mut key), touch(&mut key));
    let claim = async |session, typed: &Secret| {
        let claimant = Claimant::SignedIn(session);
        f.claim(claimant, typed).await
    };
    let session = f.session_of(&done(claim(&session, &claimed).await).session);
    let half = f.half("ada").await;
    for old in [&kept, &claimed] {
        let replayed = f.prove(Claimant::Halfway(&half), old).await;
        assert!(matches!(replayed, ProvedFactor::Replayed), "{replayed:?}");
    }
    // Taken away, it is kept for its owner, at its place.
    let factor = f.core.factors(&session.account.id).unwrap().remove(0);
    assert!(
        f.core
            .remove_factor(&session, &factor.id, f.now())
            .await
            .unwrap()
            .unwrap()
    );
    let refused = claim(&session, &claimed).await;
    assert!(matches!(
        refused,
        Enrolment::Refused(EnrolmentRefused::UnknownKey)
    ));
    // Imported once more, it is at its place as well.
    let again = f
        .core
        .import_keys(yubikey("bb").1.into_records(), None, f.now());
    assert_eq!(again.await.unwrap().unwrap().imported, 1);
    let refused = claim(&session, &claimed).await;
    assert!(matches!(
        refused,
        Enrolment::Refused(EnrolmentRefused::UnknownKey)
    ));
    done(claim(&session, &touch(&mut key)).await);
}

async fn whoever_finds_an_open_browser_changes_nothing(f: Fixture) {
    let session = f.sign_in("ada").await;
    f.advance_secs(601);
    // Without a factor it is the password that has to be fresh.
    let claimant = Claimant::SignedIn(&session);
    assert_eq!(
        f.core.missing_for_factors(claimant, f.now()).unwrap(),
        Some(Missing::SignIn)
    );
    let offer = f.core.offer_totp(claimant, f.now()).unwrap();
    let code = Authenticator::new(&offer.secret).code(f.now());
    let refused = f.confirm(claimant, &offer.sealed, &code).await;
    assert!(
        matches!(refused, Enrolment::Missing(Missing::SignIn)),
        "{refused:?}"
    );

    let session = f.sign_in("ada").await;
    let (authenticator, _, session) = f.set_up(&session).await;
    f.advance_secs(601);
    let claimant = Claimant::SignedIn(&session);
    let id = f.core.factors(&session.account.id).unwrap()[0].id;
    let missing = Some(Missing::SecondFactor);
    assert_eq!(
        f.core.missing_for_factors(claimant, f.now()).unwrap(),
        missing
    );
    let removed = f.core.remove_factor(&session, &id, f.now()).await.unwrap();
    assert_eq!(removed, Err(Missing::SecondFactor));
    let renewed = f
        .core
        .renew_recovery_codes(&session, f.now())
        .await
        .unwrap();
    assert_eq!(renewed.unwrap_err(), Missing::SecondFactor);
    let enrolled = f.claim(claimant, &Secret::new("c".repeat(44))).await;
    assert!(
        matches!(enrolled, Enrolment::Missing(Missing::SecondFactor)),
        "{enrolled:?}"
    );
    // Proving it opens the way, and leaves the sign-in as old as it is.
    let since = session.authenticated_at;
    let proved = f.prove(claimant, &authenticator.code(f.now())).await;
    let session = f.opened(proved);
    assert_eq!(session.authenticated_at, since);
    assert!(
        f.core
            .remove_factor(&session, &id, f.now())
            .await
            .unwrap()
            .unwrap()
    );
}

async fn the_first_factor_ends_other_sessions_and_brings_the_codes(f: Fixture) {
    let elsewhere = f.sign_in("ada").await;
    let session = f.sign_in("ada").await;
    let (_, codes, session) = f.set_up(&session).await;
    assert_eq!(codes.len(), 10);
    let started = f.start("openid").await;
    f.approve(&started, &session).await;
    // The other browser's session is over: whatever it has in hand is refused.
    let refused = f.prove(Claimant::SignedIn(&elsewhere), &codes[0]).await;
    assert!(matches!(refused, ProvedFactor::Gone), "{refused:?}");
    f.advance_secs(60);
    let (_, more, session) = f.set_up(&session).await;
    assert!(more.is_empty(), "those from the first are still good");
    f.sign_in_with("ada", &codes[0]).await;
    assert_eq!(f.core.factors(&session.account.id).unwrap().len(), 2);
}

async fn an_offer_makes_one_factor_in_its_session_and_time(f: Fixture) {
    let (mine, other) = (f.sign_in("ada").await, f.sign_in("ada").await);
    let offer = f
        .core
        .offer_totp(Claimant::SignedIn(&mine), f.now())
        .unwrap();
    let authenticator = Authenticator::new(&offer.secret);
    assert!(
        offer
            .uri
            .expose()
            .starts_with("otpauth://totp/127.0.0.1:ada?secret=")
    );
    let enrol = async |session, sealed: &Secret| {
        let code = authenticator.code(f.now());
        let claimant = Claimant::SignedIn(session);
        f.confirm(claimant, sealed, &code).await
    };
    let expired = |enrolment: Enrolment| {
        assert!(
            matches!(
                enrolment,
                Enrolment::Refused(EnrolmentRefused::OfferExpired)
            ),
            "{enrolment:?}"
        );
    };
    expired(enrol(&other, &offer.sealed).await);
    let forged = Secret::new(offer.sealed.expose().replacen('A', "B", 1));
    expired(enrol(&mine, &forged).await);
    let wrong = f
        .confirm(
            Claimant::SignedIn(&mine),
            &offer.sealed,
            &Secret::new("000000"),
        )
        .await;
    assert!(
        matches!(wrong, Enrolment::Refused(EnrolmentRefused::WrongCode)),
        "{wrong:?}"
    );
    assert!(
        f.core
            .resume_totp_offer(Claimant::SignedIn(&mine), &offer.sealed, f.now())
            .unwrap()
            .is_some_and(|resumed| resumed.secret == offer.secret)
    );
    // Sent twice at once, it makes one.
    let (one, two) = tokio::join!(enrol(&mine, &offer.sealed), enrol(&mine, &offer.sealed));
    let made = [one, two]
        .into_iter()
        .filter(|it| matches!(it, Enrolment::Done(_)))
        .count();
    assert_eq!(made, 1);
    assert_eq!(f.core.factors(&mine.account.id).unwrap().len(), 1);
    // The code that set it up is used up.
    let half = f.half("ada").await;
    let replayed = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    assert!(matches!(replayed, ProvedFactor::Replayed), "{replayed:?}");
}

async fn a_factor_that_was_taken_away_is_asked_for_no_more(f: Fixture) {
    let (authenticator, codes) = f.ada_with_authenticator().await;
    let session = f.sign_in_with("ada", &authenticator.code(f.now())).await;
    let account_id = session.account.id.clone();
    let id = f.core.factors(&account_id).unwrap()[0].id;
    // Whoever is in between when it goes gets no further with it.
    f.advance_secs(30);
    let half = f.half("ada").await;
    let removed = f.core.remove_factor(&session, &id, f.now());
    assert!(removed.await.unwrap().unwrap());
    let gone = f.core.remove_factor(&session, &id, f.now());
    assert!(!gone.await.unwrap().unwrap());
    for typed in [authenticator.code(f.now()), codes[0].clone()] {
        let refused = f.prove(Claimant::Halfway(&half), &typed).await;
        assert!(matches!(refused, ProvedFactor::Refused), "{refused:?}");
    }
    assert_eq!(f.core.recovery_codes_left(&account_id).unwrap(), 0);
    assert!(f.sign_in("ada").await.second.is_none());
}

async fn whoever_has_lost_everything_begins_anew(f: Fixture) {
    let (mut key, file) = yubikey("bb");
    let imported = f.core.import_keys(file.into_records(), None, f.now());
    imported.await.unwrap().unwrap();
    let session = f.sign_in("ada").await;
    let (_, codes, session) = f.set_up(&session).await;
    let claimant = Claimant::SignedIn(&session);
    let claimed = f.claim(claimant, &touch(&mut key)).await;
    let session = f.session_of(&done(claimed).session);
    let started = f.start("openid offline_access").await;
    f.approve(&started, &session).await;
    let tokens = f.poll(&started).await.unwrap();
    assert!(!f.core.reset_factors("nobody").await.unwrap());
    assert!(f.core.reset_factors("ADA").await.unwrap());
    f.refresh(&tokens.refresh_token.unwrap()).await.unwrap_err();
    assert_eq!(f.core.factors(&session.account.id).unwrap(), []);
    assert_eq!(f.core.recovery_codes_left(&session.account.id).unwrap(), 0);
    let session = f.sign_in("ada").await;
    let refused = f.prove(Claimant::SignedIn(&session), &codes[0]).await;
    assert!(matches!(refused, ProvedFactor::Refused), "{refused:?}");
    // The key is still theirs to claim.
    let claimant = Claimant::SignedIn(&session);
    let claimed = f.claim(claimant, &touch(&mut key)).await;
    done(claimed);
    assert!(f.core.remove_key("CCCCCCCCBCBB").await.unwrap());
    assert!(!f.core.remove_key("ccccccccbcbb").await.unwrap());
    f.sign_in("ada").await;
}

async fn what_changes_between_password_and_code_counts(f: Fixture) {
    let (authenticator, _) = f.ada_with_authenticator().await;
    let half = f.half("ada").await;
    f.core.set_disabled("ada", true).await.unwrap();
    let gone = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    assert!(matches!(gone, ProvedFactor::Gone), "{gone:?}");
    f.core.set_disabled("ada", false).await.unwrap();
    let half = f.half("ada").await;
    let password = Secret::new("another one entirely");
    f.core
        .set_password("ada", &password)
        .await
        .unwrap()
        .unwrap();
    let gone = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    assert!(matches!(gone, ProvedFactor::Gone), "{gone:?}");
}

async fn half_a_session_ends_soon_and_opens_nothing(f: Fixture) {
    let (authenticator, _) = f.ada_with_authenticator().await;
    let half = f.half("ada").await;
    f.advance_secs(600);
    let gone = f
        .prove(Claimant::Halfway(&half), &authenticator.code(f.now()))
        .await;
    assert!(matches!(gone, ProvedFactor::Gone), "{gone:?}");
    // Nor does it set another factor up, also when there is none any more.
    let half = f.half("ada").await;
    let claimant = Claimant::Halfway(&half);
    let offer = f.core.offer_totp(claimant, f.now()).unwrap();
    let code = Authenticator::new(&offer.secret).code(f.now());
    let refused = f.confirm(claimant, &offer.sealed, &code).await;
    assert!(
        matches!(refused, Enrolment::Missing(Missing::SecondFactor)),
        "{refused:?}"
    );
}

/// A copy of the database has no secret in it, and a row of it opens for its
/// own account alone.
#[tokio::test]
async fn secrets_rest_sealed_and_bound_to_their_account() {
    let f = Fixture::in_sqlite().await;
    f.add_account("eve", Vec::new()).await;
    let session = f.sign_in("ada").await;
    let claimant = Claimant::SignedIn(&session);
    let offer = f.core.offer_totp(claimant, f.now()).unwrap();
    let authenticator = Authenticator::new(&offer.secret);
    let code = authenticator.code(f.now());
    let enrolment = f.confirm(claimant, &offer.sealed, &code).await;
    let enrolled = done(enrolment);
    let secret = countersign_otp::oath::Secret::from_base32(offer.secret.expose()).unwrap();

    let path = f.database().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(std::fs::read(path.with_extension("sqlite-wal")).unwrap());
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!has(secret.expose()));
    assert!(!has(enrolled.recovery_codes[0].expose().as_bytes()));
    let plain = enrolled.recovery_codes[0].expose().replace('-', "");
    assert!(!has(plain.as_bytes()));
    assert!(has(b"Ada Lovelace"), "it was the right file");

    let eve = f.sign_in("eve").await.account.id;
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE factors SET account_id = ?", [&eve])
        .unwrap();
    f.advance_secs(60);
    let half = f.half("eve").await;
    let (claimant, code) = (Claimant::Halfway(&half), authenticator.code(f.now()));
    let refused = f.core.prove_second_factor(claimant, &code, PEER, f.now());
    assert!(matches!(refused.await, Err(Error::SealedFactor)));
    assert_eq!(
        f.core.factors(&eve).unwrap()[0].holder,
        Holder::Account(eve)
    );
}

/// Nothing that somebody typed or was shown is in what is logged.
#[tokio::test]
async fn neither_secrets_nor_codes_can_be_printed() {
    let f = Fixture::in_memory().await;
    let session = f.sign_in("ada").await;
    let claimant = Claimant::SignedIn(&session);
    let offer = f.core.offer_totp(claimant, f.now()).unwrap();
    let printed = format!("{offer:?}");
    assert!(!printed.contains(offer.secret.expose()), "{printed}");
    let code = Authenticator::new(&offer.secret).code(f.now());
    let enrolment = f.confirm(claimant, &offer.sealed, &code).await;
    let printed = format!("{enrolment:?}");
    let codes = done(enrolment).recovery_codes;
    assert!(!printed.contains(codes[0].expose()), "{printed}");
    let factors = f.core.factors(&session.account.id).unwrap();
    let printed = format!("{factors:?}");
    assert!(printed.contains("SealedSecret(68 bytes)"), "{printed}");
}
