//! A panic at every entry point, and in the middle: the program lives, and nobody gets in.

use countersign_testkit::pam_module_that_panics;

use crate::daemon::Daemon;
use crate::driver::Driver;

#[test]
fn a_panic_is_a_refusal_and_the_program_lives() {
    let daemon = Daemon::that_wants("hunter2");
    let call = |place: &str, hook: &str| {
        Driver::new(&daemon)
            .module(pam_module_that_panics())
            .argument(&format!("panic={place}"))
            .call(&[hook])
    };
    let hooks = [
        ("authenticate", 0, 7),
        ("acct_mgmt", 0, 6),
        ("open_session", 0, 14),
        ("close_session", 0, 14),
        ("setcred", 0, 17),
        ("chauthtok", 20, 20),
    ];
    for (hook, quiet, refused) in hooks {
        // At the entry; with the connection open; with an answer in memory.
        for place in [hook, "connected", "answered"] {
            let said = call(place, hook);
            let is_reached = place == hook || !["setcred", "chauthtok"].contains(&hook);
            let code = if is_reached { refused } else { quiet };
            assert_eq!(said.codes(), [code], "{hook} {place}");
            assert_eq!(said.stderr, "", "{hook} {place}");
            assert!(said.stdout.contains("alive and unchanged"), "{said:?}");
        }
        assert_eq!(call("nowhere", hook).codes(), [quiet], "{hook}");
    }
}
