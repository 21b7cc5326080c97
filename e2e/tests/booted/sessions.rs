//! Sessions whose people's access ends, on a host where logind and systemd are real: nothing of them is left
//! then, and nothing else ends them, whatever becomes of the daemon and its package.

use std::fs;
use std::time::{Duration, Instant};

use countersign_testkit::{Program, Running, show};
use serde_json::Value;

use crate::host::{Host, NEWEST, USUAL};

/// How soon a withdrawal is noticed, and how long before its end a session is warned.
const RENEWAL: Duration = Duration::from_secs(5);
const WARNING: Duration = Duration::from_secs(3);
const PERIODS: &str = "renew_every = \"5s\"\nwarning = \"3s\"\n";
/// Until what was told to end has ended.
const ENDING: Duration = Duration::from_secs(2);
/// What a busy machine may add. Three of them are waited for: the issuer's command, the question to it,
/// and the sweep.
const BUSY: Duration = Duration::from_secs(10);

/// The shortest end that a rule can have.
const LONGEST: Duration = Duration::from_secs(60);
/// What a terminal shows before its session ends.
const WARNED: &str = "countersign: access ends in";

/// Starts what does not end with its terminal, in all the ways there are.
const COMMAND: &str = "\
nohup sleep 3001 >/dev/null 2>&1 & \
setsid sleep 3002 </dev/null >/dev/null 2>&1 & \
(setsid sh -c 'sleep 3003 </dev/null >/dev/null 2>&1 &'); \
echo all started; \
while read -r line; do echo heard $line; done";

/// Their processes, the shell, and what sshd runs with their rights.
const THEIRS: &str = "pgrep --uid ada --list-full || :";

/// Somebody who is logged in.
struct Session<'host> {
    host: &'host Host,
    client: Running,
}

impl<'host> Session<'host> {
    fn start(host: &'host Host) -> Self {
        let client = host.sign_in("ada", "ada", COMMAND, "all started");
        let session = Self { host, client };
        session.goes_on("first");
        session
    }

    /// The session goes on: what is typed arrives, and all that it started is there.
    fn goes_on(&self, word: &str) {
        self.client.tell(word);
        let heard = format!("heard {word}");
        self.client
            .wait_for_stdout(|shown| shown.contains(&heard).then_some(()));
        let theirs = self.host.machine.shell(THEIRS);
        for started in ["sleep 3001", "sleep 3002", "sleep 3003"] {
            assert!(theirs.contains(started), "{theirs}");
        }
    }

    /// Waits until nothing is left of it, and its terminal has shown this; how long that took.
    fn ends(self, shown: &str) -> Duration {
        let begun = Instant::now();
        self.host
            .wait_for(THEIRS, |theirs| !theirs.contains("sleep"));
        let finished = self.client.finish();
        let took = begun.elapsed();
        assert_ne!(finished.code(), Some(0));
        assert!(finished.stdout.contains(shown), "{}", finished.stdout);
        // logind has let go of it too.
        self.host
            .wait_for("loginctl --no-legend", |sessions| !sessions.contains("ada"));
        took
    }
}

/// The one session of this account that logind knows.
fn logind_session(host: &Host) -> String {
    let listed = host.machine.shell("loginctl list-sessions --no-legend");
    // The newer one lists the session of `user@.service` as well.
    let is_login = |line: &&str| line.contains(" ada ") && !line.contains(" manager ");
    let mut theirs = listed.lines().filter(is_login);
    let line = theirs.next().expect("logind knows of it");
    assert_eq!(theirs.next(), None, "{listed}");
    line.split_whitespace().next().unwrap().to_owned()
}

/// What the daemon has written down of its one session.
fn record(host: &Host) -> Value {
    let text = host.machine.shell("cat /run/countersign/sessions/*.json");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_withdrawn_person_is_gone_by_logind_and_by_the_audit_session_alone() {
    let host = Host::set_up(USUAL, &format!("{PERIODS}kill = \"auto\"\n"));
    let settings = host.machine.read("/etc/countersign/pam.toml");
    for kill in ["logind", "sessionid", "auto"] {
        let settings = settings.replace("kill = \"auto\"", &format!("kill = {kill:?}"));
        host.machine.write("/etc/countersign/pam.toml", &settings);
        host.machine
            .shell("systemctl reload countersign-pamd.service");
        let session = Session::start(&host);
        let scope = format!("session-{}.scope", logind_session(&host));
        let record = record(&host).to_string();
        assert_eq!(
            record.contains(&scope),
            kill != "sessionid",
            "{kill}: {record}"
        );
        let has_audit = !record.contains("\"audit_session\":null");
        assert_eq!(has_audit, kill != "logind", "{kill}: {record}");
        let listed = host.machine.shell("countersign-pamd sessions");
        assert!(
            listed.contains("Ada Lovelace") && listed.contains("open"),
            "{listed}"
        );

        host.issuer.administer("user disable ada");
        let took = session.ends(WARNED);
        show(&format!(
            "kill = {kill}: withdrawn and ended after {took:?}"
        ));
        assert!(took < RENEWAL + WARNING + ENDING + BUSY, "{took:?}");
        host.issuer.administer("user enable ada");
        let left = host
            .machine
            .shell(&format!("systemctl list-units --all --no-legend {scope}"));
        assert_eq!(left, "");
    }
    // Root ends one at once.
    let session = Session::start(&host);
    host.machine.shell("countersign-pamd kill ada");
    let took = session.ends("");
    assert!(took < ENDING + BUSY, "{took:?}");
    assert!(host.lets_in("emergency", true));
}

#[test]
fn a_session_comes_to_the_end_that_its_rule_has() {
    let host = Host::set_up(USUAL, PERIODS);
    let settings = host.machine.read("/etc/countersign/pam.toml");
    let rule = "name = \"engineers, as themselves\"\n";
    let shorter = settings.replace(rule, &format!("{rule}max_session = \"1m\"\n"));
    assert_ne!(settings, shorter);
    host.machine.write("/etc/countersign/pam.toml", &shorter);
    let session = Session::start(&host);
    let took = session.ends(WARNED);
    show(&format!("ended after {took:?} by its rule"));
    assert!(took < LONGEST + ENDING + BUSY, "{took:?}");
}

#[test]
fn a_restart_a_kill_and_an_upgrade_lose_no_session_and_keep_nobody_in() {
    nothing_is_lost(USUAL);
}

#[test]
fn nothing_is_lost_on_the_newest_release_either() {
    nothing_is_lost(NEWEST);
}

fn nothing_is_lost(release: &str) {
    let host = Host::set_up(release, PERIODS);
    let machine = &host.machine;
    let session = Session::start(&host);
    // By all that there is.
    let record = record(&host).to_string();
    let scope = format!("session-{}.scope", logind_session(&host));
    assert!(record.contains(&scope), "{record}");
    assert!(!record.contains("\"audit_session\":null"), "{record}");
    let main_pid = || {
        let shown = machine.shell("systemctl show --property=MainPID --value countersign-pamd");
        shown.trim().to_owned()
    };
    let watched = || {
        host.wait_for("countersign-pamd sessions", |listed| {
            listed.contains("Ada Lovelace")
        });
    };
    let mut before = main_pid();
    let mut replaced = |how: &str, word: &str| {
        machine.shell(how);
        session.goes_on(word);
        host.wait_for("systemctl is-active countersign-pamd", |state| {
            state == "active\n"
        });
        watched();
        let now = main_pid();
        assert_ne!(now, before, "{how}");
        before = now;
    };
    replaced("systemctl restart countersign-pamd", "restarted");
    // More often than systemd takes for an accident.
    for number in 0..7 {
        let word = format!("killed {number}");
        replaced("systemctl kill --signal=KILL countersign-pamd", &word);
    }
    let newer = newer_package(&host);
    replaced(&format!("dpkg --install {newer}"), "upgraded");
    let version = machine.shell("dpkg-query --show --showformat='${Version}' countersign-pamd");
    assert_eq!(version, NEWER);
    // The new one lets people in, and those who were in before are let go of when they have to be.
    let command = "echo somebody got in";
    let another = host.sign_in("ada", "ada", command, "somebody got in");
    assert_eq!(another.finish().code(), Some(0));
    session.goes_on("still");
    host.issuer.administer("user disable ada");
    let took = session.ends(WARNED);
    show(&format!("upgraded, withdrawn and ended after {took:?}"));
    assert!(took < RENEWAL + WARNING + ENDING + BUSY, "{took:?}");
}

#[test]
fn a_daemon_that_could_not_start_for_a_while_starts_by_itself() {
    let host = Host::set_up(USUAL, PERIODS);
    let machine = &host.machine;
    let session = Session::start(&host);
    let settings = machine.read("/etc/countersign/pam.toml");
    machine.write("/etc/countersign/pam.toml", "not what it should be");
    // It is started, and ends by itself.
    machine.run("systemctl restart countersign-pamd");
    let restarts = "systemctl show --property=NRestarts --value countersign-pamd";
    host.wait_for(restarts, |number| {
        number.trim().parse().is_ok_and(|number: u32| number > 6)
    });
    session.goes_on("without a daemon");
    machine.write("/etc/countersign/pam.toml", &settings);
    host.wait_for("countersign-pamd sessions", |listed| {
        listed.contains("Ada Lovelace")
    });
    host.issuer.administer("user disable ada");
    session.ends(WARNED);
}

const NEWER: &str = "999.0.0";

/// The same package with a version that is newer, on the machine.
fn newer_package(host: &Host) -> String {
    let there = host.machine.path("/root/target/package");
    let mut packages = fs::read_dir(&there).unwrap();
    let package = packages.next().unwrap().unwrap().path();
    let home = tempfile::tempdir().unwrap();
    let dpkg_deb = |arguments: &[&str]| {
        let dpkg_deb = Program::new("dpkg-deb").dir(home.path()).args(arguments);
        dpkg_deb
            .limit(Duration::from_secs(120))
            .run()
            .expect_code(0);
    };
    dpkg_deb(&["--raw-extract", package.to_str().unwrap(), "new"]);
    let control = home.path().join("new/DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let older = text.lines().find(|line| line.starts_with("Version: "));
    let text = text.replace(older.unwrap(), &format!("Version: {NEWER}"));
    fs::write(control, text).unwrap();
    let newer = there.join("newer.deb");
    let newer = newer.to_str().unwrap();
    dpkg_deb(&[
        "--root-owner-group",
        "-Zgzip",
        "-z1",
        "--build",
        "new",
        newer,
    ]);
    "/root/target/package/newer.deb".to_owned()
}
