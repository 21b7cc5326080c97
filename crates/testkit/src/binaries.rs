//! The workspace's own programs, and its PAM module, built as a user would get them.

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
    once(name, || {
        if let Some(directory) = env::var_os("COUNTERSIGN_BIN_DIR") {
            return Path::new(&directory).join(name);
        }
        let (target_dir, profile) = running_from();
        let profile = if profile == "debug" { "dev" } else { &profile };
        // Programs have the name of their package.
        let mut what = vec!["--package", name, "--bin", name];
        if let Some(beside) = beside(name) {
            what.extend(["--package", beside]);
        }
        build(&target_dir, profile, &what).join(name)
    })
}

/// The program whose dependencies an example has as well, with all their features: those are built
/// already, or will be.
fn beside(example: &str) -> Option<&'static str> {
    match example {
        "opsctl" => Some("countersign"),
        "opsctl-api" => Some("countersign-gateway"),
        _ => None,
    }
}

/// The path of the PAM module as it is shipped, built if need be: with the profile `pam`, whatever the
/// tests are built with. `COUNTERSIGN_BIN_DIR` is not looked at, because a stack names its modules by
/// their paths.
///
/// # Panics
/// When it does not build.
pub fn pam_module() -> PathBuf {
    once("pam_countersign.so", || {
        let (target_dir, _) = running_from();
        build(&target_dir, "pam", &["--package", "countersign-pam"]).join(MODULE)
    })
}

/// The PAM module with its argument `panic=PLACE`, which no other build knows.
///
/// # Panics
/// When it does not build.
pub fn pam_module_that_panics() -> PathBuf {
    once("pam_countersign.so that panics", || {
        let (target_dir, _) = running_from();
        // In a directory of its own, where nobody takes it for the other.
        let target_dir = target_dir.join("pam-panics");
        let what = [
            "--package",
            "countersign-pam",
            "--features",
            "danger_panic_injection",
        ];
        build(&target_dir, "dev", &what).join(MODULE)
    })
}

/// The PAM module with LLVM's address sanitizer in it, and the library that this needs in the program
/// that loads it.
///
/// # Panics
/// When it does not build.
pub fn pam_module_under_sanitizer() -> (PathBuf, PathBuf) {
    let host = rustc(&["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.expect("rustc names its host");
    let module = once("pam_countersign.so under the sanitizer", || {
        let (target_dir, _) = running_from();
        let target_dir = target_dir.join("pam-asan");
        // Naming the target keeps the flag away from build scripts.
        let what = ["--package", "countersign-pam", "--target", host];
        let environment = [
            // The flag is not stable; what it leads to comes with the stable compiler.
            ("RUSTC_BOOTSTRAP", "1"),
            ("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address"),
        ];
        build_with(&target_dir, "dev", &what, &environment);
        target_dir.join(host).join("debug").join(MODULE)
    });
    let library = format!("lib/rustlib/{host}/lib/librustc-stable_rt.asan.a");
    let sysroot = rustc(&["--print", "sysroot"]);
    (module, Path::new(sysroot.trim()).join(library))
}

fn rustc(arguments: &[&str]) -> String {
    let output = Command::new("rustc").args(arguments).output();
    let output = output.expect("rustc is there: it built this test");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What cargo calls the module.
const MODULE: &str = "libpam_countersign.so";

/// The path of what is built at most once in a test process.
fn once(name: &str, make: impl FnOnce() -> PathBuf) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    // The lock is held while building, so that parallel tests wait for one build.
    let mut built = BUILT
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let path = make();
    assert!(path.is_file(), "there is nothing at {}", path.display());
    built.insert(name.to_owned(), path.clone());
    path
}

/// Runs `cargo build`, and returns the directory that the results are in.
fn build(target_dir: &Path, profile: &str, what: &[&str]) -> PathBuf {
    build_with(target_dir, profile, what, &[])
}

/// As `build`, with these variables.
fn build_with(
    target_dir: &Path,
    profile: &str,
    what: &[&str],
    environment: &[(&str, &str)],
) -> PathBuf {
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
        .envs(environment.iter().copied())
        .args(["build", "--quiet"])
        .args(what)
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo is there: it runs this test");
    assert!(
        output.status.success(),
        "{what:?} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target_dir.join(if profile == "dev" { "debug" } else { profile })
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
