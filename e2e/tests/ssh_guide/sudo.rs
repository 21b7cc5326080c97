//! `docs/ssh-sudo.md`, with `pamtester` in the place of the programs, which are set-uid or want a console.

use std::fs;

use countersign_e2e::{Guide, Prompt, differing, document, fences, press_enter_until};
use countersign_testkit::{Finished, Program, Running, pam_module};

use crate::{Host, PATIENCE};

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
    let asked = asking.wait_for_stdout(Prompt::read);
    host.issuer.approve_typed(person, &asked);
    press_enter_until(&asking, words);
    asking.finish()
}

#[test]
fn sudo_su_and_login_ask_as_their_guide_says() {
    let (ssh, text) = (Guide::read(), document("ssh-sudo.md"));
    let found = fences(&text);
    let all = |language: &str| {
        let same = found.iter().filter(|fence| fence.language == language);
        same.map(|fence| fence.text.as_str()).collect::<Vec<_>>()
    };
    let ([services, rules @ ..], [sudo, su, login]) = (&all("toml")[..], &all("pam")[..]) else {
        panic!("a file in parts, and three stacks")
    };
    let host = Host::new();
    host.shell(ssh.all("sh")[0].trim());
    let issuer = ("https://id.example.com", host.issuer.issuer());
    let logins = differing(ssh.only("toml"), &[issuer]);
    let whole = format!("{services}{logins}{}", rules.concat());
    fs::write(host.at("pam.toml"), whole).unwrap();
    // The rule is tried as the page has it.
    let [tried] = all("sh")[..] else {
        panic!("one line to type")
    };
    let line = differing(tried, &[("test ada -", "test ada - --config pam.toml")]);
    let said = host.shell(&format!("{} || true", line.trim()));
    let number = host.number_of("ada");
    assert_eq!(said, differing(all("")[0], &[("1001", number.as_str())]));
    let said = host.shell("countersign-pamd check --config pam.toml");
    assert!(
        said.contains("Services: sshd, login, sudo, sudo-i, su, su-l."),
        "{said}"
    );
    assert_eq!(said.matches("warning:").count(), 1, "{said}");

    fs::create_dir(host.at("pam.d")).unwrap();
    let socket = host.at("pam.sock");
    let module = format!("{} socket={}", pam_module().display(), socket.display());
    for (service, stack) in [
        ("sudo", sudo),
        ("sudo-i", sudo),
        ("su", su),
        ("su-l", su),
        ("login", login),
        ("cron", su),
    ] {
        let stack = stack.replace("pam_countersign.so", &module);
        let stack = format!("{stack}account required pam_permit.so\n");
        fs::write(host.at("pam.d").join(service), stack).unwrap();
    }
    let daemon = host.daemon();

    for (service, account, person, words) in [
        ("sudo", "ada", "ada", "successfully authenticated"),
        ("sudo-i", "ada", "ada", "successfully authenticated"),
        ("login", "ada", "ada", "successfully authenticated"),
        ("su", "deploy", "ada", "may not use"),
        ("sudo", "bob", "bob", "may not use"),
    ] {
        let asking = asks(&host, service, account);
        let finished = signs_in(&host, person, asking, words);
        let is_in = words.contains("success");
        let logs = daemon.stderr();
        assert_eq!(finished.code() == Some(0), is_in, "{finished:?}\n{logs}");
    }
    // The provider is not asked about the account for emergencies.
    host.shell("useradd --create-home --shell /bin/bash emergency");
    let asking = asks(&host, "login", "emergency");
    asking.wait_for_stdout(|shown| shown.contains("Password:").then_some(()));
    // One that nobody named, and accounts that no rule for the service is about.
    for (service, account) in [("cron", "ada"), ("su-l", "bob")] {
        let finished = asks(&host, service, account).finish();
        assert_ne!(finished.code(), Some(0), "{finished:?}");
        let shown = &finished.stdout;
        assert!(shown.contains("is not possible"), "{shown}");
    }
    let log = daemon.stderr();
    let granted = |service: &str, rule: &str| {
        let service = format!("service={service} ");
        log.lines()
            .any(|line| line.contains("granted") && line.contains(&service) && line.contains(rule))
    };
    assert!(granted("sudo", "signed in just now"), "{log}");
    assert!(granted("sudo-i", "signed in just now"), "{log}");
    assert!(granted("login", "engineers, as themselves"), "{log}");
}
