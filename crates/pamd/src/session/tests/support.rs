//! A login tree, a clock that can be moved, and somebody who answers renewals.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_client::{Secret, Timestamp};

use crate::audit::tests::Kept;
use crate::session::kin;
use crate::session::moment::{Moment, Moments, SystemMoments};
use crate::session::settings::Settings;
use crate::session::sweep::{Processes, RealProcesses};
use crate::session::{Condition, Listed, Watch, Watching};
use crate::{
    Answer, Grant, Login, Opened, Process, RefreshToken, Renewed, Renewer, Sessions, Unused,
    Verdict,
};

/// The machine is loaded, and nothing here is measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// The system's clocks, some time later.
#[derive(Debug, Default)]
pub(super) struct Later(AtomicU64);

impl Later {
    pub(super) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Moments for Later {
    fn now(&self) -> Moment {
        let later = Duration::from_secs(self.0.load(Ordering::SeqCst));
        let now = SystemMoments.now();
        Moment {
            boot: now.boot + later,
            wall: now.wall + later,
        }
    }
}

/// Answers renewals as it was told; when it was told nothing, all goes on.
#[derive(Debug, Default)]
pub(super) struct Script(pub(super) Mutex<VecDeque<Renewed>>);

impl Renewer for Script {
    fn give_back(&self, _: Unused) {}

    fn renew(&self, grant: &Grant) -> Renewed {
        let next = self.0.lock().unwrap().pop_front();
        next.unwrap_or_else(|| {
            let mut grant = grant.clone();
            grant.refresh = Some(RefreshToken::new(Secret::new("the next token")));
            Renewed::Still(Box::new(grant))
        })
    }
}

/// A watch and what is around it.
pub(super) struct Post {
    pub(super) later: Arc<Later>,
    pub(super) script: Arc<Script>,
    pub(super) audit: Arc<Kept>,
    pub(super) directory: PathBuf,
    settings: Settings,
    processes: Arc<dyn Processes>,
    pub(super) watch: Option<Arc<Watch>>,
}

impl Post {
    pub(super) fn new(directory: &Path, settings: Settings) -> Self {
        Self::over(directory, settings, Arc::new(RealProcesses::default()))
    }

    pub(super) fn over(
        directory: &Path,
        settings: Settings,
        processes: Arc<dyn Processes>,
    ) -> Self {
        let mut post = Self {
            later: Arc::default(),
            script: Arc::default(),
            audit: Arc::default(),
            directory: directory.to_owned(),
            settings,
            processes,
            watch: None,
        };
        post.start();
        post
    }

    fn start(&mut self) {
        let watching = Watching {
            settings: self.settings.clone(),
            directory: self.directory.clone(),
            renewer: Arc::clone(&self.script) as _,
            audit: Arc::clone(&self.audit) as _,
        };
        let later = Arc::clone(&self.later);
        let watch = Watch::start_with(watching, later, Arc::clone(&self.processes));
        self.watch = Some(Arc::new(watch.unwrap()));
    }

    /// The daemon ends and another one takes its place.
    pub(super) fn restart(&mut self) {
        self.watch = None;
        self.start();
    }

    pub(super) fn watch(&self) -> &Watch {
        self.watch.as_ref().unwrap()
    }

    /// Lets time pass; the watch notices.
    pub(super) fn pass(&self, seconds: u64) {
        self.later.pass(seconds);
        // Whoever comes by wakes it.
        self.watch().close(process_of_nobody());
    }

    pub(super) fn say(&self, renewed: Renewed) {
        self.script.0.lock().unwrap().push_back(renewed);
    }

    /// Signs somebody in on this process, and opens a session.
    pub(super) fn open(&self, monitor: Process, account: &str) {
        self.watch().granted(monitor, grant(account));
        let login = login(monitor, account);
        assert_eq!(self.watch().account(&login).verdict, Verdict::Success);
        let answer: Answer = self.watch().open(&login, &opened(""));
        assert_eq!(answer.verdict, Verdict::Success, "{answer:?}");
        assert!(answer.reference.is_some());
    }

    pub(super) fn wait_until_empty(&self) {
        let what = || {
            format!(
                "nothing is watched: {:?} {:?}",
                self.watch().list(),
                self.events()
            )
        };
        until_or(what, || self.watch().watched() == 0);
    }

    /// Waits until some login is in this condition.
    pub(super) fn wait_for(&self, condition: Condition) {
        let what = || {
            format!(
                "{condition:?}: {:?} {:?}",
                self.watch().list(),
                self.events()
            )
        };
        let holds = |row: &Listed| row.condition == condition;
        until_or(what, || self.watch().list().iter().any(holds));
    }

    pub(super) fn events(&self) -> Vec<String> {
        let events = self.audit.0.lock().unwrap();
        events.iter().map(|event| event.message.clone()).collect()
    }
}

pub(super) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_or(|| what.to_owned(), holds);
}

fn until_or(what: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {}", what());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn process_of_nobody() -> Process {
    Process {
        pid: 3_999_999,
        start_time: 1,
    }
}

pub(super) fn login(monitor: Process, account: &str) -> Login {
    Login {
        service: "sshd".to_owned(),
        user: account.to_owned(),
        rhost: "192.0.2.7".to_owned(),
        tty: "ssh".to_owned(),
        ssh_connection: String::new(),
        auth_info: String::new(),
        monitor,
    }
}

pub(super) fn opened(xdg_session: &str) -> Opened {
    Opened {
        audit_session: u32::MAX,
        xdg_session: xdg_session.to_owned(),
    }
}

pub(super) fn grant(account: &str) -> Grant {
    let now = SystemMoments.now().wall;
    Grant {
        issuer: "https://id.example".to_owned(),
        subject: format!("subject of {account}"),
        name: "Ada Lovelace".to_owned(),
        sign_in: crate::SignIn::default(),
        account: account.to_owned(),
        rule: "staff".to_owned(),
        service: "sshd".to_owned(),
        rhost: "192.0.2.7".to_owned(),
        reference: crate::Reference::random(),
        granted_at: now,
        max_session: Duration::from_secs(12 * 3600),
        access_expires: Some(Timestamp::from_secs(now.as_secs() + 600)),
        refresh: Some(RefreshToken::new(Secret::new("canary-refresh-token"))),
    }
}

pub(super) fn withdrawn() -> Renewed {
    Renewed::Withdrawn {
        why: "the account was disabled".to_owned(),
        refresh: None,
    }
}

/// By what the processes of a login are known in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The kernel's audit session.
    Audit,
    /// Nothing but parents.
    Parents,
}

/// What people leave in the background, and a shell that waits for its end. Each is a process of its
/// own; `sleep` under several names would be the same program, so its argument tells the login.
const LEFT: &str = "sleep 400 & nohup sleep 400 >/dev/null 2>&1 & setsid sleep 400 & \
    setsid sh -c 'trap \"\" TERM HUP INT; sleep 400 & wait; sleep 400' & ";
/// One whose parent is gone, which only an audit session finds.
const ORPHAN: &str = "(setsid nohup sleep 400 >/dev/null 2>&1 &) ; ";

/// A login: a shell and what it has started.
pub(super) struct Tree {
    child: Child,
    pub(super) monitor: Process,
    audit: Option<u32>,
}

impl Tree {
    /// A login with everything in the background that people think of.
    pub(super) fn new(by: By) -> Self {
        let (background, count) = match by {
            By::Audit => (format!("{ORPHAN}{LEFT}"), 8),
            By::Parents => (LEFT.to_owned(), 7),
        };
        let tree = Self::running(by, &background, Stdio::null());
        until("all of it has begun", || tree.members().len() == count);
        tree
    }

    /// A login that runs `background` and waits.
    pub(super) fn running(by: By, background: &str, stdin: Stdio) -> Self {
        let start = match by {
            // What pam_loginuid does.
            By::Audit => "echo 4242 >/proc/self/loginuid || exit 9; ",
            By::Parents => "",
        };
        let script = format!("{start}{background} echo ready; sleep 400 & wait");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        assert_eq!(
            line, "ready\n",
            "is this root, so that loginuid can be set?"
        );
        let monitor = Process::of(child.id()).unwrap();
        let audit = match by {
            By::Audit => Some(kin::audit_session(monitor.pid).unwrap()),
            By::Parents => None,
        };
        Self {
            child,
            monitor,
            audit,
        }
    }

    /// The processes of it that live.
    pub(super) fn members(&self) -> Vec<u32> {
        let own = |pid: &u32| match self.audit {
            Some(id) => kin::audit_session(*pid) == Some(id),
            // Once it is reaped its number is somebody else's.
            None => self.monitor.is_alive() && is_below(*pid, self.monitor.pid),
        };
        let lives = |pid: &u32| kin::Member::of(*pid).is_some_and(|member| member.lives);
        kin::pids()
            .unwrap()
            .into_iter()
            .filter(own)
            .filter(lives)
            .collect()
    }

    /// Reaps the shell, as sshd would.
    pub(super) fn reap(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

fn is_below(pid: u32, above: u32) -> bool {
    let mut pid = pid;
    while pid > 1 {
        if pid == above {
            return true;
        }
        pid = kin::Member::of(pid).map_or(0, |member| member.parent);
    }
    false
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A shell may be about to start one more.
        let begin = Instant::now();
        let members = || Some(self.members()).filter(|_| begin.elapsed() < PATIENCE);
        for pid in std::iter::from_fn(|| members().filter(|m| !m.is_empty())).flatten() {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        self.reap();
    }
}
