//! `docs/ssh.md`, followed to the letter: what stands in the fences of "Ten minutes" is what is typed,
//! written and compared here, on a host with a real sshd, its PAM stack as Debian ships it, the module, the
//! daemon, and the real issuer. What has to differ is in the lists below and nowhere else.
//!
//! `sudo` does the same for `docs/ssh-sudo.md`.
//!
//! Not responsible for the package (`package`), nor for what `doctor` finds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod sudo;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use countersign_e2e::{Guide, Issuer, Prompt, differing, press_enter_until, start_daemon};
use countersign_testkit::{Program, Release, Running, Sshd, bin, pam_module};
use tempfile::TempDir;

/// What a command on the other side prints when somebody got in.
const IN: &str = "somebody got in";
/// Nothing here takes so long on a machine that has anything to do it with.
const PATIENCE: Duration = Duration::from_secs(90);

/// Lines for a shell that are shown elsewhere: by the tests of the package and of the doctor. The service
/// manager is not in a sandbox.
const ELSEWHERE: &[&str] = &[
    "cargo xtask package",
    "apt-get install ./target/package/countersign-pamd_*.deb",
    "countersign-pamd doctor       # looks at all of this, and at the provider",
    "systemctl reload ssh",
];

/// What the lines for a shell say, and what is typed here: files have other places.
const TYPED: &[(&str, &str)] = &[
    (
        "countersign-pamd check",
        "countersign-pamd check --config pam.toml",
    ),
    (
        "policy test ada -",
        "policy test ada - --config pam.toml --service sshd-under-test",
    ),
];

/// What Debian's stack has, and what it has here: an account of an audit session cannot be set twice, and
/// whoever runs the tests may have one.
const STACK: &[(&str, &str)] = &[(
    "session    required     pam_loginuid.so",
    "session    optional     pam_loginuid.so",
)];

/// A host on which an administrator follows the guide.
struct Host {
    home: TempDir,
    issuer: Issuer,
    is_root: bool,
}

impl Host {
    /// A host with accounts for three people, and their provider.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // sshd looks for keys with the rights of their owner.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let is_root = output(Program::new("id").arg("-u")).trim() == "0";
        let host = Self {
            home,
            issuer: Issuer::start(),
            is_root,
        };
        for file in ["passwd", "group"] {
            fs::copy(Path::new("/etc").join(file), host.at(file)).unwrap();
        }
        fs::create_dir(host.at("bin")).unwrap();
        for program in ["countersign-issuer", "countersign-pamd"] {
            symlink(bin(program), host.at("bin").join(program)).unwrap();
        }
        // In the tables of this host, and in no others.
        let stand_in = host.at("bin/useradd");
        fs::write(&stand_in, USERADD).unwrap();
        fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
        for account in ["_countersign", "ada", "bob", "deploy"] {
            host.shell(&format!(
                "useradd --create-home --shell /bin/bash {account}"
            ));
        }
        host.shell("countersign-issuer user remove ada");
        let ada = ["--name", "Ada Lovelace", "--group", "engineering"];
        host.issuer.add_person("ada", &ada);
        host.issuer.add_person("bob", &["--group", "sales"]);
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What an administrator types, and what they see.
    fn shell(&self, line: &str) -> String {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.at("bin").display());
        let program = Program::new("sh")
            .args(["-e", "-c", line])
            .env("PATH", path)
            .env("COUNTERSIGN_ISSUER_STATE_DIR", self.issuer.state_dir());
        output(self.among_accounts(program).dir(self.home.path()))
    }

    /// A program that sees the accounts of this host.
    fn among_accounts(&self, program: Program) -> Program {
        program
            .env("LD_PRELOAD", "libnss_wrapper.so")
            .env("NSS_WRAPPER_PASSWD", self.at("passwd"))
            .env("NSS_WRAPPER_GROUP", self.at("group"))
            // Each account has a number of its own where that is possible.
            .env("OWN_NUMBERS", if self.is_root { "yes" } else { "" })
    }

    fn number_of(&self, account: &str) -> String {
        self.shell(&format!("id -u {account}")).trim().to_owned()
    }

    /// Its sshd, once the guide was followed.
    fn sshd(&self, release: Release, guide: &Guide) -> Sshd {
        let (module, socket) = (pam_module(), self.at("pam.sock"));
        let module = format!("{} socket={}", module.display(), socket.display());
        let settings = self.at("countersign.conf");
        let options = [
            // First, as in Debian's sshd_config; then what sshd does unless it is told otherwise.
            &format!("Include {}", settings.display()),
            "AuthorizedKeysFile .ssh/authorized_keys",
            "StrictModes yes",
            "PubkeyAuthentication yes",
        ];
        Sshd::start_of(
            release,
            Some(self.home.path()),
            &stack(guide, &module),
            &options,
        )
    }

    fn daemon(&self) -> Running {
        start_daemon(self.home.path(), &self.at("sessions"), |program| {
            self.among_accounts(program)
        })
    }
}

/// The lines of the tables that useradd(8) would write.
const USERADD: &str = r#"#!/bin/sh -e
[ "$1 $2 $3 $#" = "--create-home --shell /bin/bash 4" ]
uid=$(id -u) gid=$(id -g)
[ -z "$OWN_NUMBERS" ] || { uid=$((60000 + $(wc -l <passwd))); gid=$uid; }
echo "$4:*:$uid:$gid::$PWD/home/$4:/bin/bash" >>passwd
echo "$4:*:$gid:" >>group
mkdir -p "home/$4"
chown "$uid:$gid" "home/$4"
"#;

fn output(program: Program) -> String {
    program.limit(PATIENCE).run().expect_code(0).stdout
}

/// The stack of sshd as Debian ships it, with those that it includes, and what the guide changes in it.
fn stack(guide: &Guide, module: &str) -> String {
    let shipped = fs::read_to_string("/etc/pam.d/sshd").unwrap();
    let shipped = differing(&shipped, STACK);
    let [auth, account, session] = guide.all("pam")[..] else {
        panic!("three places of the stack")
    };
    let changed = differing(
        &shipped,
        &[
            ("@include common-auth\n", auth),
            (
                "@include common-account\n",
                &format!("{account}@include common-account\n"),
            ),
            (
                "@include common-session\n",
                &format!("@include common-session\n{session}"),
            ),
        ],
    );
    let mut whole = String::new();
    for line in changed.lines() {
        match line.strip_prefix("@include ") {
            Some(name) => {
                whole += &fs::read_to_string(Path::new("/etc/pam.d").join(name.trim())).unwrap();
            }
            None => writeln!(whole, "{line}").unwrap(),
        }
    }
    whole.replace("pam_countersign.so", module)
}

/// A transcript without what is different each time.
fn settled(shown: &str) -> String {
    let mut out = String::new();
    let is_drawing = |line: &str| !line.is_empty() && line.chars().all(|c| "█▀▄ ".contains(c));
    let mut was_drawing = false;
    for line in shown.lines() {
        let line = line.trim_matches('\r');
        let drawing = is_drawing(line);
        let line = line.trim_end();
        if drawing && !was_drawing {
            out += "  (a QR code of the address)\n";
        } else if !drawing {
            match line.split_once("(expires in 1:") {
                Some((before, _)) => writeln!(out, "{before}(expires in 1:50):").unwrap(),
                None => writeln!(out, "{line}").unwrap(),
            }
        }
        was_drawing = drawing;
    }
    out
}

/// The key that lies in a safe.
fn make_key(path: &Path) {
    output(
        Program::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(path),
    );
}

/// Writes and types what the steps say, and compares what was said to it.
fn follow(guide: &Guide, host: &Host) {
    // sshd names its service after its program here.
    let issuer = format!(
        "services = [\"sshd-under-test\"]\nissuer = {:?}",
        host.issuer.issuer()
    );
    let settings = differing(
        guide.only("toml"),
        &[("issuer = \"https://id.example.com\"", &issuer)],
    );
    let mut said = Vec::new();
    for fence in &guide.steps {
        match fence.language.as_str() {
            "toml" => fs::write(host.at("pam.toml"), &settings).unwrap(),
            "sshd" => fs::write(host.at("countersign.conf"), &fence.text).unwrap(),
            "sh" => {
                let lines = fence.text.lines();
                for line in lines.filter(|line| !ELSEWHERE.contains(line)) {
                    let typed = TYPED
                        .iter()
                        .fold(line.to_owned(), |line, (from, to)| line.replace(from, to));
                    said.push((line, host.shell(&typed)));
                }
            }
            _ => {}
        }
    }
    let said_of = |word: &str| {
        let found = said.iter().find(|(line, _)| line.contains(word));
        found.unwrap().1.as_str()
    };
    let expected = differing(
        guide.only(""),
        &[
            ("1001", &host.number_of("ada")),
            ("service  sshd", "service  sshd-under-test"),
        ],
    );
    assert_eq!(said_of("policy test"), expected);
    let checked = said_of("pamd check");
    assert!(
        checked.contains("warning: whoever can change the claim preferred_username"),
        "{checked}"
    );
    assert_eq!(checked.matches("warning:").count(), 1, "{checked}");
}

/// Compares what somebody saw with what the guide shows.
fn compare(guide: &Guide, host: &Host, code: &str, shown: &str) {
    let reference = shown.split_once("(reference ").unwrap().1;
    let name = output(Program::new("uname").arg("-n"));
    let (_, transcript) = guide.transcript.split_once('\n').unwrap();
    let expected = differing(
        transcript,
        &[
            ("(ada@build-7)", "(ada@127.0.0.1)"),
            ("to build-7 as", &format!("to {} as", name.trim())),
            ("192.0.2.7", "127.0.0.1"),
            ("KMPRTX", &reference[..6]),
        ],
    );
    let expected = expected
        .replace("https://id.example.com", host.issuer.issuer())
        .replace("WDJB-MJHT", code);
    // Enter was perhaps pressed before the daemon had heard of the approval.
    let shown: Vec<&str> = shown
        .trim_end()
        .lines()
        .filter(|line| !line.starts_with("(ada@127.0.0.1) Not approved yet"))
        .collect();
    assert_eq!(shown, expected.lines().collect::<Vec<_>>());
}

#[test]
fn from_nothing_to_a_host_with_a_way_in_for_emergencies() {
    thread::scope(|scope| {
        for release in Release::BOTH {
            scope.spawn(move || leads_there(release));
        }
    });
}

fn leads_there(release: Release) {
    let guide = Guide::read();
    let host = Host::new();
    let key = host.at("emergency");
    make_key(&key);
    follow(&guide, &host);
    let sshd = host.sshd(release, &guide);
    let daemon = host.daemon();
    let logs = || format!("{}\n{}", daemon.stderr(), sshd.log());

    // A person gets in, and sees what the guide shows.
    let client = sshd.client(&["User=ada"], &format!("echo {IN}; id -u"));
    let client = client.start();
    let asked = client.wait_for_stdout(Prompt::read);
    let page = host.issuer.approve_typed("ada", &asked);
    assert!(page.text().contains("SSH to production"), "{}", page.text());
    press_enter_until(&client, IN);
    let finished = client.finish();
    assert_eq!(finished.code(), Some(0), "{finished:?}\n{}", logs());
    let shown = settled(&finished.stdout);
    let (shown, inside) = shown.split_once(IN).unwrap();
    assert_eq!(inside.trim(), host.number_of("ada"));
    compare(&guide, &host, &asked.code, shown);

    // People outside of the rules do not: in their own account, and in one of a rule that is not theirs.
    let echo = format!("echo {IN}");
    for (person, account) in [("bob", "bob"), ("ada", "deploy")] {
        let client = sshd.client(&[&format!("User={account}")], &echo).start();
        let asked = client.wait_for_stdout(Prompt::read);
        host.issuer.approve_typed(person, &asked);
        press_enter_until(&client, "may not use");
        let finished = client.finish();
        assert_eq!(finished.code(), Some(255), "{finished:?}\n{}", logs());
        assert!(!finished.stdout.contains(IN), "{finished:?}");
    }

    // With daemon and provider away nobody signs in, and the key from the safe opens its account alone.
    drop(daemon);
    drop(host.issuer);
    let key = format!("IdentityFile={}", key.display());
    for (account, options, code) in [
        ("ada", vec![], 255),
        ("ada", vec![key.as_str()], 255),
        ("deploy", vec![&key], 255),
        ("emergency", vec![], 255),
        ("emergency", vec![&key], 0),
    ] {
        let user = format!("User={account}");
        let options = [vec![user.as_str()], options].concat();
        let finished = sshd.client(&options, &echo).run();
        let shown = finished.stdout.contains(IN);
        assert_eq!(
            (finished.code(), shown),
            (Some(code), code == 0),
            "{options:?} {finished:?}\n{}",
            sshd.log()
        );
    }
}
