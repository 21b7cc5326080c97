//! The texts as people see them, whole.

use countersign_testkit::{Ground, scan};

use super::*;

const PLAIN: Show = Show {
    qr: Qr::Never,
    qr_invert: false,
};

fn who() -> Who {
    Who {
        host: "db1.example.com".to_owned(),
        account: "ada".to_owned(),
        rhost: "192.0.2.7".to_owned(),
    }
}

fn device() -> Shown {
    Shown::Device {
        user_code: "WDJB-MJHT".to_owned(),
        verification_uri: "https://id.example.com/device".to_owned(),
        verification_uri_complete: Some(
            "https://id.example.com/device?user_code=WDJB-MJHT".to_owned(),
        ),
        expires_in: Duration::from_secs(600),
    }
}

fn reference() -> Reference {
    "KMPRTX".parse().unwrap()
}

#[test]
fn the_first_prompt() {
    assert_eq!(
        first(&who(), &device(), PLAIN, Duration::from_secs(110)),
        "
Sign in to db1.example.com as ada (from 192.0.2.7).

  Open  https://id.example.com/device
  Code  WDJB-MJHT

Start nothing you did not ask for: approve only if YOU started this sign-in.
Approve in the browser, then press Enter (expires in 1:50): "
    );
}

#[test]
fn the_prompt_for_a_code() {
    let shown = Shown::Paste {
        url: format!("https://id.example.com/authorize?state={}", "x".repeat(300)),
    };
    let show = Show {
        qr: Qr::Auto,
        qr_invert: false,
    };
    let text = first(&who(), &shown, show, Duration::from_secs(110));
    assert_eq!(
        text.replace(&"x".repeat(300), "XXX"),
        "
Sign in to db1.example.com as ada (from 192.0.2.7).

Open this address in a browser, sign in, and copy the code that it shows:

https://id.example.com/authorize?state=XXX

Start nothing you did not ask for: paste only if YOU started this sign-in.
Paste the code, then press Enter (expires in 1:50): "
    );
}

#[test]
fn a_prompt_with_a_code_for_cameras_is_read_by_one_and_fits() {
    for (qr_invert, ground) in [(false, Ground::Dark), (true, Ground::Light)] {
        let show = Show {
            qr: Qr::Auto,
            qr_invert,
        };
        let text = first(&who(), &device(), show, Duration::from_secs(110));
        let drawn: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && line.chars().all(|c| "█▀▄ ".contains(c)))
            .collect();
        assert_eq!(
            scan(&text, ground),
            "https://id.example.com/device?user_code=WDJB-MJHT"
        );
        let lines = text.lines().count();
        assert!(
            lines <= 12 + drawn.len(),
            "{lines} lines with {}",
            drawn.len()
        );
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        // The last lines stay on a screen of 24 rows, and have all that is needed.
        let end: Vec<&str> = text.lines().rev().take(6).collect();
        assert!(
            end.iter()
                .any(|line| line.contains("https://id.example.com/device  code WDJB-MJHT"))
        );
    }
}

#[test]
fn a_long_address_has_no_picture_unless_that_is_wanted() {
    let shown = Shown::Device {
        user_code: "WDJB".to_owned(),
        verification_uri: "https://id.example.com/device".to_owned(),
        verification_uri_complete: Some(format!("https://id.example.com/?c={}", "x".repeat(100))),
        expires_in: Duration::from_secs(600),
    };
    let drawn = |qr| {
        let show = Show {
            qr,
            qr_invert: false,
        };
        first(&who(), &shown, show, Duration::from_secs(9)).contains('█')
    };
    assert!(!drawn(Qr::Auto) && drawn(Qr::Always) && !drawn(Qr::Never));
}

#[test]
fn what_is_asked_again() {
    assert_eq!(
        again(Duration::from_millis(59_999)),
        "Not approved yet, 59 s left. Approve in the browser, then press Enter: "
    );
    assert_eq!(
        not_a_code(Duration::from_secs(60)),
        "That is not the code. Paste it once more, then press Enter (60 s left): "
    );
    assert_eq!(
        announced(&who(), &device(), Duration::from_secs(110)),
        "
Sign in to db1.example.com as ada (from 192.0.2.7).

  Open  https://id.example.com/device
  Code  WDJB-MJHT

Approve only if YOU started this sign-in. Waiting for 1:50."
    );
}

#[test]
fn the_ends() {
    assert_eq!(
        welcome("Ada Lovelace", &reference()),
        "Welcome, Ada Lovelace. (reference KMPRTX)\n"
    );
    assert_eq!(
        not_possible(&who(), None, &reference()),
        "Signing in to db1.example.com as ada is not possible. Ask the administrator of\n\
         this host and name the reference KMPRTX.\n"
    );
    assert_eq!(
        not_allowed(
            "bob@example.com",
            &who(),
            Some("it@example.com"),
            &reference()
        ),
        "You signed in as bob@example.com, who may not use the account ada here. If you\n\
         have another account, name it: ssh ACCOUNT@db1.example.com. Otherwise ask\n\
         it@example.com and name the reference KMPRTX.\n"
    );
}

#[test]
fn nothing_from_outside_steers_a_terminal_or_widens_a_line() {
    let who = Who {
        host: "h".repeat(253),
        account: format!("a\u{1b}[31m{}", "b".repeat(200)),
        rhost: format!("evil\r\n\u{9b}2J{}", "c".repeat(200)),
    };
    let shown = Shown::Device {
        user_code: "A\u{7}B".to_owned(),
        verification_uri: "https://id.example/\u{1b}]0;x".to_owned(),
        verification_uri_complete: None,
        expires_in: Duration::from_secs(600),
    };
    let name = "x\u{202e}\u{1b}".repeat(100);
    for text in [
        first(&who, &shown, PLAIN, Duration::from_secs(110)),
        announced(&who, &shown, Duration::from_secs(110)),
        not_possible(&who, None, &reference()),
        not_allowed(&name, &who, None, &reference()),
        welcome(&name, &reference()),
    ] {
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }
}
