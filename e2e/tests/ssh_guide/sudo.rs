//! `docs/ssh-sudo.md`, with `pamtester` in the place of the programs, which are set-uid or want a console.

use std::fs;

use countersign_testkit::{Finished, Program, Running, bin, pam_module};

use crate::guide::{Guide, differing, document, fences};
use crate::{Host, PATIENCE, listening, press_enter_until, prompt};

/// Somebody at a terminal, and what a service of PAM asks of them.
fn asks(host: &Host, service: &str, account: &str) -> Running {
    let line = format!("pamtester {service} {account} authenticate acct_mgmt");
    let program = Program::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "dumb")
        .listening()
        .limit(PATIENCE);
    host.among_accounts(program)
        .env("LD_PRELOAD", "libnss_wrapper.so libpam_wrapper.so")
        .env("PAM_WRAPPER", "1")
        .env("PAM_WRAPPER_SERVICE_DIR", host.at("pam.d"))
        .start()
}

/// The person signs in at the provider, and goes on at the terminal.
fn signs_in(host: &Host, person: &str, asking: Running, words: &str) -> Finished {
    let asked = asking.wait_for_stdout(prompt);
    host.approves(person, &asked);
    press_enter_until(asking, words)
}

#[test]
fn sudo_su_and_login_ask_as_their_guide_says() {
    let (ssh, text) = (Guide::read(), document("ssh-sudo.md"));
    let found = fences(&text);
    let all = |language: &str| {
        let same = found.iter().filter(|fence| fence.language == language);
        same.map(|fence| fence.text.as_str()).collect::<Vec<_>>()
    };
    let ([services, own], [sudo, su, login]) = (&all("toml")[..], &all("pam")[..]) else {
        panic!("two files and three stacks")
    };
    let host = Host::new();
    host.shell(ssh.all("sh")[0].trim());
    let issuer = |text: &str| differing(text, &[("https://id.example.com", host.issuer.issuer())]);
    let both = format!("{services}{}", issuer(ssh.only("toml")));
    fs::write(host.at("pam.toml"), both).unwrap();
    fs::write(host.at("sudo.toml"), issuer(own)).unwrap();
    fs::create_dir(host.at("pam.d")).unwrap();
    let module = pam_module().display().to_string();
    let here = format!("{}/", host.home.path().display());
    let usual = format!("{module} socket={here}pam.sock");
    for (service, stack) in [
        ("sudo", sudo.replace("pam_countersign.so", &module)),
        ("su", su.replace("pam_countersign.so", &usual)),
        ("su-l", su.replace("pam_countersign.so", &usual)),
        ("login", login.replace("pam_countersign.so", &usual)),
        ("cron", su.replace("pam_countersign.so", &usual)),
    ] {
        let stack = stack.replace("/run/countersign/", &here);
        let stack = format!("{stack}account required pam_permit.so\n");
        fs::write(host.at("pam.d").join(service), stack).unwrap();
    }
    let daemon = host.daemon();
    // The other one, as its line of the unit has it.
    let unit = all("ini")[0].trim();
    let line = unit.strip_prefix("ExecStart=/usr/sbin/countersign-pamd ");
    let line = line.unwrap().replace("/run/countersign/", &here);
    let line = line.replace("/etc/countersign/", &here);
    let other = Program::new(bin("countersign-pamd"))
        .args(line.split_whitespace())
        .arg("--log-stderr")
        .limit(PATIENCE);
    let other = host.among_accounts(other).start();
    listening(&host.at("sudo.sock"), &other);

    for (service, account, person, words) in [
        ("sudo", "ada", "ada", "successfully authenticated"),
        ("login", "ada", "ada", "successfully authenticated"),
        ("su", "deploy", "ada", "may not use"),
        ("su-l", "bob", "bob", "may not use"),
    ] {
        let asking = asks(&host, service, account);
        let finished = signs_in(&host, person, asking, words);
        let is_in = words.contains("success");
        let logs = format!("{}\n{}", daemon.stderr(), other.stderr());
        assert_eq!(finished.code() == Some(0), is_in, "{finished:?}\n{logs}");
    }
    // The provider is not asked about the account for emergencies.
    host.shell("useradd --create-home --shell /bin/bash emergency");
    let asking = asks(&host, "login", "emergency");
    asking.wait_for_stdout(|shown| shown.contains("Password:").then_some(()));
    // One that nobody named.
    let finished = asks(&host, "cron", "ada").finish();
    assert_ne!(finished.code(), Some(0), "{finished:?}");
    assert!(
        finished.stdout.contains("is not possible"),
        "{}",
        finished.stdout
    );
    let log = other.stderr();
    assert!(
        log.contains("service=sudo") && log.contains("granted"),
        "{log}"
    );
}
