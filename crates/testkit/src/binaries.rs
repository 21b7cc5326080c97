//! The workspace's own programs, built as a user would get them.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The path of a program of this workspace (`countersign`, `countersign-issuer`), built if need be.
///
/// It is built alone (`cargo build --package`), not as part of the workspace: otherwise cargo would
/// give the client the features that only the servers ask for, and the tests would run a program
/// that nobody ships. Each is built at most once in a test process. `COUNTERSIGN_BIN_DIR` names a
/// directory of ready-made programs to use instead.
///
/// # Panics
/// When the program does not build; cargo's own messages are in the panic.
pub fn bin(name: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    // The lock is held while building, so that parallel tests wait for one build.
    let mut built = BUILT
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let path = match env::var_os("COUNTERSIGN_BIN_DIR") {
        Some(directory) => Path::new(&directory).join(name),
        None => build(name),
    };
    assert!(path.is_file(), "there is no program at {}", path.display());
    built.insert(name.to_owned(), path.clone());
    path
}

/// Programs have the name of their package.
fn build(name: &str) -> PathBuf {
    let (target_dir, profile) = running_from();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        // Cargo tells a test about its package in these. Build scripts that look at them (ring's)
        // would be run again, and all above them built again, each time someone else asks.
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let output = cargo
        .args(["build", "--quiet", "--package", name, "--bin", name])
        .args([
            "--profile",
            if profile == "debug" { "dev" } else { &profile },
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo is there: it runs this test");
    assert!(
        output.status.success(),
        "{name} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target_dir.join(profile).join(name)
}

/// The target directory and profile directory of the running test:
/// `target/debug/deps/some_test-0123`, or `target/debug/examples/…`.
fn running_from() -> (PathBuf, String) {
    let test = env::current_exe().expect("a test knows its own path");
    let profile_dir = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let target_dir = profile_dir.parent().expect("target/<profile>");
    let profile = profile_dir
        .file_name()
        .expect("a profile directory has a name");
    (
        target_dir.to_owned(),
        profile.to_string_lossy().into_owned(),
    )
}
