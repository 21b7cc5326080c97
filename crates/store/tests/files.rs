//! What is on disk after a write, and what is refused when it is read.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use common::{Note, chmod, fresh, key, listing, mode, note, path_in, plant, with_record};
use countersign_store::{FileStore, Key, MAX_RECORD_BYTES, StoreError};
use rustix::fs::{CWD, FileType, Mode};

#[test]
fn a_record_comes_back_as_it_was_saved() {
    let (_parent, store) = with_record();
    assert_eq!(store.load(&key()).unwrap(), Some(note("kept")));
    store.save(&key(), &note("newer")).unwrap();
    assert_eq!(store.load(&key()).unwrap(), Some(note("newer")));
}

#[test]
fn the_file_is_0600_the_directory_0700_and_nothing_else_is_left() {
    let (_parent, store) = with_record();
    assert_eq!(mode(store.path()), 0o700);
    assert_eq!(mode(&store.path_of(&key())), 0o600);
    assert_eq!(listing(&store), ["default.json"]);
}

#[test]
fn reading_from_a_store_that_does_not_exist_finds_nothing_and_makes_nothing() {
    let (parent, store) = fresh();
    assert_eq!(store.load::<Note>(&key()).unwrap(), None);
    assert!(store.keys().unwrap().is_empty());
    assert!(!store.remove(&key()).unwrap());
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_write_replaces_the_file_instead_of_changing_it() {
    let (_parent, store) = with_record();
    let before = store.path_of(&key()).metadata().unwrap().ino();
    let reader = std::fs::read(store.path_of(&key())).unwrap();
    store.save(&key(), &note("newer")).unwrap();
    assert_ne!(store.path_of(&key()).metadata().unwrap().ino(), before);
    assert!(String::from_utf8(reader).unwrap().contains("kept"));
}

#[test]
fn a_symbolic_link_is_neither_read_nor_written_through() {
    let (parent, store) = with_record();
    let target = parent.path().join("elsewhere.json");
    std::fs::rename(store.path_of(&key()), &target).unwrap();
    symlink(&target, store.path_of(&key())).unwrap();
    let before = std::fs::read(&target).unwrap();
    assert!(matches!(
        store.load::<Note>(&key()),
        Err(StoreError::Symlink { .. })
    ));
    assert!(matches!(
        store.save(&key(), &note("x")),
        Err(StoreError::Symlink { .. })
    ));
    assert_eq!(std::fs::read(&target).unwrap(), before);
}

#[test]
fn a_dangling_link_is_not_followed_into_being() {
    let (parent, store) = with_record();
    std::fs::remove_file(store.path_of(&key())).unwrap();
    let target = parent.path().join("not-there");
    symlink(&target, store.path_of(&key())).unwrap();
    assert!(matches!(
        store.save(&key(), &note("x")),
        Err(StoreError::Symlink { .. })
    ));
    assert!(!target.exists());
}

#[test]
fn a_directory_that_is_a_link_is_refused() {
    let (parent, store) = with_record();
    let link = parent.path().join("link");
    symlink(store.path(), &link).unwrap();
    let through = FileStore::open(&link);
    assert!(matches!(
        through.load::<Note>(&key()),
        Err(StoreError::Symlink { .. })
    ));
    assert!(matches!(
        through.save(&key(), &note("x")),
        Err(StoreError::Symlink { .. })
    ));
}

#[test]
fn a_file_where_the_directory_should_be_is_refused() {
    let (parent, _) = fresh();
    let path = parent.path().join("file");
    std::fs::write(&path, b"").unwrap();
    let error = FileStore::open(&path).load::<Note>(&key()).unwrap_err();
    assert!(
        matches!(error, StoreError::NotADirectory { .. }),
        "{error:?}"
    );
}

#[test]
fn a_pipe_is_refused_at_once_instead_of_waited_for() {
    let (_parent, store) = with_record();
    std::fs::remove_file(store.path_of(&key())).unwrap();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, store.path_of(&key()), FileType::Fifo, mode, 0).unwrap();
    assert!(matches!(
        store.load::<Note>(&key()),
        Err(StoreError::NotAFile { .. })
    ));
    assert!(matches!(
        store.save(&key(), &note("x")),
        Err(StoreError::NotAFile { .. })
    ));
}

#[test]
fn a_directory_instead_of_a_file_is_refused() {
    let (_parent, store) = with_record();
    std::fs::remove_file(store.path_of(&key())).unwrap();
    std::fs::create_dir(store.path_of(&key())).unwrap();
    assert!(matches!(
        store.load::<Note>(&key()),
        Err(StoreError::NotAFile { .. })
    ));
    assert!(matches!(
        store.save(&key(), &note("x")),
        Err(StoreError::NotAFile { .. })
    ));
    assert!(matches!(
        store.remove(&key()),
        Err(StoreError::NotAFile { .. })
    ));
}

#[test]
fn a_socket_instead_of_a_file_is_refused() {
    let (_parent, store) = with_record();
    std::fs::remove_file(store.path_of(&key())).unwrap();
    let _socket = std::os::unix::net::UnixDatagram::bind(store.path_of(&key())).unwrap();
    assert!(matches!(
        store.load::<Note>(&key()),
        Err(StoreError::NotAFile { .. })
    ));
}

#[test]
fn a_device_instead_of_a_file_is_refused() {
    let (_parent, store) = with_record();
    std::fs::remove_file(store.path_of(&key())).unwrap();
    let null = rustix::fs::makedev(1, 3);
    let outcome = rustix::fs::mknodat(
        CWD,
        store.path_of(&key()),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o600),
        null,
    );
    if outcome.is_err() {
        // Only root can make one, so only root can find one there.
        assert!(!rustix::process::geteuid().is_root());
        return;
    }
    // What is written to /dev/null is not there afterwards.
    let refused = [
        store.load::<Note>(&key()).unwrap_err(),
        store.save(&key(), &note("x")).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, StoreError::NotAFile { .. }), "{error:?}");
        assert!(error.hints()[0].starts_with("mv "), "{:?}", error.hints());
    }
}

#[test]
fn a_second_name_of_the_file_is_refused_until_the_hint_is_followed() {
    let (parent, store) = with_record();
    let path = store.path_of(&key());
    let elsewhere = parent.path().join("elsewhere");
    std::fs::hard_link(&path, &elsewhere).unwrap();
    let error = store.load::<Note>(&key()).unwrap_err();
    assert!(
        matches!(error, StoreError::HardLink { links: 2, .. }),
        "{error:?}"
    );
    follow(&error.hints()[0]);
    assert_eq!(store.load(&key()).unwrap(), Some(note("kept")));
    assert_eq!(mode(&path), 0o600);
    // A login repairs it as well, and does not write through the other name.
    std::fs::remove_file(&elsewhere).unwrap();
    std::fs::hard_link(&path, &elsewhere).unwrap();
    let before = std::fs::read(&elsewhere).unwrap();
    store.save(&key(), &note("newer")).unwrap();
    assert_eq!(store.load(&key()).unwrap(), Some(note("newer")));
    assert_eq!(std::fs::read(&elsewhere).unwrap(), before);
    // Nor is a lock shared with whoever has another name for it.
    std::fs::hard_link(&elsewhere, path_in(&store, "default.lock")).unwrap();
    let refused = store.try_lock(&key(), countersign_store::Purpose::Refresh);
    assert!(matches!(refused, Err(StoreError::HardLink { .. })));
}

#[test]
fn a_file_that_somebody_writes_into_is_never_taken_for_whole_or_for_damaged() {
    let (_parent, store) = with_record();
    let path = store.path_of(&key());
    let text = |filler: char| {
        let text: String = std::iter::repeat_n(filler, 60_000).collect();
        format!(r#"{{"version":3,"record":{{"text":"{text}","number":7}}}}"#)
    };
    let (a, b) = (text('a'), text('b'));
    std::fs::write(&path, &a).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut outcomes = [0_u32; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // As an editor or a backup program writes: into the file that is there.
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for content in [&b, &a] {
                    std::fs::write(&path, content).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
        for _ in 0..300 {
            match store.load::<Note>(&key()) {
                Ok(Some(Note { text, .. })) => {
                    let first = text.chars().next();
                    assert!(text.len() == 60_000 && text.chars().all(|c| Some(c) == first));
                    outcomes[0] += 1;
                }
                Err(StoreError::Changed { .. }) => outcomes[1] += 1,
                // Emptied, and not yet filled again: that cannot be told from damage, and what was set
                // aside is made anew by who writes, as everybody's file.
                Err(StoreError::Damaged { .. } | StoreError::WrongMode { .. }) | Ok(None) => {
                    std::fs::write(&path, &a).unwrap();
                    chmod(&path, 0o600);
                }
                other => panic!("{other:?}"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(outcomes[0] > 0, "{outcomes:?}");
}

#[test]
fn an_oversized_file_is_refused_without_being_read_and_replaced_by_a_new_login() {
    let (_parent, store) = with_record();
    let file = std::fs::File::options()
        .write(true)
        .open(store.path_of(&key()))
        .unwrap();
    file.set_len(1 << 40).unwrap();
    let error = store.load::<Note>(&key()).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { size, .. } if size == 1 << 40));
    store.save(&key(), &note("newer")).unwrap();
    assert_eq!(store.load(&key()).unwrap(), Some(note("newer")));
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let (_parent, store) = with_record();
    let large = note(&"x".repeat(usize::try_from(MAX_RECORD_BYTES).unwrap()));
    assert!(matches!(
        store.save(&key(), &large),
        Err(StoreError::TooLarge { .. })
    ));
    assert_eq!(store.load(&key()).unwrap(), Some(note("kept")));
}

#[test]
fn a_file_that_others_can_read_is_refused_until_the_hint_is_followed() {
    let (_parent, store) = with_record();
    let path = store.path_of(&key());
    for wrong in [0o640, 0o604, 0o620, 0o602, 0o666, 0o777] {
        chmod(&path, wrong);
        let error = store.load::<Note>(&key()).unwrap_err();
        assert!(
            matches!(error, StoreError::WrongMode { mode, .. } if mode == wrong),
            "{error:?}"
        );
        follow(&error.hints()[0]);
        assert_eq!(store.load(&key()).unwrap(), Some(note("kept")));
    }
}

#[test]
fn a_directory_that_others_can_enter_is_refused_until_the_hint_is_followed() {
    let (_parent, store) = with_record();
    for wrong in [0o755, 0o701, 0o770, 0o1777] {
        chmod(store.path(), wrong);
        let error = store.load::<Note>(&key()).unwrap_err();
        assert!(matches!(error, StoreError::WrongMode { .. }), "{error:?}");
        assert!(matches!(
            store.save(&key(), &note("x")),
            Err(StoreError::WrongMode { .. })
        ));
        follow(&error.hints()[0]);
        assert_eq!(store.load(&key()).unwrap(), Some(note("kept")));
    }
}

/// Types the hint, as a person would.
fn follow(hint: &str) {
    let status = std::process::Command::new("sh")
        .args(["-c", hint])
        .status()
        .unwrap();
    assert!(status.success(), "{hint}");
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    // Root can give a file away; everybody else can look at one of root's directories.
    if rustix::process::geteuid().is_root() {
        let (_parent, store) = with_record();
        let path = store.path_of(&key());
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        let error = store.load::<Note>(&key()).unwrap_err();
        assert!(
            matches!(error, StoreError::WrongOwner { owner: 12345, .. }),
            "{error:?}"
        );
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        std::os::unix::fs::chown(store.path(), Some(12345), None).unwrap();
        let error = store.load::<Note>(&key()).unwrap_err();
        assert!(
            matches!(error, StoreError::WrongOwner { owner: 12345, .. }),
            "{error:?}"
        );
    } else {
        let error = FileStore::open(Path::new("/"))
            .load::<Note>(&key())
            .unwrap_err();
        assert!(
            matches!(error, StoreError::WrongOwner { owner: 0, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn only_records_are_listed() {
    let (_parent, store) = with_record();
    for name in ["a", "prod.eu", "a.lock"] {
        store.save(&Key::new(name).unwrap(), &note(name)).unwrap();
    }
    let _lock = store
        .try_lock(&key(), countersign_store::Purpose::Refresh)
        .unwrap();
    for stray in [
        "default.json.damaged-1",
        ".default.json.1.2.tmp",
        "README",
        "Upper.json",
    ] {
        std::fs::write(path_in(&store, stray), b"").unwrap();
    }
    let names: Vec<String> = store
        .keys()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["a", "a.lock", "default", "prod.eu"]);
}

#[test]
fn removing_leaves_no_copy_of_the_record_anywhere() {
    let (_parent, store) = with_record();
    plant(&store, b"{ damaged");
    assert!(store.load::<Note>(&key()).is_err());
    std::fs::write(
        path_in(&store, ".default.json.999999.0.tmp"),
        b"left by a killed writer",
    )
    .unwrap();
    store.save(&key(), &note("newer")).unwrap();
    plant(&store, b"{ damaged again");
    assert!(store.load::<Note>(&key()).is_err());
    store.save(&key(), &note("newest")).unwrap();
    let other = Key::new("default2").unwrap();
    store.save(&other, &note("another")).unwrap();
    assert!(store.remove(&key()).unwrap());
    assert_eq!(listing(&store), ["default2.json"]);
    assert_eq!(store.load(&other).unwrap(), Some(note("another")));
}
