//! Second factors: each code once, for one of many at once.

use std::sync::Arc;

use super::{account, after, key};
use crate::core::{Factor, FactorKind, Holder};
use crate::storage::{StorageError, Store, Transaction};

fn totp(number: u8) -> Factor {
    Factor {
        kind: FactorKind::Totp,
        position: Some((1 << 62) + 7),
        used_at: Some(after(50)),
        ..key(number)
    }
}

pub(super) async fn factors_are_read_back_as_they_were(store: Store) {
    let reserved = Factor {
        holder: Holder::ReservedFor("ada".to_owned()),
        ..key(3)
    };
    let free = Factor {
        holder: Holder::Anyone,
        ..key(4)
    };
    let all = [key(2), totp(1), reserved.clone(), free.clone()];
    store
        .write(move |records| {
            for factor in &all {
                records.put_factor(factor)?;
            }
            records.set_recovery_codes("ada", &[[1; 32], [2; 32], [3; 32]])?;
            records.set_recovery_codes("eve", &[[1; 32]])?;
            records.set_recovery_codes("ada", &[[1; 32], [4; 32]])
        })
        .await
        .unwrap();
    store
        .read(|records| {
            assert_eq!(records.factor(&[1; 16])?, Some(totp(1)));
            assert_eq!(records.factor(&[9; 16])?, None);
            // The oldest first, and only those that sign in.
            assert_eq!(records.factors_of("ada")?, [totp(1), key(2)]);
            assert_eq!(records.factors_of("eve")?, []);
            assert_eq!(records.key("ccccccccccdd")?, Some(key(2)));
            assert_eq!(records.key("ccccccccccff")?, Some(free.clone()));
            assert_eq!(records.key("")?, None);
            assert_eq!(records.keys()?, [key(2), reserved.clone(), free.clone()]);
            assert_eq!(records.recovery_codes_left("ada")?, 2);
            assert_eq!(records.recovery_codes_left("eve")?, 1);
            assert_eq!(records.recovery_codes_left("bob")?, 0);
            Ok(())
        })
        .unwrap();
    let removed = async || {
        store
            .write(|records| records.remove_factor(&[1; 16]))
            .await
            .unwrap()
    };
    assert!(removed().await);
    assert!(!removed().await);
}

pub(super) async fn a_public_id_is_taken_once(store: Store) {
    let put = async |factor: Factor| store.write(move |records| records.put_factor(&factor)).await;
    put(key(1)).await.unwrap();
    let same_id = Factor {
        kind: key(1).kind,
        ..key(2)
    };
    let taken = put(same_id).await;
    assert!(matches!(taken, Err(StorageError::Exists(_))), "{taken:?}");
    // The same factor may become another's.
    let moved = Factor {
        holder: Holder::Account("eve".to_owned()),
        ..key(1)
    };
    put(moved.clone()).await.unwrap();
    let found = store.read(|records| records.factor(&[1; 16])).unwrap();
    assert_eq!(found, Some(moved));
    // Authenticators have none.
    put(totp(3)).await.unwrap();
    put(totp(4)).await.unwrap();
}

pub(super) async fn a_factor_moves_forward_only(store: Store) {
    store
        .write(|records| records.put_factor(&key(1)))
        .await
        .unwrap();
    let advance = async |position, seconds| {
        store
            .write(move |records| records.advance_factor(&[1; 16], position, after(seconds)))
            .await
            .unwrap()
    };
    assert!(advance(0, 10).await, "nothing was used before");
    assert!(!advance(0, 11).await);
    assert!(advance(7, 12).await);
    assert!(!advance(7, 13).await);
    assert!(!advance(6, 14).await);
    let expected = Factor {
        position: Some(7),
        used_at: Some(after(12)),
        ..key(1)
    };
    let found = store.read(|records| records.factor(&[1; 16])).unwrap();
    assert_eq!(found, Some(expected));
    let gone = store.write(|records| records.advance_factor(&[2; 16], 1, after(1)));
    assert!(!gone.await.unwrap());
}

/// How many of sixty-four at once were told yes.
async fn winners(
    store: Store,
    act: fn(&mut dyn Transaction) -> Result<bool, StorageError>,
) -> usize {
    let store = Arc::new(store);
    let contenders: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.write(act).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for contender in contenders {
        winners += usize::from(contender.await.unwrap());
    }
    winners
}

pub(super) async fn of_many_at_once_exactly_one_moves_a_factor(store: Store) {
    store
        .write(|records| records.put_factor(&totp(1)))
        .await
        .unwrap();
    let won = winners(store, |records| {
        records.advance_factor(&[1; 16], (1 << 62) + 8, after(60))
    });
    assert_eq!(won.await, 1);
}

pub(super) async fn of_many_at_once_exactly_one_uses_a_recovery_code(store: Store) {
    store
        .write(|records| records.set_recovery_codes("ada", &[[1; 32], [2; 32]]))
        .await
        .unwrap();
    let won = winners(store, |records| {
        records.use_recovery_code("ada", &[1; 32])
    });
    assert_eq!(won.await, 1);
}

pub(super) async fn an_account_takes_its_factors_along(store: Store) {
    store
        .write(|records| {
            records.put_account(&account("ada", "ada"))?;
            records.put_factor(&key(1))?;
            records.put_factor(&Factor {
                holder: Holder::ReservedFor("ada".to_owned()),
                ..key(2)
            })?;
            records.put_factor(&Factor {
                holder: Holder::Anyone,
                ..key(3)
            })?;
            records.set_recovery_codes("ada", &[[1; 32]])?;
            records.set_recovery_codes("eve", &[[1; 32]])?;
            records.remove_account("ada")
        })
        .await
        .unwrap();
    store
        .read(|records| {
            let left = records.keys()?;
            assert_eq!(left.len(), 1, "{left:?}");
            assert_eq!(left[0].id, [3; 16]);
            assert_eq!(records.recovery_codes_left("ada")?, 0);
            assert_eq!(records.recovery_codes_left("eve")?, 1);
            Ok(())
        })
        .unwrap();
}

pub(super) async fn a_failed_operation_moves_and_uses_nothing(store: Store) {
    store
        .write(|records| {
            records.put_factor(&key(1))?;
            records.set_recovery_codes("ada", &[[1; 32]])
        })
        .await
        .unwrap();
    let failed: Result<(), _> = store
        .write(|records| {
            assert!(records.advance_factor(&[1; 16], 9, after(9))?);
            assert!(records.use_recovery_code("ada", &[1; 32])?);
            Err(StorageError::Damaged("test"))
        })
        .await;
    assert!(failed.is_err());
    store
        .read(|records| {
            assert_eq!(records.factor(&[1; 16])?, Some(key(1)));
            assert_eq!(records.recovery_codes_left("ada")?, 1);
            Ok(())
        })
        .unwrap();
}
