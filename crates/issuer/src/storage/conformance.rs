//! What any storage must do, run over every one there is.

use std::time::Duration;

use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::ScopeSet;
use tempfile::TempDir;

use super::{Memory, Sqlite, StorageError, Store};
use crate::core::{
    Account, Audiences, AuthorizationCode, Client, ClientAuthentication, Device, DeviceState,
    Grant, GrantType, PasswordHash, PushedRequest, Rotation, Session, SetupLink,
};

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

fn account(id: &str, username: &str) -> Account {
    Account {
        id: id.to_owned(),
        username: username.to_owned(),
        name: Some("Ada Löv'lace".to_owned()),
        email: None,
        groups: vec!["eng".to_owned(), "a b".to_owned()],
        password: PasswordHash("$argon2id$…".to_owned()),
        disabled: false,
        created_at: T0,
    }
}

fn client(id: &str) -> Client {
    Client {
        id: id.to_owned(),
        name: "A client".to_owned(),
        authentication: ClientAuthentication::Secret([9; 32]),
        grant_types: GrantType::ALL.to_vec(),
        audiences: Audiences::Listed(vec!["https://api.example".to_owned()]),
        redirect_uris: vec!["http://127.0.0.1/cb".to_owned()],
        post_logout_redirect_uris: vec!["https://app.example/?a=\"b\"".to_owned()],
        dpop_bound: true,
        require_par: false,
        scopes: ScopeSet::parse("api.read").unwrap(),
        signing_algorithm: Algorithm::Rs256,
        created_at: T0,
    }
}

fn device(number: u8, user_code: &str) -> Device {
    Device {
        code: [number; 32],
        user_code: user_code.to_owned(),
        client_id: "cli".to_owned(),
        scopes: ScopeSet::parse("openid offline_access").unwrap(),
        audiences: vec!["https://api.example".to_owned()],
        requested_from: Some("2001:db8::1".parse().unwrap()),
        claimed_host: Some("box".to_owned()),
        claimed_command: None,
        created_at: T0,
        expires_at: after(600),
        state: DeviceState::Pending,
    }
}

fn grant(number: u8) -> Grant {
    Grant {
        id: [number; 16],
        account_id: "ada".to_owned(),
        client_id: "cli".to_owned(),
        scopes: ScopeSet::parse("openid").unwrap(),
        audiences: Vec::new(),
        auth_time: T0,
        created_at: after(1),
        expires_at: after(900),
        rotation: Some(Rotation {
            generation: 7,
            rotated_at: after(2),
        }),
        dpop_jkt: Some("a thumbprint".to_owned()),
    }
}

fn code(number: u8) -> AuthorizationCode {
    AuthorizationCode {
        code: [number; 32],
        client_id: "cli".to_owned(),
        redirect_uri: "http://127.0.0.1:49152/cb".to_owned(),
        code_challenge: [8; 32],
        nonce: Some("n-0S6_WzA2Mj".to_owned()),
        scopes: ScopeSet::parse("openid").unwrap(),
        audiences: vec!["https://api.example".to_owned()],
        account_id: "ada".to_owned(),
        auth_time: T0,
        dpop_jkt: None,
        expires_at: after(60),
        redeemed_as: None,
    }
}

fn pushed(number: u8) -> PushedRequest {
    PushedRequest {
        uri: [number; 32],
        client_id: "cli".to_owned(),
        parameters: "scope=openid&state=%C3%A9".to_owned(),
        expires_at: after(60),
    }
}

fn session(number: u8) -> Session {
    Session {
        id: [number; 32],
        account_id: "ada".to_owned(),
        authenticated_at: T0,
        expires_at: after(900),
    }
}

async fn everything_written_is_read_back_as_it_was(store: Store) {
    let approved = DeviceState::Approved {
        account_id: "ada".to_owned(),
        auth_time: after(5),
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
            assert_eq!(records.grants_of("ada", "cli")?, [grant(1), final_grant]);
            assert_eq!(records.grants_of("ada", "other")?, []);
            assert_eq!(records.grants_of("eve", "cli")?, []);
            assert_eq!(records.last_rotation()?, Some(after(2)));
            assert!(records.token_is_revoked("a jti")?);
            assert!(!records.token_is_revoked("another")?);
            assert_eq!(records.session(&[1; 32])?, Some(session(1)));
            assert_eq!(records.setup_link()?, Some(link));
            Ok(())
        })
        .unwrap();
}

async fn an_empty_storage_has_nothing(store: Store) {
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

async fn a_failed_operation_leaves_nothing_behind(store: Store) {
    store
        .write(|records| {
            records.put_client(&client("cli"))?;
            records.add_device(&device(1, "BCDFGHJK"))?;
            records.add_code(&code(1))?;
            records.add_pushed_request(&pushed(1))?;
            records.add_grant(&grant(1))
        })
        .await
        .unwrap();
    let failed: Result<(), _> = store
        .write(|records| {
            records.put_account(&account("ada", "ada"))?;
            records.rotate_grant(
                &[1; 16],
                Rotation {
                    generation: 8,
                    rotated_at: after(9),
                },
            )?;
            records.remove_grant(&[1; 16])?;
            records.set_device_state(&[1; 32], &DeviceState::Denied)?;
            records.set_device_state(&[1; 32], &DeviceState::Redeemed)?;
            records.redeem_code(&[1; 32], &[7; 16])?;
            records.add_code(&code(2))?;
            records.remove_pushed_request(&[1; 32])?;
            records.add_session(&session(1))?;
            // The user code is in use.
            records.add_device(&device(2, "BCDFGHJK"))
        })
        .await;
    assert!(matches!(failed, Err(StorageError::Exists(_))), "{failed:?}");
    let failed: Result<(), _> = store
        .write(|records| {
            records.remove_client("cli")?;
            Err(StorageError::Damaged("test"))
        })
        .await;
    assert!(
        matches!(failed, Err(StorageError::Damaged("test"))),
        "{failed:?}"
    );
    store
        .read(|records| {
            assert_eq!(records.account("ada")?, None);
            assert_eq!(records.client("cli")?, Some(client("cli")));
            assert_eq!(records.grant(&[1; 16])?, Some(grant(1)));
            assert_eq!(records.device(&[1; 32])?, Some(device(1, "BCDFGHJK")));
            assert_eq!(records.code(&[1; 32])?, Some(code(1)));
            assert_eq!(records.code(&[2; 32])?, None);
            assert_eq!(records.pushed_request(&[1; 32])?, Some(pushed(1)));
            assert_eq!(
                records.device_with_user_code("BCDFGHJK")?,
                Some(device(1, "BCDFGHJK"))
            );
            assert_eq!(records.device(&[2; 32])?, None);
            assert_eq!(records.session(&[1; 32])?, None);
            Ok(())
        })
        .unwrap();
}

async fn names_and_user_codes_are_taken_once(store: Store) {
    let write = async |work: fn(&mut dyn super::Transaction) -> Result<(), StorageError>| {
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

async fn a_rotation_changes_the_generation_and_nothing_else(store: Store) {
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

async fn extending_a_session_changes_its_end_alone(store: Store) {
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

async fn an_account_goes_with_its_logins_and_a_client_with_its_own(store: Store) {
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

async fn what_an_account_has_approved_is_denied_when_its_logins_end(store: Store) {
    let approved_by = |account: &str| DeviceState::Approved {
        account_id: account.to_owned(),
        auth_time: T0,
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

async fn a_pushed_request_is_taken_once(store: Store) {
    let write = async |work: fn(&mut dyn super::Transaction) -> Result<bool, StorageError>| {
        store.write(work).await.unwrap()
    };
    assert!(!write(|records| records.remove_pushed_request(&[1; 32])).await);
    write(|records| records.add_pushed_request(&pushed(1)).map(|()| true)).await;
    assert!(write(|records| records.remove_pushed_request(&[1; 32])).await);
    assert!(!write(|records| records.remove_pushed_request(&[1; 32])).await);
}

async fn an_assertion_is_used_once_and_remembered_until_its_end(store: Store) {
    let write = async |work: fn(&mut dyn super::Transaction) -> Result<bool, StorageError>| {
        store.write(work).await
    };
    let undone = write(|records| {
        records.use_assertion(&[1; 32], after(60))?;
        Err(StorageError::Damaged("test"))
    });
    assert!(undone.await.is_err());
    assert!(
        write(|records| records.use_assertion(&[1; 32], after(60)))
            .await
            .unwrap()
    );
    assert!(
        write(|records| records.use_assertion(&[2; 32], after(61)))
            .await
            .unwrap()
    );
    // A later end does not make it another one.
    assert!(
        !write(|records| records.use_assertion(&[1; 32], after(900)))
            .await
            .unwrap()
    );
    let purge = async |now| {
        store
            .write(move |records| records.purge(now, 100))
            .await
            .unwrap()
    };
    assert_eq!(purge(after(60)).await, 0);
    assert_eq!(purge(after(61)).await, 1);
    assert!(
        !write(|records| records.use_assertion(&[2; 32], after(61)))
            .await
            .unwrap()
    );
    assert!(
        write(|records| records.use_assertion(&[1; 32], after(60)))
            .await
            .unwrap()
    );
}

async fn codes_and_pushed_requests_outlive_their_end_by_a_while(store: Store) {
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

async fn what_is_over_is_forgotten_in_portions(store: Store) {
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

/// Sixty-four at once that all want to be the one: what a transaction read is
/// still so when it writes.
async fn of_many_at_once_exactly_one_finds_a_login_unredeemed(store: Store) {
    store
        .write(|records| records.add_device(&device(1, "BCDFGHJK")))
        .await
        .unwrap();
    let store = std::sync::Arc::new(store);
    let contenders: Vec<_> = (0..64)
        .map(|_| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                let won = store.write(|records| {
                    let found = records.device(&[1; 32])?;
                    let open = found.is_some_and(|device| device.state == DeviceState::Pending);
                    if open {
                        records.set_device_state(&[1; 32], &DeviceState::Redeemed)?;
                    }
                    Ok(open)
                });
                won.await.unwrap()
            })
        })
        .collect();
    let mut winners = 0;
    for contender in contenders {
        winners += u32::from(contender.await.unwrap());
    }
    assert_eq!(winners, 1);
}

macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(super::Store::new(Box::new(super::Memory::new()))).await;
            })*
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let directory = super::TempDir::new().unwrap();
                let file = directory.path().join("issuer.sqlite");
                let storage = super::Sqlite::open(&file).unwrap();
                super::$test(super::Store::new(Box::new(storage))).await;
            })*
        }
    };
}

suite!(
    everything_written_is_read_back_as_it_was,
    an_empty_storage_has_nothing,
    a_failed_operation_leaves_nothing_behind,
    names_and_user_codes_are_taken_once,
    a_rotation_changes_the_generation_and_nothing_else,
    extending_a_session_changes_its_end_alone,
    an_account_goes_with_its_logins_and_a_client_with_its_own,
    what_an_account_has_approved_is_denied_when_its_logins_end,
    a_pushed_request_is_taken_once,
    codes_and_pushed_requests_outlive_their_end_by_a_while,
    an_assertion_is_used_once_and_remembered_until_its_end,
    what_is_over_is_forgotten_in_portions,
    of_many_at_once_exactly_one_finds_a_login_unredeemed,
);
