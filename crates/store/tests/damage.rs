//! Files that cannot be understood: set aside, reported, and never in the way.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use common::{Note, fresh, key, listing, mode, note, plant, with_record};
use countersign_store::{Key, Record, StoreError};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[test]
fn a_file_cut_off_at_any_byte_is_set_aside_and_blocks_nothing() {
    let (_parent, store) = with_record();
    let whole = std::fs::read(store.path_of(&key())).unwrap();
    for length in 0..whole.len() {
        plant(&store, &whole[..length]);
        let error = store.load::<Note>(&key()).unwrap_err();
        let StoreError::Damaged {
            set_aside: Some(kept),
            ..
        } = &error
        else {
            panic!("cut at {length}: {error:?}");
        };
        assert_eq!(std::fs::read(kept).unwrap(), &whole[..length]);
        assert_eq!(mode(kept), 0o600);
        assert_eq!(store.load::<Note>(&key()).unwrap(), None);
        store.save(&key(), &note("after")).unwrap();
        assert_eq!(store.load(&key()).unwrap(), Some(note("after")));
    }
}

#[test]
fn damaged_files_do_not_pile_up() {
    let (_parent, store) = with_record();
    for round in 0..20 {
        plant(&store, format!("damage {round}").as_bytes());
        assert!(store.load::<Note>(&key()).is_err());
    }
    assert_eq!(listing(&store).len(), 8);
    let last = std::fs::read(common::path_in(&store, "default.json.damaged-8")).unwrap();
    assert_eq!(last, b"damage 19");
}

#[test]
fn the_message_says_where_and_never_what() {
    let (_parent, store) = with_record();
    let secret = "eyJhbGciOi-a-token-that-must-not-be-printed";
    for content in [
        format!(r#"{{"version":3,"record":{{"text":1,"number":"{secret}"}}}}"#),
        format!(r#"{{"version":3,"record":"{secret}"}}"#),
        format!(r#"{{"version":"{secret}","record":{{}}}}"#),
        format!(r#"{{"version":3,"{secret}":1}}"#),
        secret.to_owned(),
    ] {
        plant(&store, content.as_bytes());
        let error = store.load::<Note>(&key()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let said = format!("{error} {error:?} {:?}", error.hints());
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let (_parent, store) = with_record();
    for content in [
        r#"{"version":4,"record":{"text":"a","number":1}}"#,
        r#"{"version":9,"record":["another","shape"]}"#,
        r#"{"version":4,"record":{"text":"a","number":1},"more":true}"#,
    ] {
        plant(&store, content.as_bytes());
        for _ in 0..2 {
            let error = store.load::<Note>(&key()).unwrap_err();
            assert!(
                matches!(error, StoreError::FutureVersion { supported: 3, .. }),
                "{error:?}"
            );
        }
        assert_eq!(
            std::fs::read(store.path_of(&key())).unwrap(),
            content.as_bytes()
        );
    }
    assert_eq!(listing(&store), ["default.json"]);
}

#[test]
fn an_older_version_that_is_no_longer_known_counts_as_damaged() {
    let (_parent, store) = with_record();
    plant(&store, br#"{"version":2,"record":{"text":"a","number":1}}"#);
    let error = store.load::<Note>(&key()).unwrap_err();
    assert!(error.to_string().contains("schema 2"), "{error}");
    assert_eq!(store.load::<Note>(&key()).unwrap(), None);
}

#[test]
fn members_that_appear_twice_are_damage() {
    let (_parent, store) = with_record();
    plant(
        &store,
        br#"{"version":3,"record":{"text":"a","number":1},"version":3}"#,
    );
    assert!(matches!(
        store.load::<Note>(&key()),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn a_record_that_json_cannot_express_is_the_callers_mistake() {
    #[derive(Serialize, Deserialize)]
    struct Odd(std::collections::BTreeMap<Vec<u8>, u8>);
    impl Record for Odd {
        const VERSION: u32 = 1;
    }
    let (_parent, store) = fresh();
    let odd = Odd([(vec![1], 1)].into());
    assert!(matches!(
        store.save(&key(), &odd),
        Err(StoreError::NotSerializable)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_comes_back(text in ".*", number in any::<i64>()) {
        let (_parent, store) = fresh();
        let record = Note { text, number };
        store.save(&key(), &record).unwrap();
        prop_assert_eq!(store.load::<Note>(&key()).unwrap(), Some(record));
    }

    #[test]
    fn no_content_can_block_a_login(content in proptest::collection::vec(any::<u8>(), 0..512)) {
        let (_parent, store) = with_record();
        plant(&store, &content);
        prop_assert!(store.load::<Note>(&key()).is_err());
        store.save(&key(), &note("after")).unwrap();
        prop_assert_eq!(store.load::<Note>(&key()).unwrap(), Some(note("after")));
    }

    #[test]
    fn a_changed_byte_is_either_noticed_or_harmless(position in any::<prop::sample::Index>(), byte: u8) {
        let (_parent, store) = with_record();
        let mut content = std::fs::read(store.path_of(&key())).unwrap();
        let position = position.index(content.len());
        content[position] = byte;
        plant(&store, &content);
        match store.load::<Note>(&key()) {
            Ok(Some(_)) | Err(StoreError::Damaged { set_aside: Some(_), .. } | StoreError::FutureVersion { .. }) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn every_key_names_a_file_directly_inside_the_store(name in "\\PC{1,70}|[a-z0-9._-]{1,70}") {
        let (_parent, store) = fresh();
        if let Ok(key) = Key::new(&name) {
            store.save(&key, &note("x")).unwrap();
            prop_assert_eq!(listing(&store), vec![format!("{name}.json")]);
            prop_assert_eq!(store.keys().unwrap(), vec![key]);
        }
    }
}
