//! A machine that is booted for one test: Debian's own systemd, logind and sshd on its own loopback.
//!
//! The thread of the test moves into the network of the machine, so that the provider and the browsers that
//! it starts from then on are at the machine's 127.0.0.1, and nobody else's.
//!
//! Not responsible for what an administrator does there.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_testkit::{Finished, Program, Running, at_terminal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// Nothing here takes so long on a machine that has anything to do it with.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// The longest that a machine is there.
const LIFE: Duration = Duration::from_secs(400);
/// How often what is waited for is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// A machine. It is switched off when dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    power: Running,
    init: u32,
    home: TempDir,
}

impl Machine {
    /// Boots, and waits until everything has started that starts by itself.
    pub(crate) fn boot(tree: &Path) -> Self {
        let user = Program::new("id").arg("-u").run().expect_code(0).stdout;
        assert_eq!(
            user.trim(),
            "0",
            "a machine is booted by root alone: run this test with sudo"
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/booted/boot.sh");
        // A session of its own: whatever ends the test has it read the end of its input, and tidy up.
        let power = Program::new("setsid")
            .args(["--wait", "sh", "-e"])
            .args([&script, tree])
            .listening()
            .limit(LIFE)
            .start();
        let below: u32 = power.wait_for_stdout(|said| {
            let number = said.strip_prefix("below=")?.strip_suffix('\n')?;
            number.parse().ok()
        });
        let mut machine = Self {
            power,
            init: 0,
            home: tempfile::tempdir().unwrap(),
        };
        machine.wait_until("systemd starts", |machine| {
            assert!(
                !machine.power.stderr().contains("mount"),
                "{}",
                machine.power.stderr()
            );
            let children = fs::read_to_string(format!("/proc/{below}/task/{below}/children"));
            let init = children.ok().and_then(|list| list.trim().parse().ok());
            machine.init = init.unwrap_or_default();
            fs::read_to_string(format!("/proc/{}/comm", machine.init))
                .is_ok_and(|name| name.trim() == "systemd")
        });
        machine.wait_until("the machine has booted", |machine| {
            let state = machine.run("systemctl is-system-running --wait").stdout;
            let failed = || machine.shell("systemctl --failed; journalctl --boot");
            assert_ne!(state.trim(), "degraded", "{}", failed());
            state.trim() == "running"
        });
        let network = File::open(format!("/proc/{}/ns/net", machine.init)).unwrap();
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let host_key = fs::read_to_string(tree.join("etc/ssh/ssh_host_ed25519_key.pub")).unwrap();
        fs::write(machine.known_hosts(), format!("127.0.0.1 {host_key}")).unwrap();
        machine
    }

    /// Where one of its files is for the test.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{file}", self.init))
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Writes one of its files; its directory has to be there.
    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// What root types, in root's home.
    pub(crate) fn run(&self, line: &str) -> Finished {
        Program::new("nsenter")
            .args(["--all", "--target", &self.init.to_string(), "--"])
            .args(["sh", "-e", "-c", &format!("cd /root\n{line}")])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .limit(PATIENCE)
            .run()
    }

    /// The same where it has to work; what was shown.
    pub(crate) fn shell(&self, line: &str) -> String {
        let finished = self.run(line);
        assert_eq!(finished.code(), Some(0), "{line}: {finished:?}");
        finished.stdout
    }

    /// Its journal.
    pub(crate) fn journal(&self) -> String {
        self.shell("journalctl --no-pager --boot --output=short-precise")
    }

    /// Somebody at a terminal who signs in to it, and types the command there.
    pub(crate) fn client(&self, account: &str, options: &[&str], command: &str) -> Program {
        let known = format!("UserKnownHostsFile={}", self.known_hosts().display());
        let own = [
            known.as_str(),
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        ];
        let mut words = vec!["ssh".to_owned(), "-F".to_owned(), "/dev/null".to_owned()];
        for option in options.iter().chain(&own) {
            words.extend(["-o".to_owned(), (*option).to_owned()]);
        }
        words.extend([format!("{account}@127.0.0.1"), command.to_owned()]);
        at_terminal(&words).limit(LIFE)
    }

    fn known_hosts(&self) -> PathBuf {
        self.home.path().join("known_hosts")
    }

    /// A new key in a file of the test, and its public half.
    pub(crate) fn make_key(&self) -> (PathBuf, String) {
        let key = self.home.path().join("key");
        Program::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&key)
            .run()
            .expect_code(0);
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        (key, public)
    }

    pub(crate) fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}\n{}",
                self.power.stderr()
            );
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let begun = Instant::now();
        if !self.power.has_ended() {
            self.power.tell("off");
        }
        while !self.power.has_ended() && begun.elapsed() < PATIENCE {
            std::thread::sleep(GLANCE);
        }
    }
}
