//! Nothing is left behind by a login, and nothing is touched that is not the module's.

use countersign_pam_wire::{Text, ToModule, Verdict};

use crate::daemon::{Connection, Daemon};
use crate::driver::{Driver, LOGIN};

/// How many logins are tried: few by default, 1,000 under `cargo xtask prove`.
fn logins() -> usize {
    let trials = std::env::var("COUNTERSIGN_TRIALS").ok();
    let trials: Option<usize> = trials.and_then(|text| text.parse().ok());
    trials.map_or(200, |trials| (trials * 5).max(200))
}

/// Every third login is denied, every fifth breaks off, every seventh is garbage.
fn mixed() -> Daemon {
    let count = std::cell::Cell::new(0_u32);
    Daemon::start(move |connection: &mut Connection, _| {
        count.set(count.get() + 1);
        let count = count.get();
        connection.say(&ToModule::Info {
            text: Text::clean("Hello."),
        });
        if count.is_multiple_of(5) {
            return;
        }
        if count.is_multiple_of(7) {
            connection.send(b"\0\0\0\x02\xff\xff");
            return;
        }
        connection.done(if count.is_multiple_of(3) {
            Verdict::Denied
        } else {
            Verdict::Success
        });
    })
}

#[test]
fn logins_leave_no_memory_and_no_open_file_behind() {
    for daemon in [Daemon::that_wants("hunter2"), mixed()] {
        let said = Driver::new(&daemon).times(logins()).call(LOGIN);
        let [(early, files), (late, files_late)] = said.growth();
        assert_eq!(files, files_late);
        // Noise of the allocator; a leak of 100 bytes a login would be more in 1,000 of them.
        assert!(late <= early + 64, "from {early} to {late} KiB");
        assert!(said.stdout.contains("alive and unchanged"), "{said:?}");
    }
}

#[test]
fn valgrind_finds_nothing() {
    let valgrind = [
        "valgrind",
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect,possible",
        "--track-fds=no",
    ];
    for daemon in [Daemon::that_wants("hunter2"), mixed()] {
        for manner in ["plain", "hidden", "silent"] {
            let driver = Driver::new(&daemon).under(valgrind).manner(manner);
            let said = driver.times(3).call(LOGIN);
            assert_eq!(said.stderr, "", "{manner}");
        }
    }
}

/// LLVM's address sanitizer looks at the module's own loads and stores, also on the stack, and at what
/// is left at the end.
#[test]
fn the_address_sanitizer_finds_nothing() {
    for daemon in [Daemon::that_wants("hunter2"), mixed()] {
        for manner in ["plain", "hidden", "silent", "mute"] {
            let driver = Driver::new(&daemon).sanitized().manner(manner);
            let said = driver.argument("debug").times(15).call(LOGIN);
            assert_eq!(said.stderr, "", "{manner}");
        }
    }
}

#[test]
fn what_was_answered_is_nowhere_in_the_process_afterwards() {
    // As long as a Yubikey's: of a short one the allocator itself would write over the most.
    const ANSWER: &str = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtghcbde";
    let daemon = Daemon::that_wants(ANSWER);
    let said = Driver::new(&daemon).answer(ANSWER).call(LOGIN);
    assert_eq!(said.codes(), [0; 5]);
    assert!(said.stdout.contains("\ncopies 0\n"), "{said:?}");
    // The program that looks does find one: here nobody took it, and so nobody wiped it.
    let forgotten = Driver::new(&daemon).answer(ANSWER).manner("forgetful");
    let said = forgotten.call(&LOGIN[..1]);
    assert!(said.stdout.contains("\ncopies 1\n"), "{said:?}");
}
