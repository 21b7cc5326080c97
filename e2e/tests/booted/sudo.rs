//! `docs/ssh-sudo.md`: people sign in again before they become root.

use countersign_e2e::{Prompt, differing, document, fences, press_enter_until};

use crate::host::{Host, IN, USUAL};

#[test]
fn sudo_asks_again_and_lets_the_account_for_emergencies_pass() {
    let mut host = Host::set_up(USUAL, "");
    let text = document("ssh-sudo.md");
    let (_, section) = text.split_once("## sudo\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let found = fences(section);
    let only = |language: &str| {
        let mut same = found.iter().filter(|fence| fence.language == language);
        let one = same.next().unwrap();
        assert!(same.next().is_none(), "{language}");
        one.text.as_str()
    };
    let machine = &host.machine;
    machine.shell("echo 'ada ALL=(ALL) ALL' >/etc/sudoers.d/ada");
    machine.write("/etc/sudoers.d/emergency", only("sudoers"));
    for service in ["sudo", "sudo-i"] {
        let file = format!("/etc/pam.d/{service}");
        let stack = machine.read(&file);
        let stack = differing(&stack, &[("@include common-auth\n", only("pam"))]);
        machine.write(&file, &stack);
    }
    let settings = machine.read("/etc/countersign/pam.toml");
    let settings = format!("{settings}\n{}", only("toml"));
    machine.write("/etc/countersign/pam.toml", &settings);

    let command = format!("echo {IN}; sudo echo root is $(id -un); sudo id -u; echo over");
    let client = host.sign_in("ada", "ada", &command, IN);
    let asked = client.wait_for_stdout(|shown| Prompt::read(shown.split_once(IN)?.1));
    host.issuer.approve_typed("ada", &asked);
    press_enter_until(&client, "over");
    let finished = client.finish();
    assert_eq!(
        finished.code(),
        Some(0),
        "{finished:?}\n{}",
        machine.journal()
    );
    let (_, became) = finished.stdout.split_once("root is ada").unwrap();
    assert!(became.trim_start().starts_with("0\r\nover"), "{finished:?}");

    machine.shell("systemctl stop countersign-pamd.socket countersign-pamd.service");
    host.issuer.stop();
    let key = format!("IdentityFile={}", host.key.display());
    let command = "sudo --non-interactive id -u";
    let finished = host.machine.client("emergency", &[&key], command).run();
    assert_eq!(finished.stdout.trim(), "0", "{finished:?}");
}
