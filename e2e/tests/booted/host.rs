//! A machine after the guide was followed there: what stands in the fences of "Ten minutes" of
//! `docs/ssh.md` is typed and written, in that order, and nothing else.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use countersign_e2e::{Guide, Issuer, Prompt, differing, package, press_enter_until};
use countersign_testkit::{Program, Running, bin, debian};

use crate::machine::Machine;

/// What packages are made for: Debian 12.
pub(crate) const USUAL: &str = "bookworm";
/// OpenSSH 10.6 and systemd 262, or newer.
pub(crate) const NEWEST: &str = "forky";

/// What a command on the other side prints when somebody got in.
pub(crate) const IN: &str = "somebody got in";

/// Typed by whoever made the package, before this.
const ELSEWHERE: &str = "cargo xtask package";
/// Where the guide looks for it.
const PACKAGES: &str = "/root/target/package";

/// A host, its provider, and the key that lies in a safe.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) machine: Machine,
    pub(crate) issuer: Issuer,
    pub(crate) key: PathBuf,
    /// When it had booted, and nothing was done there yet.
    pub(crate) begun: Instant,
    /// `/etc/pam.d/sshd` as Debian ships it.
    pub(crate) shipped: String,
    /// What was typed into the shell of root, and what that said.
    said: Vec<(String, String)>,
}

impl Host {
    /// Boots a machine of this release with accounts for three people, and follows the guide; `more` is added to what it
    /// writes into `pam.toml`.
    pub(crate) fn set_up(release: &str, more: &str) -> Self {
        // Built before the network is that of the machine.
        let package = package();
        bin("countersign-issuer");
        let machine = Machine::boot(&debian(release));
        let begun = Instant::now();
        // Two thirds of their life are the longest time between renewals.
        let issuer = Issuer::start_with(&["--access-token-lifetime", "90"]);
        issuer.administer("user remove ada");
        issuer.add_person("ada", &["--name", "Ada Lovelace", "--group", "engineering"]);
        issuer.add_person("bob", &["--group", "sales"]);
        for account in ["ada", "bob", "deploy"] {
            machine.shell(&format!(
                "useradd --create-home --shell /bin/bash {account}"
            ));
        }
        machine.shell(&format!("mkdir --parents {PACKAGES}"));
        let name = package.file_name().unwrap().to_str().unwrap();
        let there = machine.path(&format!("{PACKAGES}/{name}"));
        fs::copy(&package, there).unwrap();
        let (key, public) = machine.make_key();
        machine.write("/root/emergency.pub", &public);
        if release == NEWEST {
            // Everybody here comes from one address, and many are refused: docs/ssh.md.
            machine.write(
                "/etc/ssh/sshd_config.d/office.conf",
                "PerSourcePenaltyExemptList 127.0.0.0/8\n",
            );
        }
        let shipped = machine.read("/etc/pam.d/sshd");
        let mut host = Self {
            machine,
            issuer,
            key,
            begun,
            shipped,
            said: Vec::new(),
        };
        host.follow(&Guide::read(), more);
        // sshd was told to read its settings again, and is away for a moment.
        host.wait_for("journalctl --unit=ssh --output=cat", |log| {
            let again = log.split_once("SIGHUP; restarting");
            again.is_some_and(|(_, after)| after.contains("Server listening"))
        });
        host
    }

    fn follow(&mut self, guide: &Guide, more: &str) {
        let issuer = format!("issuer = {:?}", self.issuer.issuer());
        let settings = differing(
            guide.only("toml"),
            &[
                ("issuer = \"https://id.example.com\"", &issuer),
                ("account_claim", &format!("{more}account_claim")),
            ],
        );
        for fence in &guide.steps {
            match fence.language.as_str() {
                "toml" => self.machine.write("/etc/countersign/pam.toml", &settings),
                "sshd" => self
                    .machine
                    .write("/etc/ssh/sshd_config.d/countersign.conf", &fence.text),
                "pam" => {
                    let stack = changed(&self.machine.read("/etc/pam.d/sshd"), &fence.text);
                    self.machine.write("/etc/pam.d/sshd", &stack);
                }
                "sh" => {
                    for line in fence.text.lines().filter(|line| *line != ELSEWHERE) {
                        let said = self.types(line);
                        self.said.push((line.to_owned(), said));
                    }
                }
                _ => {}
            }
        }
    }

    /// What is typed, on whichever of the two machines it is.
    fn types(&self, line: &str) -> String {
        if !line.starts_with("countersign-issuer ") {
            return self.machine.shell(line);
        }
        let programs = bin("countersign-issuer");
        let at_provider = Program::new("/bin/sh")
            .args(["-e", "-c", line])
            .env("PATH", programs.parent().unwrap())
            .env("COUNTERSIGN_ISSUER_STATE_DIR", self.issuer.state_dir());
        at_provider.run().expect_code(0).stdout
    }

    /// What was said to the line that has this word.
    pub(crate) fn said_to(&self, word: &str) -> &str {
        let mut lines = self.said.iter();
        let found = lines.find(|(line, _)| line.contains(word));
        &found.unwrap().1
    }

    /// A person signs in to an account, and `words` come.
    pub(crate) fn sign_in(
        &self,
        person: &str,
        account: &str,
        command: &str,
        words: &str,
    ) -> Running {
        let client = self.machine.client(account, &["RequestTTY=force"], command);
        let client = client.start();
        let asked = client.wait_for_stdout(Prompt::read);
        self.issuer.approve_typed(person, &asked);
        press_enter_until(&client, words);
        client
    }

    /// Whether somebody gets in, with the key from the safe or without.
    pub(crate) fn lets_in(&self, account: &str, has_key: bool) -> bool {
        let key = format!("IdentityFile={}", self.key.display());
        let options: &[&str] = if has_key { &[&key] } else { &[] };
        let client = self.machine.client(account, options, &format!("echo {IN}"));
        let finished = client.run();
        let is_in = finished.stdout.contains(IN);
        assert_eq!(
            finished.code(),
            Some(if is_in { 0 } else { 255 }),
            "{finished:?}"
        );
        is_in
    }

    /// Waits for what root is shown; how long that took.
    pub(crate) fn wait_for(&self, command: &str, holds: impl Fn(&str) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            let shown = self.machine.run(command).stdout;
            if holds(&shown) {
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < crate::machine::PATIENCE,
                "{command}: {shown}\n{}",
                self.machine.journal()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One of the three places of the stack, where the guide says that it is changed.
fn changed(stack: &str, fence: &str) -> String {
    let (line, now) = match fence.split_whitespace().next() {
        Some("auth") => ("@include common-auth\n", fence.to_owned()),
        Some("account") => {
            let line = "@include common-account\n";
            (line, format!("{fence}{line}"))
        }
        Some("session") => {
            let line = "@include common-session\n";
            (line, format!("{line}{fence}"))
        }
        other => panic!("nothing is said about {other:?}"),
    };
    differing(stack, &[(line, &now)])
}
