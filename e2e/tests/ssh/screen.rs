//! What a person has before them: at most 80 columns, and a QR code that a telephone reads, on dark and
//! on light terminals.

use std::fs;

use countersign_e2e::{Prompt, press_enter};
use countersign_testkit::{Endpoint, Ground, Program, Provider, Release, scan};

use crate::failures::rule;
use crate::host::{COMMAND, Host};

const COLUMNS: usize = 80;
const COMPLETE: &str = "https://login.example.com/oauth2/v1/device?user_code=WDJB-MJHT";

fn provider() -> Provider {
    let provider = Provider::start();
    provider.edit(Endpoint::DeviceAuthorization, |body| {
        body["verification_uri"] = "https://login.example.com/oauth2/v1/device".into();
        body["verification_uri_complete"] = COMPLETE.into();
    });
    provider
}

fn rule_with(keys: &str) -> String {
    rule().replace("qr = \"never\"\n", keys)
}

/// What the client prints, byte for byte, as no terminal has changed it yet: of both servers, and of both
/// clients at each.
#[test]
fn the_code_that_each_client_prints_is_read_back_on_dark_and_on_light_terminals() {
    Release::with_both(|release| {
        for (keys, terminal) in [
            ("", Ground::Dark),
            ("qr_invert = true\n", Ground::Light),
            ("qr = \"always\"\n", Ground::Dark),
        ] {
            let provider = provider();
            let mut host = Host::start_of(release, &provider.issuer(), &rule_with(keys), &[]);
            for client in Release::BOTH {
                host.sshd.take_clients_of(client);
                is_read_back(&host, terminal);
            }
        }
    });
}

fn is_read_back(host: &Host, terminal: Ground) {
    let (client, prompt) = host.client(&[], COMMAND);
    let shown = client.stdout();
    assert_eq!(scan(&shown, terminal), COMPLETE);
    // The text alone will do as well.
    let text = "https://login.example.com/oauth2/v1/device";
    assert_eq!((&*prompt.address, &*prompt.code), (text, "WDJB-MJHT"));
    for line in shown.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
    // No colours: the client would print them as numbers.
    assert!(
        !shown.contains('\u{1b}') && !shown.contains("\\0"),
        "{shown}"
    );
    host.got_in(&press_enter(client));
}

/// A terminal of 80 columns and 24 lines, which has scrolled by the time that the question is there.
#[test]
fn code_and_question_fit_on_a_small_screen() {
    Release::with_both(|release| {
        let provider = provider();
        let host = Host::start_of(release, &provider.issuer(), &rule_with(""), &[]);
        let mut screen = host.sshd.client_on_screen(&[], COMMAND);
        let shown = screen.see("press Enter");
        assert_eq!(scan(&shown, Ground::Dark), COMPLETE, "{shown}");
        assert!(shown.contains("code WDJB-MJHT"), "{shown}");
        screen.types("\n");
        let shown = screen.see("somebody got in");
        assert!(shown.contains("Welcome, Ada Lovelace."), "{shown}");
    });
}

/// Where a desktop asks instead of the terminal (`SSH_ASKPASS`), it is given the whole prompt.
#[test]
fn a_dialog_in_place_of_the_terminal_has_the_code_too() {
    let provider = provider();
    let host = Host::start(&provider.issuer(), &rule_with(""));
    let home = tempfile::tempdir().unwrap();
    let (dialog, shown) = (home.path().join("dialog"), home.path().join("shown"));
    let script = format!("#!/bin/sh\nprintf %s \"$1\" >'{}'\necho\n", shown.display());
    fs::write(&dialog, script).unwrap();
    Program::new("chmod")
        .arg("+x")
        .arg(&dialog)
        .run()
        .expect_code(0);
    let client = host.sshd.client_without_terminal(&[], COMMAND);
    let client = client
        .env("SSH_ASKPASS", &dialog)
        .env("SSH_ASKPASS_REQUIRE", "force");
    host.got_in(&client.run());
    let shown = fs::read_to_string(&shown).unwrap();
    assert_eq!(scan(&shown, Ground::Dark), COMPLETE);
    assert_eq!(Prompt::read(&shown).unwrap().code, "WDJB-MJHT");
}
