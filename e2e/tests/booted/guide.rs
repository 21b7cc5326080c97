//! From nothing to a working host with a way in for emergencies, and back.

use std::time::Duration;

use countersign_e2e::{Guide, differing};
use countersign_testkit::show;

use crate::host::{Host, IN, NEWEST, USUAL};

/// What the guide promises.
const TEN_MINUTES: Duration = Duration::from_secs(600);

#[test]
fn from_nothing_to_a_host_with_a_way_in_for_emergencies_and_back() {
    there_and_back(USUAL);
}

#[test]
fn the_guide_leads_to_the_same_on_the_newest_release() {
    there_and_back(NEWEST);
}

fn there_and_back(release: &str) {
    let mut host = Host::set_up(release, "");
    let machine = &host.machine;

    // What the steps said, as far as the guide shows it.
    let number = machine.shell("id -u ada");
    let guide = Guide::read();
    let expected = differing(guide.only(""), &[("1001", number.trim())]);
    assert_eq!(host.said_to("policy test"), expected);
    let doctor = host.said_to("doctor");
    let troubles: Vec<&str> = doctor
        .lines()
        .filter(|line| !line.starts_with("ok ") && !line.starts_with("      "))
        // Whether somebody keeps the clock right is a matter of whoever runs the test.
        .filter(|line| !line.contains("clock"))
        .collect();
    assert!(
        matches!(troubles[..], [only] if only.starts_with("warning") && only.contains("preferred_username")),
        "{doctor}"
    );
    let units = "countersign-pamd.socket countersign-pamd.service";
    for (asked, answer) in [
        ("is-active countersign-pamd.socket", "active\n"),
        ("is-enabled countersign-pamd.socket", "enabled\n"),
    ] {
        assert_eq!(machine.shell(&format!("systemctl {asked}")), answer);
    }

    // A person gets in, and logind knows of it.
    let command = format!("echo {IN}; id -u; loginctl show-session $XDG_SESSION_ID");
    let finished = host.sign_in("ada", "ada", &command, IN).finish();
    assert_eq!(
        finished.code(),
        Some(0),
        "{finished:?}\n{}",
        machine.journal()
    );
    let shown = finished.stdout.replace('\r', "");
    let (_, inside) = shown.split_once(IN).unwrap();
    assert!(inside.trim().starts_with(&number), "{inside}");
    for property in ["Name=ada", "Remote=yes", "Service=sshd", "State=active"] {
        assert!(inside.contains(property), "{property}: {inside}");
    }
    let reference = shown.split_once("(reference ").unwrap().1;
    let reference = reference.split_once(')').unwrap().0;
    // What the unit takes from the daemon leaves the worker all of its own fences.
    let worker = machine.shell("journalctl --output=cat COUNTERSIGN_EVENT=worker");
    for fence in [
        "no_new_privs: set",
        "landlock: in force",
        "seccomp: in force",
    ] {
        assert!(worker.contains(fence), "{worker}");
    }
    let event = machine.shell(&format!(
        "journalctl --output=cat COUNTERSIGN_REFERENCE={reference} COUNTERSIGN_OUTCOME=granted"
    ));
    assert!(event.contains("login granted"), "{event}");

    // People outside of the rules do not.
    for (person, account) in [("bob", "bob"), ("ada", "deploy")] {
        let client = host.sign_in(person, account, &format!("echo {IN}"), "may not use");
        let finished = client.finish();
        assert_eq!(finished.code(), Some(255), "{finished:?}");
        assert!(!finished.stdout.contains(IN), "{finished:?}");
    }
    assert!(host.lets_in("emergency", true));
    let took = host.begun.elapsed();
    show(&format!("ten minutes took {took:?}"));
    assert!(took < TEN_MINUTES, "{took:?}");
    show(&machine.shell("systemd-analyze security --no-pager countersign-pamd.service | tail -1"));

    // With daemon and provider away nobody signs in, and the key from the safe opens its account alone.
    machine.shell(&format!("systemctl stop {units}"));
    host.issuer.stop();
    assert!(!host.lets_in("ada", false));
    assert!(!host.lets_in("ada", true));
    assert!(!host.lets_in("emergency", false));
    assert!(host.lets_in("emergency", true));

    // The package stays while the stack needs it, and then goes without a trace.
    let refused = machine.run("dpkg --purge countersign-pamd");
    assert_ne!(refused.code(), Some(0), "{refused:?}");
    assert!(refused.stderr.contains("/etc/pam.d/sshd"), "{refused:?}");
    assert!(host.lets_in("emergency", true));
    machine.write("/etc/pam.d/sshd", &host.shipped);
    machine.shell("dpkg --purge countersign-pamd");
    assert!(host.lets_in("emergency", true));
    let left = "find / -xdev -path /proc -prune -o -path '*countersign*' -print; \
                systemctl list-units --all --plain --no-legend 'countersign*'";
    let left = machine.shell(left);
    let left: Vec<&str> = left
        .lines()
        .filter(|path| !path.starts_with("/root/target/package"))
        .collect();
    // The administrator's own file stays.
    assert_eq!(left, ["/etc/ssh/sshd_config.d/countersign.conf"]);
}
