//! Logins are ended with everything they started, and nothing else is.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::support::{By, Post, Tree, grant, login, opened, until, withdrawn};
use crate::session::kin::Member;
use crate::session::settings::{Kill, Settings};
use crate::session::sweep::{Processes, RealProcesses, Target};
use crate::session::table::{Force, Seat};
use crate::session::{Condition, Which, control};
use crate::{Process, Sessions, Verdict};

fn state() -> tempfile::TempDir {
    // In memory, as /run is.
    tempfile::tempdir_in("/dev/shm").unwrap()
}

#[test]
fn a_withdrawal_ends_what_nohup_and_setsid_hide_and_no_stranger() {
    for by in [By::Audit, By::Parents] {
        let directory = state();
        let post = Post::new(&directory.path().join("sessions"), Settings::default());
        let mut tree = Tree::new(by);
        let strangers = [Tree::new(By::Audit), Tree::new(By::Parents)];
        let before: Vec<_> = strangers.iter().map(Tree::members).collect();
        post.open(tree.monitor, "ada");
        assert!(tree.members().len() >= 7, "{by:?}: {:?}", tree.members());
        // Each by itself: once the shell is gone, parents tell nothing about the rest.
        let all: Vec<Process> = tree
            .members()
            .into_iter()
            .filter_map(|pid| Process::of(pid).ok())
            .collect();
        let live = |process: &Process| {
            Member::of(process.pid).is_some_and(|now| now.process == *process && now.lives)
        };
        post.say(withdrawn());
        post.pass(400);
        post.wait_for(Condition::Warned);
        assert!(tree.members().len() >= 7, "{by:?}");
        let begin = Instant::now();
        post.pass(60);
        until("the shell ends", || {
            Member::of(tree.monitor.pid).is_none_or(|m| !m.lives)
        });
        until("all of it ends", || {
            !all.iter().any(live) && tree.members().is_empty()
        });
        eprintln!("{by:?}: everything had ended after {:?}", begin.elapsed());
        tree.reap();
        post.wait_until_empty();
        let after: Vec<_> = strangers.iter().map(Tree::members).collect();
        assert_eq!(before, after, "{by:?}");
        let last = "every process of a login of ada has ended";
        assert!(post.events().iter().any(|event| event == last), "{by:?}");
    }
}

#[test]
fn what_hides_behind_a_thread_or_runs_away_by_forking_is_found() {
    // A process whose first thread has ended looks like one that has ended altogether.
    let hidden = "python3 -c 'import ctypes, threading, time; \
        threading.Thread(target=time.sleep, args=(400,)).start(); \
        ctypes.CDLL(None).syscall(60, 0)' & ";
    // And one that is never the same process for long: each forks the next and ends.
    let runner = "python3 -c '\nimport os, time\nend = time.time() + 120\n\
        while time.time() < end:\n  time.sleep(0.001)\n  if os.fork(): os._exit(0)' & ";
    for background in [hidden, runner] {
        let directory = state();
        let post = Post::new(&directory.path().join("sessions"), Settings::default());
        let mut tree = Tree::running(By::Audit, background, Stdio::null());
        post.open(tree.monitor, "ada");
        until("it has begun", || tree.members().len() >= 3);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(post.watch().kill(&Which::All).len(), 1);
        until("the shell ends", || {
            Member::of(tree.monitor.pid).is_none_or(|m| !m.lives)
        });
        tree.reap();
        post.wait_until_empty();
        assert_eq!(tree.members(), [0; 0]);
    }
}

#[test]
fn what_was_left_behind_at_a_logout_is_still_ended() {
    let directory = state();
    let mut post = Post::new(&directory.path().join("sessions"), Settings::default());
    let mut tree = Tree::new(By::Audit);
    post.open(tree.monitor, "ada");
    // The person logs out: the session is closed and its shell ends.
    post.watch().close(tree.monitor);
    let pid = rustix::process::Pid::from_raw(i32::try_from(tree.monitor.pid).unwrap());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    tree.reap();
    until("somebody looks", || {
        post.events().iter().any(|e| e.contains("processes go on"))
    });
    post.restart();
    assert_eq!(post.watch().list()[0].condition, Condition::LeftBehind);
    post.say(withdrawn());
    post.pass(400);
    post.wait_for(Condition::Warned);
    post.pass(60);
    post.wait_until_empty();
    assert_eq!(tree.members(), [0; 0]);
}

#[test]
fn a_session_that_ends_by_itself_is_forgotten() {
    let directory = state();
    let path = directory.path().join("sessions");
    let mut post = Post::new(&path, Settings::default());
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    drop(tree);
    post.wait_until_empty();
    // And one that ended while no daemon was there.
    let tree = Tree::running(By::Audit, "", Stdio::null());
    post.open(tree.monitor, "ada");
    post.watch = None;
    drop(tree);
    post.restart();
    post.wait_until_empty();
    let left: Vec<_> = std::fs::read_dir(&path).unwrap().flatten().collect();
    assert!(
        left.iter().all(|entry| entry.file_name() == "lock"),
        "{left:?}"
    );
}

#[test]
fn a_number_that_is_used_again_belongs_to_a_stranger() {
    let processes = RealProcesses::default();
    let stranger = Tree::new(By::Parents);
    let members = stranger.members();
    let earlier = Process {
        start_time: stranger.monitor.start_time - 1,
        ..stranger.monitor
    };
    assert!(processes.hold(stranger.monitor).is_ok());
    assert!(processes.hold(earlier).is_err());
    for force in [Force::Leave, Force::Ask, Force::Kill, Force::KillAll] {
        let target = Target {
            login: earlier,
            seat: Seat::default(),
            force,
        };
        let left = processes.sweep(&[target]);
        assert!(!left[0].monitor && left[0].others == 0, "{force:?}");
    }
    assert_eq!(stranger.members(), members);
    // A login whose process was gone before its session opened never has one.
    let directory = state();
    let post = Post::new(&directory.path().join("sessions"), Settings::default());
    post.watch().granted(earlier, grant("ada"));
    let answer = post.watch().open(&login(earlier, "ada"), &opened(""));
    assert_eq!(answer.verdict, Verdict::Denied);
    assert_eq!(post.watch().watched(), 0);
}

#[test]
fn who_is_looked_at_twice_at_once_is_seen_twice() {
    let tree = Tree::new(By::Audit);
    let mut seat = Seat::default();
    seat.find_kin(tree.monitor, "", Kill::Auto);
    let target = Target {
        login: tree.monitor,
        seat,
        force: Force::Look,
    };
    let left = RealProcesses::default().sweep(&[target.clone(), target]);
    assert!(
        left.iter().all(|left| left.monitor && left.others == 7),
        "{left:?}"
    );
}

#[test]
fn an_audit_session_that_is_not_the_logins_own_is_not_used() {
    // Whoever started the service shares it with its children: as after `sudo` in a session.
    let outer = Tree::running(By::Audit, "sh -c 'sleep 400 & wait' & ", Stdio::null());
    let inner = outer
        .members()
        .into_iter()
        .find(|pid| Member::of(*pid).is_some_and(|member| member.parent == outer.monitor.pid));
    let mut seat = Seat::default();
    seat.find_kin(Process::of(inner.unwrap()).unwrap(), "", Kill::Auto);
    assert_eq!(seat.audit_session, None);
    seat.find_kin(outer.monitor, "", Kill::Auto);
    assert!(seat.audit_session.is_some());
    seat.find_kin(outer.monitor, "", Kill::Logind);
    let mut seat = Seat::default();
    seat.find_kin(outer.monitor, "", Kill::Logind);
    assert_eq!(seat.audit_session, None);
}

#[test]
fn a_scope_of_logind_is_ended_whole() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let mount = mount.and_then(|line| line.split(' ').nth(4)).unwrap();
    let id = format!("test{}", std::process::id());
    let group = std::path::Path::new(mount).join(format!("session-{id}.scope"));
    std::fs::create_dir(&group).expect("is this root, so that a control group can be made?");
    let join = format!("echo $$ >{}/cgroup.procs; ", group.display());
    let background = format!("{join} (setsid nohup sleep 400 >/dev/null 2>&1 &) ;");
    let mut tree = Tree::running(By::Parents, &background, Stdio::null());
    let mut seat = Seat::default();
    seat.find_kin(tree.monitor, &id, Kill::Auto);
    let scope = seat.scope.clone().unwrap();
    // Shell, its child, and the one that has no parent any more.
    until("all of it has begun", || scope.pids().len() == 3);
    let processes = RealProcesses::default();
    let target = |login, force| Target {
        login,
        seat: seat.clone(),
        force,
    };
    // The monitor never goes before the others, nor by the group as long as it is there: this one ends when
    // nobody is left to wait for.
    processes.sweep(&[target(tree.monitor, Force::Kill)]);
    let status = tree.reap();
    assert_eq!(status.signal(), None, "{status:?}");
    processes.sweep(&[target(tree.monitor, Force::Kill)]);
    until("all of it ends", || scope.pids().is_empty());
    // And one that heeds nothing, not even that nobody is left to wait for, goes last.
    let stubborn = format!("{join} trap '' TERM; trap 'while :; do :; done' EXIT;");
    let mut tree = Tree::running(By::Parents, &stubborn, Stdio::null());
    processes.sweep(&[target(tree.monitor, Force::Leave)]);
    assert!(tree.monitor.is_alive());
    processes.sweep(&[target(tree.monitor, Force::KillAll)]);
    assert_eq!(tree.reap().signal(), Some(9));
    until("all of it ends", || scope.pids().is_empty());
    std::fs::remove_dir(&group).unwrap();
    // Another group of that name is another one.
    std::fs::create_dir(&group).unwrap();
    assert!(!scope.kill());
    std::fs::remove_dir(&group).unwrap();
}

fn pty() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (File::from(master), slave)
}

/// A login whose terminal is `slave`.
fn at_terminal(slave: &OwnedFd) -> Tree {
    // In the background a shell takes the terminal away, unless it is handed over by another number.
    let inner = "exec 3<&0; setsid --ctty sleep 400 <&3 & until [ \"$(ps -o tty= $!)\" != '?' ]; do :; done; ";
    Tree::running(By::Audit, inner, slave.try_clone().unwrap().into())
}

#[test]
fn the_warning_appears_on_the_terminal_and_a_stopped_one_holds_up_nobody() {
    let (mut screen, slave) = pty();
    let (_stopped_screen, stopped) = pty();
    let directory = state();
    let post = Post::new(&directory.path().join("sessions"), Settings::default());
    let trees = [at_terminal(&slave), at_terminal(&stopped)];
    // A terminal that nobody reads and whose buffer is full.
    let mut full = File::from(stopped.try_clone().unwrap());
    rustix::fs::fcntl_setfl(&full, OFlags::NONBLOCK).unwrap();
    while full.write(&[b'x'; 4096]).is_ok() {}
    for tree in &trees {
        post.open(tree.monitor, "ada");
        post.say(withdrawn());
    }
    post.pass(400);
    let mut shown = String::new();
    rustix::fs::fcntl_setfl(&screen, OFlags::NONBLOCK).unwrap();
    until("the screen shows it", || {
        let mut bytes = [0; 512];
        let count = screen.read(&mut bytes).unwrap_or_default();
        shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        shown.contains("Reference: ")
    });
    assert!(
        shown.contains("countersign: access ends in 60 s:"),
        "{shown:?}"
    );
    assert!(shown.contains("the account was disabled"), "{shown:?}");
    assert!(shown.lines().all(|line| line.trim().len() <= 80), "{shown}");
    // The answer about the other one may be a moment later.
    until("both are refused", || {
        let refused = |event: &&String| event.contains("the account was disabled");
        post.events().iter().filter(refused).count() == 2
    });
    post.pass(60);
    until("both end", || {
        trees.iter().all(|tree| tree.members().len() <= 1)
    });
}

#[test]
fn an_administrator_sees_and_ends_sessions_over_a_socket_of_their_own() {
    use std::os::unix::fs::PermissionsExt;
    let directory = state();
    let post = Post::new(&directory.path().join("sessions"), Settings::default());
    let socket = directory.path().join("control.sock");
    let away = control::sessions(&socket).unwrap_err();
    assert!(away.hint().contains("systemctl status"), "{}", away.hint());
    let watch = Arc::clone(post.watch.as_ref().unwrap());
    let reads = [Err("line 2: no".to_owned()), Ok(())].into_iter();
    let reads = std::sync::Mutex::new(reads);
    let reload = Box::new(move || reads.lock().unwrap().next().unwrap());
    let server = control::Control::listen(&socket, watch, reload);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let trees = [Tree::new(By::Audit), Tree::new(By::Audit)];
    post.open(trees[0].monitor, "ada");
    post.open(trees[1].monitor, "grace");
    let listed = control::sessions(&socket).unwrap();
    assert_eq!(listed.len(), 2);
    let text = crate::session::as_table(&listed);
    assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
    assert!(text.contains("192.0.2.7"), "{text}");
    let mut trees = trees;
    let reaper = std::thread::spawn(move || {
        until("ada's end", || {
            Member::of(trees[0].monitor.pid).is_none_or(|m| !m.lives)
        });
        trees[0].reap();
        trees
    });
    let killed = control::kill(&socket, &control::which("ada")).unwrap();
    let trees = reaper.join().unwrap();
    assert_eq!((killed.references.len(), killed.left.len()), (1, 0));
    assert_eq!(trees[0].members(), [0; 0]);
    assert!(trees[1].members().len() >= 7);
    assert_eq!(control::sessions(&socket).unwrap()[0].account, "grace");
    let why = Err("line 2: no".to_owned());
    assert_eq!(control::reload(&socket).unwrap(), why);
    assert_eq!(control::reload(&socket).unwrap(), Ok(()));
    let nobody = control::kill(&socket, &control::which("nobody")).unwrap();
    assert!(nobody.references.is_empty());
    // What is no question is answered, and the next one as well.
    let mut stranger = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stranger
        .write_all(b"{\"kill\":{\"everybody\":1}}\n")
        .unwrap();
    let mut said = String::new();
    stranger.read_to_string(&mut said).unwrap();
    assert_eq!(said, "\"unreadable\"\n");
    assert_eq!(control::sessions(&socket).unwrap().len(), 1);
    drop(server);
    assert!(!socket.exists());
}
