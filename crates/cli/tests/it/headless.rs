//! Places without a desktop, or with half of one: what a person reads there, that nothing hangs, and
//! that nothing is lost.
//!
//! Each place is shown as a transcript: a login, a token while it is fresh and after it has expired,
//! `status`, and what `doctor` says of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_testkit::{Desktop, Endpoint, Finished, Program, Reply};
use rustix::process::Signal;
use serde_json::json;

use crate::desk::Desk;

/// Nothing takes longer anywhere, on a machine with much else to do.
const LIMIT: Duration = Duration::from_secs(30);

/// Somebody who is about to sign in on this kind of place.
fn desk() -> Desk {
    let mut desk = Desk::with_profile();
    desk.has_keyring_program();
    desk
}

/// Somebody whose access token has expired, while everything worked.
fn expired() -> Desk {
    let desk = desk();
    expire(&desk);
    desk
}

/// Signs in; the access token has expired from the beginning.
fn expire(desk: &Desk) {
    desk.provider
        .edit(Endpoint::Token, |answer| answer["expires_in"] = json!(0));
    desk.program("login").run().expect_code(0);
    desk.provider.behave(Endpoint::Token);
}

/// Leads a desk to a bus.
fn sit_at(desk: &mut Desk, desktop: &Desktop) {
    desk.note("There is a session bus, and gnome-keyring on it.");
    desk.set("DBUS_SESSION_BUS_ADDRESS", desktop.address());
}

/// Runs a command that must neither fail nor leave a person without a word.
fn well(desk: &mut Desk, command: &str) -> Finished {
    let program = desk.program(command);
    place(desk, command, program, 0)
}

/// Runs a command that fails, says why, and what to do.
fn fails(desk: &mut Desk, command: &str, code: i32) {
    let program = desk.program(command);
    place(desk, command, program, code);
}

/// Runs a program as this command, and looks at what it says if it fails.
pub(crate) fn place(desk: &mut Desk, command: &str, program: Program, code: i32) -> Finished {
    // What `doctor` says of browsers is not what these transcripts are about, and differs from one
    // build server to the next.
    let program = if command.starts_with("doctor") {
        program.env("DISPLAY", ":0")
    } else {
        program
    };
    let done = desk.record(command, program).expect_code(code);
    let text = format!("{}{}", done.stdout, done.stderr);
    let says = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
    match code {
        0 => {}
        // That nobody is signed in is its own reason.
        4 => assert!(text.contains("countersign login"), "nothing to do:\n{text}"),
        _ => {
            assert!(says("why: "), "no reason:\n{text}");
            assert!(says("hint: ") || says("to do: "), "nothing to do:\n{text}");
        }
    }
    assert!(done.elapsed < LIMIT, "{:?}", done.elapsed);
    done
}

#[test]
fn without_a_bus() {
    let mut desk = desk();
    well(&mut desk, "login");
    well(&mut desk, "token");
    well(&mut desk, "token --force-refresh");
    well(&mut desk, "status");
    well(&mut desk, "doctor --offline");
    desk.note("Nothing but the keyring will do.");
    fails(&mut desk, "login --store keyring", 9);
    desk.export("COUNTERSIGN_STORE", "keyring");
    fails(&mut desk, "doctor --offline", 1);
    desk.check("headless-no-bus");
}

#[test]
fn with_a_keyring_that_is_locked() {
    let desktop = Desktop::new();
    let mut desk = desk();
    sit_at(&mut desk, &desktop);
    expire(&desk);
    well(&mut desk, "doctor --offline");
    desk.note("The screen saver locks the keyring.");
    desktop.lock();
    fails(&mut desk, "token", 9);
    well(&mut desk, "status");
    fails(&mut desk, "doctor --offline", 1);
    desk.note("A new login goes to where it can be kept, and says so.");
    well(&mut desk, "login");
    well(&mut desk, "token");
    well(&mut desk, "status");
    fails(&mut desk, "login --store keyring", 9);
    desk.check("headless-locked");
}

#[test]
fn with_a_keyring_that_hangs() {
    let desktop = Desktop::new();
    let mut desk = desk();
    sit_at(&mut desk, &desktop);
    well(&mut desk, "login");
    desk.note("From here on it does not answer.");
    desktop.signal_keyring(Signal::STOP);
    well(&mut desk, "token");
    fails(&mut desk, "token --force-refresh", 9);
    well(&mut desk, "status");
    fails(&mut desk, "doctor --offline", 1);
    desk.note("It does again, and nothing was lost.");
    desktop.signal_keyring(Signal::CONT);
    well(&mut desk, "token --force-refresh");
    desktop.signal_keyring(Signal::STOP);
    well(&mut desk, "login");
    well(&mut desk, "token --force-refresh");
    desktop.signal_keyring(Signal::CONT);
    desk.check("headless-hanging");
}

/// Between the server that has given out a new refresh token, and the place where it is kept.
#[test]
fn a_keyring_that_fails_in_the_middle_is_told_of_at_that_moment_once() {
    let desktop = std::sync::Arc::new(Desktop::new());
    let mut desk = desk();
    sit_at(&mut desk, &desktop);
    desk.export("COUNTERSIGN_STORE", "keyring");
    expire(&desk);
    let stop = |desk: &Desk| {
        let desktop = std::sync::Arc::clone(&desktop);
        desk.provider.check(Endpoint::Token, move |_| {
            desktop.signal_keyring(Signal::STOP);
            None
        });
    };
    stop(&desk);
    let done = well(&mut desk, "token");
    assert!(done.stderr.contains("warning: the keyring did not answer"));
    well(&mut desk, "token");
    let done = well(&mut desk, "token --force-refresh -q");
    assert_eq!(done.stderr, "", "it is said once");
    well(&mut desk, "status");
    desk.provider.behave(Endpoint::Token);
    desktop.signal_keyring(Signal::CONT);
    well(&mut desk, "doctor --offline");
    well(&mut desk, "store migrate");

    desk.note("Where the company wants it nowhere else, it goes nowhere else.");
    desk.configure_system(
        "10-limits.toml",
        "[limits]\nallowed_stores = [\"keyring\", \"keyring-key\"]\n",
    );
    stop(&desk);
    fails(&mut desk, "token --force-refresh", 9);
    let file = desk.home.state_dir().join("sessions/default.json");
    let file = fs::read_to_string(file).expect("there is a session");
    assert!(!file.contains("secret-refresh"), "{file}");
    desktop.signal_keyring(Signal::CONT);
    desk.check("headless-fell-back");
}

/// The program in a mount namespace of its own, after `prepare`, a line of shell in which `$DIR` is the
/// home.
fn in_a_namespace(desk: &Desk, prepare: &str, arguments: &str) -> Program {
    let script = format!("{prepare} && exec \"$@\"");
    desk.wrapped(
        |command| {
            let mut before = vec!["unshare".to_owned()];
            if !rustix::process::geteuid().is_root() {
                before.extend(["--user", "--map-root-user"].map(str::to_owned));
            }
            before.extend(["--mount", "sh", "-c", &script, "sh"].map(str::to_owned));
            before.extend(command);
            before
        },
        arguments,
    )
    .env("DIR", desk.home.path())
}

#[test]
fn with_a_home_that_is_read_only() {
    let mut desk = expired();
    let prepare = "mount --bind \"$DIR\" \"$DIR\" && mount -o remount,bind,ro \"$DIR\"";
    desk.note("Somebody has signed in before; the access token has expired.");
    for (command, code) in [
        ("token", 9),
        ("status", 0),
        ("doctor --offline", 1),
        ("login", 9),
    ] {
        let program = in_a_namespace(&desk, prepare, command);
        place(&mut desk, command, program, code);
    }
    desk.note("What was there is still good.");
    well(&mut desk, "token");
    desk.note("A token that is fresh needs nothing written.");
    let program = in_a_namespace(&desk, prepare, "token");
    place(&mut desk, "token", program, 0);
    desk.note("A logout cannot remove what it cannot write, and says what it did all the same.");
    let program = in_a_namespace(&desk, prepare, "logout");
    place(&mut desk, "logout", program, 9);
    assert_eq!(desk.provider.requests(Endpoint::Revocation).len(), 2);
    desk.note("Nor does it say so where the server could not be asked.");
    desk.provider.always(Endpoint::Revocation, Reply::new(503));
    let program = in_a_namespace(&desk, prepare, "logout");
    place(&mut desk, "logout", program, 9);
    desk.check("headless-read-only");
}

#[test]
fn with_a_disk_that_is_full() {
    let mut desk = expired();
    // The whole home moves to a disk of its own, which is then filled to the last byte.
    let prepare = "cp -a \"$DIR\" \"$DIR.copy\" && mount -t tmpfs -o size=128k,mode=700 tmpfs \"$DIR\" && \
         cp -a \"$DIR.copy/.\" \"$DIR\" && rm -r \"$DIR.copy\" && \
         { dd if=/dev/zero of=\"$DIR/filler\" bs=1 count=1M 2>/dev/null; dd if=/dev/zero of=\"$DIR/filler\" bs=64k 2>/dev/null; true; }";
    desk.note("Somebody has signed in before; the access token has expired.");
    for (command, code) in [
        ("token", 9),
        ("status", 0),
        ("doctor --offline", 1),
        ("login", 9),
    ] {
        let program = in_a_namespace(&desk, prepare, command);
        place(&mut desk, command, program, code);
    }
    let asked = desk.provider.requests(Endpoint::DeviceAuthorization).len();
    assert_eq!(asked, 1, "nobody is asked to approve what cannot be kept");
    desk.note("There is room again, and the refresh token was not spent.");
    well(&mut desk, "token");
    let program = in_a_namespace(&desk, prepare, "token");
    place(&mut desk, "token", program, 0);
    desk.check("headless-full-disk");
}

#[test]
fn without_a_home() {
    let mut desk = desk();
    let issuer = desk.provider.issuer();
    let bare = |command: &str, home: Option<&Path>| {
        let program = Program::new(env!("CARGO_BIN_EXE_countersign"))
            .args(command.split(' '))
            .env("COUNTERSIGN_ISSUER", &issuer)
            .env("COUNTERSIGN_CLIENT_ID", "cli");
        match home {
            Some(home) => program.env("HOME", home),
            None => program,
        }
    };
    desk.note("No HOME at all.");
    for (command, code) in [
        ("login", 7),
        ("token", 7),
        ("status", 7),
        ("doctor --offline", 7),
    ] {
        let program = bare(command, None);
        place(&mut desk, command, program, code);
    }
    desk.note("HOME names a directory that nobody made, below a file.");
    let nowhere = desk.home.path().join("file/home");
    fs::write(desk.home.path().join("file"), "").expect("the home can be written");
    for (command, code) in [
        ("login", 9),
        ("token", 9),
        ("status", 9),
        ("doctor --offline", 1),
    ] {
        let program = bare(command, Some(&nowhere));
        place(&mut desk, command, program, code);
    }
    desk.note("Told where to write, it needs no HOME.");
    let state = desk.home.path().join("elsewhere");
    for command in ["login", "token", "status"] {
        let program = bare(command, None)
            .env("COUNTERSIGN_STATE_DIR", &state)
            .env("COUNTERSIGN_CACHE_DIR", &state)
            .env("COUNTERSIGN_CONFIG_DIR", &state);
        place(&mut desk, command, program, 0);
    }
    desk.check("headless-no-home");
}

#[test]
fn with_a_clock_that_is_off() {
    for (name, shift) in [("behind", "-10m"), ("ahead", "+10m")] {
        let mut desk = desk();
        desk.provider.tell_the_time();
        let off = |desk: &Desk, arguments: &str| {
            let with = |command: Vec<String>| {
                let mut before = vec!["faketime".to_owned(), "-f".to_owned(), shift.to_owned()];
                before.extend(command);
                before
            };
            desk.wrapped(with, arguments)
        };
        desk.note(&format!("This computer is ten minutes {name}."));
        for (command, code) in [
            ("login", 0),
            ("token", 0),
            ("token --force-refresh", 0),
            ("status", 0),
            ("status --verify", 0),
            ("doctor -q", 1),
        ] {
            let program = off(&desk, command);
            place(&mut desk, command, program, code);
        }
        desk.check(&format!("headless-clock-{name}"));
    }
}
