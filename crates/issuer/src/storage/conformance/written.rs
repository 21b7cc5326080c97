//! What was written is there, and nothing else has changed.

use countersign_jose::Algorithm;

use super::{after, account, client, device, grant, code, pushed, session};
use crate::core::{Account, Audiences, Authentication, AuthorizationCode, Client, ClientAuthentication, Device, DeviceState, Demands, Grant, Rotation, SecondFactor, Session, SetupLink};
use crate::storage::{StorageError, Store, Transaction};

pub(super) async fn everything_written_is_read_back_as_it_was(store: Store) {
    let approved = DeviceState::Approved {
        account_id: "ada".to_owned(),
        authentication: Authentication {
            at: after(5),
            second: Some(SecondFactor::Totp),
        },
    };
    let link = SetupLink {
        token: [4; 32],
        expires_at: after(60),
    };
    let public = Client {
        authentication: ClientAuthentication::Public,
        audiences: Audiences::Any,
        signing_algorithm: Algorithm::Es256,
        dpop_bound: false,
        require_par: true,
        ..client("public")
    };
    let signing = Client {
        authentication: ClientAuthentication::PrivateKeyJwt("{\"keys\":[]}".to_owned()),
        ..client("signing")
    };
    let final_grant = Grant {
        rotation: None,
        dpop_jkt: None,
        authentication: Authentication {
            at: after(6),
            second: None,
        },
        ..grant(2)
    };
    let (state, put_link, put_clients, put_grant) = (
        approved.clone(),
        link.clone(),
        [public.clone(), signing.clone()],
        final_grant.clone(),
    );
    store
        .write(move |records| {
            records.put_account(&account("ada", "ada"))?;
            records.put_client(&client("cli"))?;
            for client in &put_clients {
                records.put_client(client)?;
            }
            records.add_device(&device(1, "BCDFGHJK"))?;
            records.set_device_state(&[1; 32], &state)?;
            records.add_code(&code(1))?;
            records.add_code(&code(2))?;
            records.redeem_code(&[2; 32], &[7; 16])?;
            records.add_pushed_request(&pushed(1))?;
            records.add_grant(&grant(1))?;
            records.add_grant(&put_grant)?;
            records.revoke_token("a jti", after(60))?;
            records.add_session(&session(1))?;
            records.set_setup_link(Some(&put_link))
        })
        .await
        .unwrap();
    store
        .read(|records| {
            assert_eq!(records.account("ada")?, Some(account("ada", "ada")));
            assert_eq!(records.account_named("ada")?, Some(account("ada", "ada")));
            assert_eq!(records.account("eve")?, None);
            assert_eq!(records.accounts()?, [account("ada", "ada")]);
            assert_eq!(records.client("cli")?, Some(client("cli")));
            assert_eq!(records.clients()?, [client("cli"), public, signing]);
            let stored = Device {
                state: approved,
                ..device(1, "BCDFGHJK")
            };
            assert_eq!(records.device(&[1; 32])?.as_ref(), Some(&stored));
            assert_eq!(records.device_with_user_code("BCDFGHJK")?, Some(stored));
            assert_eq!(records.device(&[2; 32])?, None);
            assert_eq!(records.code(&[1; 32])?, Some(code(1)));
            let redeemed = AuthorizationCode {
                redeemed_as: Some([7; 16]),
                ..code(2)
            };
            assert_eq!(records.code(&[2; 32])?, Some(redeemed));
            assert_eq!(records.code(&[3; 32])?, None);
            assert_eq!(records.pushed_request(&[1; 32])?, Some(pushed(1)));
            assert_eq!(records.pushed_request(&[2; 32])?, None);
            assert_eq!(records.grant(&[1; 16])?, Some(grant(1)));
            assert_eq!(records.grant(&[2; 16])?, Some(final_grant.clone()));
            assert_eq!(records.grants_of("ada")?, [grant(1), final_grant]);
            assert_eq!(records.grants_of("eve")?, []);
            assert_eq!(records.last_rotation()?, Some(after(2)));
            assert!(records.token_is_revoked("a jti")?);
            assert!(!records.token_is_revoked("another")?);
            assert_eq!(records.session(&[1; 32])?, Some(session(1)));
            assert_eq!(records.setup_link()?, Some(link));
            Ok(())
        })
        .unwrap();
}

pub(super) async fn sign_ins_and_what_is_asked_of_them_are_read_back(store: Store) {
    let by_password = || Session {
        second: None,
        ..session(3)
    };
    store
        .write(move |records| {
            records.add_session(&session(1))?;
            records.add_session(&session(2))?;
            records.add_session(&by_password())?;
            records.add_device(&device(1, "BCDFGHJK"))?;
            records.add_device(&Device {
                demands: Demands::default(),
                ..device(3, "BCDFGHJM")
            })?;
            records.set_device_state(&[3; 32], &DeviceState::Unmet)
        })
        .await
        .unwrap();
    store
        .read(|records| {
            assert_eq!(records.session(&[1; 32])?, Some(session(1)));
            assert_eq!(records.session(&[2; 32])?, Some(session(2)));
            assert_eq!(records.session(&[3; 32])?, Some(by_password()));
            assert_eq!(records.device(&[1; 32])?, Some(device(1, "BCDFGHJK")));
            let undemanding = records.device(&[3; 32])?.unwrap();
            assert_eq!(undemanding.demands, Demands::default());
            assert_eq!(undemanding.state, DeviceState::Unmet);
            Ok(())
        })
        .unwrap();
}

pub(super) async fn an_empty_storage_has_nothing(store: Store) {
    store
        .read(|records| {
            assert_eq!(records.accounts()?, []);
            assert_eq!(records.clients()?, []);
            assert_eq!(records.last_rotation()?, None);
            assert_eq!(records.setup_link()?, None);
            Ok(())
        })
        .unwrap();
}

pub(super) async fn names_and_user_codes_are_taken_once(store: Store) {
    let write = async |work: fn(&mut dyn Transaction) -> Result<(), StorageError>| {
        store.write(work).await
    };
    write(|records| records.put_account(&account("1", "ada")))
        .await
        .unwrap();
    let taken = write(|records| records.put_account(&account("2", "ada"))).await;
    assert!(matches!(taken, Err(StorageError::Exists(_))), "{taken:?}");
    // The same account may keep its name, or take another.
    let renamed = || Account {
        disabled: true,
        ..account("1", "ada")
    };
    write(|records| {
        records.put_account(&Account {
            disabled: true,
            ..account("1", "ada")
        })
    })
    .await
    .unwrap();
    assert_eq!(
        store.read(|records| records.account("1")).unwrap(),
        Some(renamed())
    );
    write(|records| records.put_account(&account("1", "lovelace")))
        .await
        .unwrap();
    write(|records| records.put_account(&account("2", "ada")))
        .await
        .unwrap();

    write(|records| records.add_device(&device(1, "BCDFGHJK")))
        .await
        .unwrap();
    let taken = write(|records| records.add_device(&device(2, "BCDFGHJK"))).await;
    assert!(matches!(taken, Err(StorageError::Exists(_))), "{taken:?}");
}

pub(super) async fn a_rotation_changes_the_generation_and_nothing_else(store: Store) {
    let rotation = Rotation {
        generation: 8,
        rotated_at: after(100),
    };
    store
        .write(move |records| {
            records.add_grant(&grant(1))?;
            records.add_grant(&grant(2))?;
            records.rotate_grant(&[1; 16], rotation)
        })
        .await
        .unwrap();
    let expected = Grant {
        rotation: Some(rotation),
        ..grant(1)
    };
    assert_eq!(
        store.read(|records| records.grant(&[1; 16])).unwrap(),
        Some(expected.clone())
    );
    assert_eq!(
        store.read(|records| records.grant(&[2; 16])).unwrap(),
        Some(grant(2))
    );
    store
        .write(|records| records.extend_grant(&[1; 16], after(5_000)))
        .await
        .unwrap();
    let expected = Grant {
        expires_at: after(5_000),
        ..expected
    };
    assert_eq!(
        store.read(|records| records.grant(&[1; 16])).unwrap(),
        Some(expected)
    );
}

pub(super) async fn extending_a_session_changes_its_end_alone(store: Store) {
    store
        .write(|records| {
            records.add_session(&session(1))?;
            records.add_session(&session(2))?;
            records.extend_session(&[1; 32], after(5_000))?;
            // One that is gone does not come back.
            records.extend_session(&[3; 32], after(5_000))
        })
        .await
        .unwrap();
    let extended = Session {
        expires_at: after(5_000),
        ..session(1)
    };
    store
        .read(|records| {
            assert_eq!(records.session(&[1; 32])?, Some(extended));
            assert_eq!(records.session(&[2; 32])?, Some(session(2)));
            assert_eq!(records.session(&[3; 32])?, None);
            Ok(())
        })
        .unwrap();
}
