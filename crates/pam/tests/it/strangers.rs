//! pamtester calls the module, in the PAM that `libpam_wrapper` puts under it: without root, and
//! without a file in `/etc`.

use std::path::{Path, PathBuf};

use countersign_testkit::{Finished, Program, pam_module};

use crate::daemon::Daemon;
use crate::driver::service_directory;

/// Where Debian has it, for whatever processor.
fn wrapper() -> PathBuf {
    let name = "libpam_wrapper.so";
    let lib = Path::new("/usr/lib");
    let mut directories = std::fs::read_dir(lib).unwrap().map(|it| it.unwrap().path());
    let found = directories.find(|directory| directory.join(name).exists());
    found.expect("libpam-wrapper is installed").join(name)
}

fn pamtester(daemon: &Daemon, typed: &str) -> Finished {
    let socket = daemon.socket();
    let services = service_directory(&pam_module(), &format!("socket={}", socket.display()));
    Program::new("pamtester")
        .args(["-v", "probe", "ada", "authenticate", "acct_mgmt"])
        .args(["open_session", "close_session"])
        .env("LD_PRELOAD", wrapper())
        .env("PAM_WRAPPER", "1")
        .env("PAM_WRAPPER_SERVICE_DIR", services.path())
        .stdin(typed)
        .run()
}

#[test]
fn pamtester_signs_in_and_out() {
    let daemon = Daemon::that_wants("hunter2");
    let finished = pamtester(&daemon, "hunter2\n");
    assert_eq!(finished.code(), Some(0), "{finished:?}");
    let shown = format!("{}{}", finished.stdout, finished.stderr);
    for text in [
        "Code for ada: ",
        "Welcome, Ada.",
        "successfully authenticated",
        "account management done",
        "successfully opened a session",
        "session has successfully been closed",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(daemon.heard().len(), 4);
}

#[test]
fn pamtester_is_refused() {
    let daemon = Daemon::that_wants("hunter2");
    let finished = pamtester(&daemon, "hunter3\n");
    assert_eq!(finished.code(), Some(1), "{finished:?}");
    let shown = format!("{}{}", finished.stdout, finished.stderr);
    assert!(shown.contains("Authentication failure"), "{shown}");
    assert_eq!(daemon.heard().len(), 1);
}
