//! All of an operation or nothing of it, and for one of many at once.

use super::{after, account, client, device, grant, code, pushed, session};
use crate::core::{DeviceState, Rotation};
use crate::storage::{StorageError, Store, Transaction};

pub(super) async fn a_failed_operation_leaves_nothing_behind(store: Store) {
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

pub(super) async fn a_pushed_request_is_taken_once(store: Store) {
    let write = async |work: fn(&mut dyn Transaction) -> Result<bool, StorageError>| {
        store.write(work).await.unwrap()
    };
    assert!(!write(|records| records.remove_pushed_request(&[1; 32])).await);
    write(|records| records.add_pushed_request(&pushed(1)).map(|()| true)).await;
    assert!(write(|records| records.remove_pushed_request(&[1; 32])).await);
    assert!(!write(|records| records.remove_pushed_request(&[1; 32])).await);
}

pub(super) async fn an_assertion_is_used_once_and_remembered_until_its_end(store: Store) {
    let write = async |work: fn(&mut dyn Transaction) -> Result<bool, StorageError>| {
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

/// Sixty-four at once that all want to be the one: what a transaction read is
/// still so when it writes.
pub(super) async fn of_many_at_once_exactly_one_finds_a_login_unredeemed(store: Store) {
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
