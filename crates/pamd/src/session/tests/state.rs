//! What survives a restart of the daemon, and what becomes of it where it cannot be written.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use super::support::{By, Post, Tree, grant, login, opened, until, withdrawn};
use crate::session::record;
use crate::session::settings::{Elsewhere, Kill, Settings};
use crate::session::state::State;
use crate::session::sweep::{Processes, RealProcesses, Target};
use crate::session::table::{Left, Seat};
use crate::{Process, Renewed, Sessions, Verdict};

fn home() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn records(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name != "lock").collect()
}

#[test]
fn a_restart_loses_nobody_and_keeps_nobody() {
    let home = home();
    let directory = home.path().join("sessions");
    let mut post = Post::new(&directory, Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    post.pass(400);
    until("it was renewed", || {
        let text = fs::read_to_string(directory.join(&records(&directory)[0])).unwrap();
        text.contains("the next token")
    });
    let before = post.watch().list();
    post.restart();
    let after = post.watch().list();
    assert_eq!(before[0].reference, after[0].reference);
    assert!(before[0].ends_in_seconds - after[0].ends_in_seconds < 60);
    // What was renewed before is what is renewed now.
    post.say(withdrawn());
    post.pass(400);
    until("the next one hears of it", || {
        post.events()
            .iter()
            .any(|event| event.contains("its sessions end in 60 s"))
    });
    post.restart();
    post.pass(60);
    until("it ends", || tree.members().len() <= 1);
}

#[test]
fn a_login_that_is_half_way_goes_on_after_a_restart() {
    let home = home();
    let mut post = Post::new(&home.path().join("sessions"), Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    let login = login(tree.monitor, "ada");
    post.watch().granted(tree.monitor, grant("ada"));
    post.restart();
    assert_eq!(post.watch().account(&login).verdict, Verdict::Success);
    post.restart();
    assert_eq!(
        post.watch().open(&login, &opened("")).verdict,
        Verdict::Success
    );
    post.restart();
    assert_eq!(post.watch().watched(), 1);
    post.watch().close(tree.monitor);
    post.restart();
    drop(tree);
    post.wait_until_empty();
}

#[test]
fn only_one_daemon_watches() {
    let home = home();
    let directory = home.path().join("sessions");
    let _post = Post::new(&directory, Settings::default());
    let mut other = State::new(directory);
    let taken = other.lock(std::time::Duration::ZERO).unwrap_err();
    assert!(
        taken.line().starts_with("another daemon watches"),
        "{}",
        taken.line()
    );
}

#[test]
fn what_is_written_is_private_and_says_nothing_where_it_is_shown() {
    let home = home();
    let directory = home.path().join("sessions");
    let post = Post::new(&directory, Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(&records(&directory)[0])), 0o600);
    // In memory it is there; on no list and in no event.
    let written = fs::read_to_string(directory.join(&records(&directory)[0])).unwrap();
    assert!(written.contains("canary-refresh-token"));
    let shown = format!(
        "{:?} {:?}",
        post.watch().list(),
        post.audit.0.lock().unwrap()
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn on_a_disk_no_token_is_kept_and_the_grace_ends_what_cannot_be_renewed() {
    // Beside the program of this test, which is on no file system in memory.
    let beside = std::env::current_exe().unwrap();
    let home = tempfile::tempdir_in(beside.parent().unwrap()).unwrap();
    let directory = home.path().join("sessions");
    let mut post = Post::new(&directory, Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    let written = fs::read_to_string(directory.join(&records(&directory)[0])).unwrap();
    assert!(!written.contains("canary"), "{written}");
    post.restart();
    post.pass(15 * 60);
    until("the person is warned", || {
        post.events()
            .iter()
            .any(|event| event.contains("its sessions end in 60 s"))
    });
    post.pass(60);
    until("it ends", || tree.members().len() <= 1);
}

#[test]
fn where_nothing_can_be_written_nobody_is_let_in_and_who_is_in_stays_watched() {
    let home = home();
    let directory = home.path().join("sessions");
    let post = Post::new(&directory, Settings::default());
    let old = Tree::running(By::Audit, "", Stdio::null());
    post.open(old.monitor, "ada");
    // In its place a link, a file, a directory that others may enter: none of them is used.
    let aside = home.path().join("aside");
    fs::rename(&directory, &aside).unwrap();
    let new = Tree::running(By::Audit, "", Stdio::null());
    let key = Tree::running(By::Audit, "", Stdio::null());
    let refuse = |what: &str| {
        let monitor = new.monitor;
        post.watch().granted(monitor, grant("grace"));
        let answer = post.watch().account(&login(monitor, "grace"));
        assert_eq!(answer.verdict, Verdict::Failed, "{what}");
        let opened = post.watch().open(&login(monitor, "grace"), &opened(""));
        assert_eq!(opened.verdict, Verdict::Denied, "{what}");
        // Who signs in elsewhere is none of ours: the account for emergencies still opens.
        let emergency = login(key.monitor, "emergency");
        assert_eq!(
            post.watch().account(&emergency).verdict,
            Verdict::Success,
            "{what}"
        );
        post.watch().close(key.monitor);
        post.watch().close(monitor);
        assert_eq!(post.watch().watched(), 1, "{what}");
    };
    symlink(&aside, &directory).unwrap();
    refuse("a link");
    fs::remove_file(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    refuse("a file");
    fs::remove_file(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    refuse("open to others");
    assert!(
        post.events()
            .iter()
            .any(|event| event.contains("nobody is let in"))
    );
    // Repaired, all is written that was not, and people come in again.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    post.say(Renewed::Unreachable {
        why: "timed out".to_owned(),
        refresh: None,
    });
    post.pass(400);
    until("it is written down", || records(&directory).len() == 1);
    post.open(new.monitor, "grace");
    assert_eq!(post.watch().kill(&super::super::Which::All).len(), 2);
}

#[test]
fn a_daemon_that_cannot_use_its_directory_refuses_and_says_so() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let post = Post::new(&file.join("sessions"), Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.watch().granted(tree.monitor, grant("ada"));
    let answer = post.watch().account(&login(tree.monitor, "ada"));
    assert_eq!(answer.verdict, Verdict::Failed);
    assert!(
        post.events()[0].contains("Not a directory"),
        "{:?}",
        post.events()
    );
}

#[test]
fn what_we_did_not_write_is_refused_and_put_aside() {
    let home = home();
    let directory = home.path().join("sessions");
    let mut post = Post::new(&directory, Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    let name = records(&directory).remove(0);
    let good = fs::read_to_string(directory.join(&name)).unwrap();
    post.watch = None;
    let boot_id = State::new(directory.clone()).boot_id().to_owned();
    let id = tree.monitor;
    let pid = format!("\"pid\":{},", id.pid);
    let cases: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("no JSON", "\u{0}\u{1}".repeat(100)),
        ("a list", "[]".to_owned()),
        (
            "twice",
            good.replacen("\"id\":", "\"id\":{\"pid\":5,\"start_time\":5},\"id\":", 1),
        ),
        ("unknown", good.replacen("\"id\":", "\"more\":1,\"id\":", 1)),
        ("later", good.replacen("\"version\":1", "\"version\":2", 1)),
        (
            "nobody's",
            good.replace("\"logins\":[", "\"logins\":[],\"x\":["),
        ),
        ("init", good.replace(&pid, "\"pid\":1,")),
        ("a group", good.replace(&pid, "\"pid\":0,")),
        ("all of them", good.replace(&pid, "\"pid\":4294967295,")),
        ("another's", good.replacen(&pid, "\"pid\":77,", 1)),
        (
            "for ever",
            good.replace(
                "\"max_session_ms\":43200000",
                "\"max_session_ms\":18446744073709551615",
            ),
        ),
        ("a long name", good.replace("Ada", &"A".repeat(5000))),
        ("large", format!("{good}{}", " ".repeat(2 << 20))),
    ];
    for (what, text) in cases {
        assert_ne!(text, good, "{what}");
        if what != "another's" && what != "large" {
            assert!(record::read(&boot_id, text.as_bytes()).is_err(), "{what}");
        }
        write(&directory.join(&name), &text);
        post.audit.0.lock().unwrap().clear();
        post.restart();
        assert_eq!(post.watch().watched(), 0, "{what}");
        assert_eq!(records(&directory), [format!("refused-{name}")], "{what}");
        let said = post.events();
        assert!(
            said.iter().any(|event| event.contains("is refused")),
            "{what}: {said:?}"
        );
        assert!(
            said.iter().any(|event| event.contains("kill ")),
            "{what}: {said:?}"
        );
        post.watch = None;
    }
    // Not by us alone: a link, a name of two files, a mode that lets others read.
    let refused = directory.join(format!("refused-{name}"));
    fs::remove_file(&refused).unwrap();
    let file = directory.join(&name);
    let elsewhere = home.path().join("elsewhere");
    write(&elsewhere, &good);
    symlink(&elsewhere, &file).unwrap();
    post.restart();
    assert_eq!(post.watch().watched(), 0);
    post.watch = None;
    let _ = fs::remove_file(&refused);
    fs::hard_link(&elsewhere, &file).unwrap();
    post.restart();
    assert_eq!(post.watch().watched(), 0);
    post.watch = None;
    let _ = fs::remove_file(&refused);
    write(&file, &good);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    post.restart();
    assert_eq!(post.watch().watched(), 0);
    post.watch = None;
    // Of another start of the machine: forgotten without a word. And what is good is good.
    write(
        &file,
        &good.replace(&boot_id, "00000000-0000-0000-0000-000000000000"),
    );
    post.restart();
    assert_eq!(post.watch().watched(), 0);
    assert!(!file.exists());
    post.watch = None;
    write(&file, &good);
    write(&directory.join(format!(".{name}.77.1.tmp")), "half");
    post.restart();
    assert_eq!(post.watch().watched(), 1);
    assert!(!directory.join(format!(".{name}.77.1.tmp")).exists());
}

fn write(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn dates_that_cannot_be_are_taken_for_the_earliest_that_can() {
    let home = home();
    let directory = home.path().join("sessions");
    let mut post = Post::new(&directory, Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    let file = directory.join(records(&directory).remove(0));
    post.watch = None;
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let never = serde_json::json!(u64::MAX / 2);
    for field in ["granted_ms", "confirmed_ms", "renewal_ms"] {
        record[field] = never.clone();
    }
    write(&file, &record.to_string());
    post.restart();
    assert!(post.watch().list()[0].ends_in_seconds <= 12 * 3600);
    post.say(withdrawn());
    post.pass(3601);
    until("it is asked within the hour", || {
        post.events()
            .iter()
            .any(|event| event.contains("its sessions end in 60 s"))
    });
}

#[test]
fn a_key_waits_for_the_server_and_is_refused_when_it_says_nothing() {
    let home = home();
    let settings = Settings {
        elsewhere: Elsewhere::NeedsGrant { except: Vec::new() },
        ..Settings::default()
    };
    let post = Post::new(&home.path().join("sessions"), settings);
    let person = Tree::running(By::Audit, "", Stdio::null());
    let key = Tree::running(By::Audit, "", Stdio::null());
    let with_key = login(key.monitor, "ada");
    assert_eq!(post.watch().account(&with_key).verdict, Verdict::Denied);
    post.open(person.monitor, "ada");
    post.pass(61);
    post.say(Renewed::Unreachable {
        why: "timed out".to_owned(),
        refresh: None,
    });
    assert_eq!(
        post.watch().account(&with_key).verdict,
        Verdict::Unavailable
    );
    assert_eq!(post.watch().account(&with_key).verdict, Verdict::Success);
    let answer = post.watch().open(&with_key, &opened(""));
    assert_eq!(answer.verdict, Verdict::Success);
    let listed = post.watch().list();
    assert_eq!(listed.iter().filter(|row| row.covered).count(), 1);
    assert_eq!(listed[0].reference, listed[1].reference);
}

/// Processes that cost nothing, however many.
#[derive(Debug)]
struct Many;

impl Processes for Many {
    fn hold(&self, _: Process) -> io::Result<OwnedFd> {
        RealProcesses::default().hold(Process::of(std::process::id())?)
    }

    fn find_kin(&self, _: &mut Seat, _: Process, _: &str, _: Kill) {}

    fn sweep(&self, targets: &[Target]) -> Vec<Left> {
        vec![Left::default(); targets.len()]
    }

    fn tell(&self, _: &[(Process, Seat, String)]) {}
}

#[test]
fn a_session_takes_little_memory_and_no_thread() {
    const SESSIONS: u32 = 1000;
    let home = home();
    let post = Post::over(
        &home.path().join("sessions"),
        Settings::default(),
        Arc::new(Many),
    );
    let resident = || {
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    };
    let open = |pid: u32| {
        let monitor = Process { pid, start_time: 9 };
        post.open(monitor, "ada");
    };
    (10..20).for_each(open);
    let before = resident();
    (20..20 + SESSIONS).for_each(open);
    let each = resident().saturating_sub(before) / SESSIONS as usize;
    eprintln!("{each} bytes a session");
    // The file, which lies in memory as well.
    let size: u64 = fs::read_dir(home.path().join("sessions"))
        .unwrap()
        .flatten()
        .map(|entry| entry.metadata().unwrap().len().next_multiple_of(4096))
        .sum();
    let each = each + usize::try_from(size).unwrap() / (SESSIONS as usize + 10);
    assert!(each < 50 * 1024, "{each} bytes a session");
}
