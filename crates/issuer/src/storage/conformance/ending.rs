//! What goes, with what, and when.

use super::{after, account, client, device, grant, code, pushed, session, T0};
use crate::core::{Authentication, AuthorizationCode, Device, DeviceState, Grant, PushedRequest, Session, SetupLink};
use crate::storage::{Store};

pub(super) async fn an_account_goes_with_its_logins_and_a_client_with_its_own(store: Store) {
    store
        .write(|records| {
            records.put_account(&account("ada", "ada"))?;
            records.put_account(&account("eve", "eve"))?;
            records.put_client(&client("cli"))?;
            records.add_grant(&grant(1))?;
            records.add_grant(&Grant {
                account_id: "eve".to_owned(),
                ..grant(2)
            })?;
            records.add_session(&session(1))?;
            records.add_session(&Session {
                account_id: "eve".to_owned(),
                ..session(2)
            })?;
            records.add_device(&device(1, "BCDFGHJK"))?;
            records.add_device(&Device {
                client_id: "x".to_owned(),
                ..device(2, "BCDFGHJL")
            })?;
            records.add_code(&code(1))?;
            for number in [2, 3] {
                records.add_code(&AuthorizationCode {
                    account_id: "eve".to_owned(),
                    client_id: if number == 2 { "cli" } else { "x" }.to_owned(),
                    ..code(number)
                })?;
            }
            records.add_pushed_request(&pushed(1))?;
            records.add_pushed_request(&PushedRequest {
                client_id: "x".to_owned(),
                ..pushed(2)
            })
        })
        .await
        .unwrap();
    assert!(
        store
            .write(|records| records.remove_account("ada"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .write(|records| records.remove_account("ada"))
            .await
            .unwrap()
    );
    store
        .read(|records| {
            assert_eq!(records.account("ada")?, None);
            assert_eq!(records.grant(&[1; 16])?, None);
            assert!(records.grant(&[2; 16])?.is_some());
            assert_eq!(records.session(&[1; 32])?, None);
            assert!(records.session(&[2; 32])?.is_some());
            assert_eq!(records.code(&[1; 32])?, None);
            assert!(records.code(&[2; 32])?.is_some());
            Ok(())
        })
        .unwrap();
    assert!(
        store
            .write(|records| records.remove_client("cli"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .write(|records| records.remove_client("cli"))
            .await
            .unwrap()
    );
    store
        .read(|records| {
            assert_eq!(records.client("cli")?, None);
            assert_eq!(records.grant(&[2; 16])?, None);
            assert_eq!(records.device(&[1; 32])?, None);
            assert_eq!(records.device_with_user_code("BCDFGHJK")?, None);
            assert!(records.device(&[2; 32])?.is_some());
            assert_eq!(records.code(&[2; 32])?, None);
            assert!(records.code(&[3; 32])?.is_some());
            assert_eq!(records.pushed_request(&[1; 32])?, None);
            assert!(records.pushed_request(&[2; 32])?.is_some());
            Ok(())
        })
        .unwrap();
    store
        .write(|records| records.end_logins_of("eve"))
        .await
        .unwrap();
    store
        .read(|records| {
            assert!(records.account("eve")?.is_some());
            assert_eq!(records.session(&[2; 32])?, None);
            assert_eq!(records.code(&[3; 32])?, None);
            Ok(())
        })
        .unwrap();
}

pub(super) async fn what_an_account_has_approved_is_denied_when_its_logins_end(store: Store) {
    let approved_by = |account: &str| DeviceState::Approved {
        account_id: account.to_owned(),
        authentication: Authentication {
            at: T0,
            second: None,
        },
    };
    let (ada, eve) = (approved_by("ada"), approved_by("eve"));
    let of_eve = eve.clone();
    store
        .write(move |records| {
            for (number, state) in [(1, &ada), (2, &eve), (3, &DeviceState::Redeemed)] {
                let user_code = format!("BCDFGHJ{}", char::from(b'B' + number));
                records.add_device(&device(number, &user_code))?;
                records.set_device_state(&[number; 32], state)?;
            }
            records.end_logins_of("ada")
        })
        .await
        .unwrap();
    let state = |number| {
        let found = store.read(|records| records.device(&[number; 32]));
        found.unwrap().unwrap().state
    };
    assert_eq!(state(1), DeviceState::Denied);
    assert_eq!(state(2), of_eve);
    assert_eq!(state(3), DeviceState::Redeemed);
}

pub(super) async fn codes_and_pushed_requests_outlive_their_end_by_a_while(store: Store) {
    store
        .write(|records| {
            records.add_code(&code(1))?;
            records.add_pushed_request(&pushed(1))
        })
        .await
        .unwrap();
    let purge = async |now| {
        store
            .write(move |records| records.purge(now, 100))
            .await
            .unwrap()
    };
    assert_eq!(purge(after(660)).await, 0);
    assert_eq!(purge(after(661)).await, 1);
    assert_eq!(store.read(|records| records.code(&[1; 32])).unwrap(), None);
    assert_eq!(purge(after(3_660)).await, 0);
    assert_eq!(purge(after(3_661)).await, 1);
}

pub(super) async fn what_is_over_is_forgotten_in_portions(store: Store) {
    store
        .write(|records| {
            for number in 0..10 {
                let user_code = format!("BCDFGHJ{}", char::from(b'B' + number));
                records.add_device(&device(number, &user_code))?;
                records.add_grant(&grant(number))?;
                records.add_session(&session(number))?;
                records.revoke_token(&number.to_string(), after(60))?;
            }
            let link = SetupLink {
                token: [4; 32],
                expires_at: after(60),
            };
            records.set_setup_link(Some(&link))
        })
        .await
        .unwrap();
    let purge = async |now, limit| {
        store
            .write(move |records| records.purge(now, limit))
            .await
            .unwrap()
    };
    assert_eq!(purge(after(60), 100).await, 0);
    assert_eq!(purge(after(61), 4).await, 5);
    assert_eq!(purge(after(61), 100).await, 6);
    // A device login is kept a while longer than its code is good.
    assert_eq!(purge(after(601), 100).await, 0);
    assert_eq!(purge(after(641), 7).await, 7);
    assert_eq!(purge(after(641), 7).await, 3);
    assert_eq!(purge(after(901), 100).await, 20);
    assert_eq!(purge(after(100_000), 100).await, 0);
    assert_eq!(store.read(|records| records.grant(&[1; 16])).unwrap(), None);
    let again = store
        .write(|records| records.add_device(&device(1, "BCDFGHJB")))
        .await;
    assert!(again.is_ok(), "a forgotten user code is free again");
}
