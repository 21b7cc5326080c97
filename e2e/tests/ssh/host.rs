//! A host that people sign in to: sshd, its PAM stack, and the daemon, each started for one test.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use countersign_e2e::{Prompt, start_daemon};
use countersign_testkit::{Finished, Program, Release, Running, Signal, Sshd, bin, pam_module};
use tempfile::TempDir;

/// Nothing here takes so long on a machine that has anything to do it with.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command on the other side prints when somebody got in.
pub(crate) const IN: &str = "somebody got in";

/// A command that does.
pub(crate) const COMMAND: &str = "echo somebody got in";

/// The account that can sign in: that of whoever runs the test.
pub(crate) fn account() -> String {
    let shown = Program::new("id").arg("-un").run().expect_code(0);
    shown.stdout.trim().to_owned()
}

/// A host. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Host {
    // Before the daemon, so that no login outlives what watches it.
    pub(crate) sshd: Sshd,
    daemon: Option<Running>,
    home: TempDir,
    /// Lies in memory, as `/run` does: refresh tokens are written nowhere else.
    memory: TempDir,
}

impl Host {
    /// A host whose people sign in at this issuer; `config` stands below the issuer in `pam.toml`.
    pub(crate) fn start(issuer: &str, config: &str) -> Self {
        Self::start_with(issuer, config, &[])
    }

    /// The same, with options of sshd.
    pub(crate) fn start_with(issuer: &str, config: &str, options: &[&str]) -> Self {
        Self::start_of(Release::Installed, issuer, config, options)
    }

    /// The same, with the OpenSSH of either release.
    pub(crate) fn start_of(release: Release, issuer: &str, config: &str, options: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let head = format!(
            "issuer = {issuer:?}\nclient_id = \"ssh\"\nworker_user = \"nobody\"\n\
             services = [\"sshd-under-test\"]\nmin_uid = 0\nallow_root = true\n"
        );
        fs::write(home.path().join("pam.toml"), head + config).unwrap();
        let module = pam_module();
        let socket = home.path().join("pam.sock");
        let rest = format!("{} socket={}", module.display(), socket.display());
        let stack = format!(
            "auth [success=done default=die] {rest}\naccount required {rest}\n{LOGINUID}session required {rest}\n"
        );
        let mut host = Self {
            sshd: Sshd::start_of(release, None, &stack, options),
            daemon: None,
            home,
            memory: tempfile::tempdir_in("/dev/shm").unwrap(),
        };
        host.start_daemon();
        host
    }

    /// Starts the daemon, again after `end_daemon`.
    pub(crate) fn start_daemon(&mut self) {
        let state = self.memory.path().join("sessions");
        self.daemon = Some(start_daemon(self.home.path(), &state, |program| program));
    }

    /// Ends the daemon alone, in this way.
    pub(crate) fn end_daemon(&mut self, signal: Signal) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.signal(signal);
        daemon.finish();
    }

    /// Runs an administrator's command.
    pub(crate) fn countersign_pamd(&self, command: &str) -> Finished {
        Program::new(bin("countersign-pamd"))
            .args(command.split_whitespace())
            .arg("--control")
            .arg(self.at("control.sock"))
            .run()
    }

    /// The processes that sshd has for its logins now.
    pub(crate) fn logins(&self) -> Vec<u32> {
        below(self.sshd.id())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What the daemon that runs now has written to the journal.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().unwrap().stderr()
    }

    /// Waits for a line of the journal that has all of this.
    pub(crate) fn logged(&self, parts: &[&str]) -> String {
        let mut found = None;
        self.wait_until(&format!("the journal has {parts:?}"), || {
            let log = self.log();
            let line = log
                .lines()
                .find(|line| parts.iter().all(|part| line.contains(part)));
            found = line.map(str::to_owned);
            found.is_some()
        });
        found.unwrap()
    }

    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}\n--- daemon\n{}\n--- sshd\n{}",
                self.log(),
                self.sshd.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A client at a terminal whose prompt is there.
    pub(crate) fn client(&self, options: &[&str], command: &str) -> (Running, Prompt) {
        let client = self.sshd.client(options, command);
        let client = client.limit(Duration::from_secs(300)).start();
        let prompt = client.wait_for_stdout(Prompt::read);
        (client, prompt)
    }

    /// How it ended for somebody who got in.
    #[track_caller]
    pub(crate) fn got_in(&self, finished: &Finished) {
        let shown = finished.stdout.contains(IN);
        assert!(
            finished.code() == Some(0) && shown,
            "{finished:?}\n--- daemon\n{}\n--- sshd\n{}",
            self.log(),
            self.sshd.log()
        );
    }

    /// How it ended for somebody who did not.
    #[track_caller]
    pub(crate) fn stayed_out(&self, finished: &Finished) {
        let shown = finished.stdout.contains(IN);
        assert!(
            finished.code() == Some(255) && !shown,
            "{finished:?}\n--- daemon\n{}\n--- sshd\n{}",
            self.log(),
            self.sshd.log()
        );
        assert!(!self.log().contains("granted"), "{}", self.log());
        assert!(self.sshd.is_alive());
    }
}

/// Starts an audit session, by which the processes of a login are known however they detach.
const LOGINUID: &str = "session optional pam_loginuid.so\n";

/// The children of a process, and theirs.
pub(crate) fn below(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut above = vec![pid];
    while let Some(pid) = above.pop() {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        for pid in children {
            found.push(pid);
            above.push(pid);
        }
    }
    found
}
