//! The Debian package, made as `cargo xtask package` makes it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use countersign_testkit::{Program, bin};

/// It compiles, if nobody has before.
const LONG: Duration = Duration::from_secs(900);

/// The Debian package of the daemon and the module, made if need be.
///
/// # Panics
/// When it cannot be made.
pub fn package() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(make).clone()
}

fn make() -> PathBuf {
    let daemon = bin("countersign-pamd");
    let target = daemon.ancestors().nth(2).expect("target/debug/program");
    let made = Program::new(bin("xtask"))
        .args(["package", "--profile", "dev"])
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO", env!("CARGO"))
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env(
            "RUSTUP_HOME",
            std::env::var_os("RUSTUP_HOME").unwrap_or_default(),
        )
        .env(
            "CARGO_HOME",
            std::env::var_os("CARGO_HOME").unwrap_or_default(),
        )
        .limit(LONG)
        .run()
        .expect_code(0);
    let last = made.stdout.lines().last();
    PathBuf::from(last.expect("where it is"))
}
