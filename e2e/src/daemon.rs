//! The daemon of an SSH host, as its unit starts it.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use countersign_testkit::{Program, Running, bin};

/// Nothing here takes so long on a machine that has anything to do it with.
const PATIENCE: Duration = Duration::from_secs(60);
/// No test needs it longer.
const LIFE: Duration = Duration::from_secs(600);

/// Starts `countersign-pamd` with what is in `home`: `pam.toml`, and its sockets `pam.sock` and `control.sock`;
/// what has to survive it is in `state`. `change` has the last word. It listens when this returns.
///
/// # Panics
/// When it does not come to listen.
pub fn start_daemon(home: &Path, state: &Path, change: impl FnOnce(Program) -> Program) -> Running {
    let program = Program::new(bin("countersign-pamd"))
        .args(["run", "--log-stderr", "--config"])
        .arg(home.join("pam.toml"))
        .arg("--socket")
        .arg(home.join("pam.sock"))
        .arg("--control")
        .arg(home.join("control.sock"))
        .arg("--state")
        .arg(state)
        .limit(LIFE);
    let daemon = change(program).start();
    let begun = Instant::now();
    while UnixStream::connect(home.join("pam.sock")).is_err() {
        assert!(begun.elapsed() < PATIENCE, "{}", daemon.stderr());
        thread::sleep(Duration::from_millis(5));
    }
    daemon
}
