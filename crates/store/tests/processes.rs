//! Several processes on one store, some of them killed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Note, chmod, fresh, key, listing, note, path_in, with_record};
use countersign_store::{FileStore, Purpose, StoreError};

/// Says which part a child process plays; absent in the test run itself.
const ROLE: &str = "COUNTERSIGN_STORE_TEST_ROLE";
const STORE: &str = "COUNTERSIGN_STORE_TEST_STORE";

/// Not a test of its own: the body of the child processes, which are this same program.
#[test]
fn child() {
    let (Ok(role), Some(path)) = (std::env::var(ROLE), std::env::var_os(STORE)) else {
        return;
    };
    let store = FileStore::open(Path::new(&path));
    let mut out = std::io::stdout().lock();
    match role.as_str() {
        "write" => {
            for number in 0..i64::MAX {
                store
                    .save(
                        &key(),
                        &Note {
                            text: "x".repeat(20_000),
                            number,
                        },
                    )
                    .unwrap();
                writeln!(out, "wrote {number}").unwrap();
            }
        }
        "lock" => {
            let _lock = store.try_lock(&key(), Purpose::Refresh).unwrap().unwrap();
            writeln!(out, "locked").unwrap();
            // Until the parent closes our input or kills us.
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
        }
        "count" => {
            for _ in 0..25 {
                let _lock = loop {
                    match store.try_lock(&key(), Purpose::Refresh).unwrap() {
                        Some(lock) => break lock,
                        None => std::thread::yield_now(),
                    }
                };
                let mut record = store.load::<Note>(&key()).unwrap().unwrap();
                record.number += 1;
                store.save(&key(), &record).unwrap();
            }
        }
        other => panic!("unknown role {other}"),
    }
}

fn start(role: &str, store: &FileStore) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ROLE, role)
        .env(STORE, store.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the child's output up to the line that contains `text`.
fn wait_for(child: &mut Child, text: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains(text)),
        "the child never said {text:?}"
    );
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_whole_record() {
    let (_parent, store) = with_record();
    for round in 0..25 {
        let mut child = start("write", &store);
        // The moment differs by itself: scheduling decides where in a write the signal arrives.
        wait_for(&mut child, &format!("wrote {}", round % 5));
        child.kill().unwrap();
        child.wait().unwrap();
        let record = store.load::<Note>(&key()).unwrap().unwrap();
        assert_eq!(record.text.len(), 20_000);
    }
    // The next write tidies up after all of them.
    store.save(&key(), &note("after")).unwrap();
    assert_eq!(listing(&store), ["default.json"]);
}

#[test]
fn what_another_writer_has_open_is_not_swept_away() {
    let (_parent, store) = with_record();
    let theirs = path_in(&store, ".default.json.1.0.tmp");
    let file = std::fs::File::create(&theirs).unwrap();
    file.try_lock().unwrap();
    store.save(&key(), &note("ours")).unwrap();
    assert!(theirs.exists());
    file.unlock().unwrap();
    store.save(&key(), &note("ours")).unwrap();
    assert!(!theirs.exists());
}

#[test]
fn a_name_that_looks_like_a_leftover_and_is_none_is_in_nobodys_way() {
    let (_parent, store) = with_record();
    std::fs::create_dir(path_in(&store, ".default.json.1.0.tmp")).unwrap();
    store.save(&key(), &note("ours")).unwrap();
    assert!(store.remove(&key()).unwrap());
    assert_eq!(listing(&store), [".default.json.1.0.tmp"]);
}

#[test]
fn a_lock_excludes_everybody_else_until_it_is_dropped() {
    let (_parent, store) = fresh();
    let lock = store.try_lock(&key(), Purpose::Refresh).unwrap().unwrap();
    assert!(store.try_lock(&key(), Purpose::Refresh).unwrap().is_none());
    let login = store.try_lock(&key(), Purpose::Login).unwrap();
    assert!(
        login.is_some(),
        "a login and a refresh do not exclude each other"
    );
    drop(lock);
    assert!(store.try_lock(&key(), Purpose::Refresh).unwrap().is_some());
}

#[test]
fn a_lock_ends_with_the_process_that_held_it() {
    let (_parent, store) = fresh();
    let mut child = start("lock", &store);
    wait_for(&mut child, "locked");
    assert!(store.try_lock(&key(), Purpose::Refresh).unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(store.try_lock(&key(), Purpose::Refresh).unwrap().is_some());
}

#[test]
fn read_change_write_under_the_lock_loses_nothing() {
    let (_parent, store) = fresh();
    store
        .save(
            &key(),
            &Note {
                text: String::new(),
                number: 0,
            },
        )
        .unwrap();
    let children: Vec<Child> = (0..8).map(|_| start("count", &store)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(store.load::<Note>(&key()).unwrap().unwrap().number, 8 * 25);
}

#[test]
fn a_lock_file_that_is_a_link_or_open_to_others_is_refused() {
    let (parent, store) = with_record();
    let path = path_in(&store, "default.lock");
    std::os::unix::fs::symlink(parent.path().join("elsewhere"), &path).unwrap();
    let refused = store.try_lock(&key(), Purpose::Refresh);
    assert!(matches!(refused, Err(StoreError::Symlink { .. })));
    assert!(!parent.path().join("elsewhere").exists());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"").unwrap();
    chmod(&path, 0o666);
    let refused = store.try_lock(&key(), Purpose::Refresh);
    assert!(matches!(refused, Err(StoreError::WrongMode { .. })));
}

#[test]
fn a_note_is_read_without_the_lock_and_replaces_the_one_before() {
    let (_parent, store) = with_record();
    let note = || store.lock_note(&key(), Purpose::Refresh);
    assert_eq!(note(), None);
    let lock = store.try_lock(&key(), Purpose::Refresh).unwrap().unwrap();
    assert_eq!(note(), None);
    lock.leave_note("a longer note\n").unwrap();
    lock.leave_note("a note\n").unwrap();
    assert_eq!(note().as_deref(), Some("a note\n"));
    assert!(lock.leave_note(&"x".repeat(129)).is_err());
    drop(lock);
    assert_eq!(note().as_deref(), Some("a note\n"));
    assert_eq!(store.lock_note(&key(), Purpose::Login), None);
    // What others may write is not believed.
    chmod(&path_in(&store, "default.lock"), 0o666);
    assert_eq!(note(), None);
}
