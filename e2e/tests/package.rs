//! The Debian package: it installs cleanly, into a root of its own, and goes without a trace; but not
//! while a stack of PAM would let nobody in without it.
//!
//! Not responsible for systemd, which is not in that root.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use countersign_e2e::package;
use countersign_testkit::{Finished, Program, bin};
use tempfile::TempDir;

/// A root in which nothing is installed.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc/pam.d"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        for file in ["passwd", "group"] {
            fs::copy(
                Path::new("/etc").join(file),
                root.path().join("etc").join(file),
            )
            .unwrap();
        }
        Self(root)
    }

    fn dpkg(&self, arguments: &[&str]) -> Finished {
        let root = self.0.path().display();
        Program::new("dpkg")
            .arg(format!("--instdir={root}"))
            .arg(format!("--admindir={root}/var/lib/dpkg"))
            // Nothing is installed there that it depends on, and nobody changes the root.
            .args([
                "--force-script-chrootless",
                "--force-depends",
                "--force-not-root",
            ])
            .args(["--log=/dev/null"])
            .args(arguments)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .limit(Duration::from_secs(120))
            .run()
    }

    /// Every file with its mode, dpkg's own and the tables of users apart.
    fn files(&self) -> BTreeMap<String, u32> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.0.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.0.path()).unwrap();
                let name = name.to_str().unwrap().to_owned();
                if path.is_dir() {
                    left.push(path);
                } else if !name.starts_with("var/lib/dpkg/") && !name.starts_with("etc/") {
                    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                    found.insert(name, mode);
                }
            }
        }
        found
    }
}

#[test]
fn the_package_installs_cleanly_and_goes_cleanly() {
    let package = package();
    let root = Root::new();
    let package = package.to_str().unwrap();
    root.dpkg(&["--install", package]).expect_code(0);

    let files = root.files();
    let mode = |end: &str| {
        let mut found = files.iter().filter(|(name, _)| name.ends_with(end));
        let (_, mode) = found
            .next()
            .unwrap_or_else(|| panic!("no {end}: {files:?}"));
        *mode
    };
    assert_eq!(mode("usr/sbin/countersign-pamd"), 0o755);
    assert_eq!(mode("/security/pam_countersign.so"), 0o644);
    assert_eq!(mode("systemd/system/countersign-pamd.service"), 0o644);
    assert_eq!(mode("systemd/system/countersign-pamd.socket"), 0o644);
    assert_eq!(mode("doc/countersign-pamd/ssh.md"), 0o644);
    let users = fs::read_to_string(root.0.path().join("etc/passwd")).unwrap();
    assert!(users.contains("\n_countersign:x:"), "{users}");
    // Once more is an upgrade.
    root.dpkg(&["--install", package]).expect_code(0);

    // A stack that names the module keeps it here, a comment does not.
    let stack = root.0.path().join("etc/pam.d/sshd");
    fs::write(&stack, "auth required pam_countersign.so\n").unwrap();
    let refused = root.dpkg(&["--remove", "countersign-pamd"]);
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("etc/pam.d/sshd"),
        "{}",
        refused.stderr
    );
    assert_eq!(root.files(), files);
    fs::write(&stack, "# auth required pam_countersign.so\n").unwrap();
    let settings = root.0.path().join("etc/countersign");
    fs::write(settings.join("pam.toml"), "").unwrap();
    root.dpkg(&["--remove", "countersign-pamd"]).expect_code(0);
    assert_eq!(root.files(), BTreeMap::new());
    assert!(settings.join("pam.toml").exists());
    root.dpkg(&["--purge", "countersign-pamd"]).expect_code(0);
    assert!(!settings.exists());
}

#[test]
fn systemd_takes_the_units() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    let here = tempfile::tempdir().unwrap();
    for name in ["countersign-pamd.socket", "countersign-pamd.service"] {
        let unit = fs::read_to_string(units.join(name)).unwrap();
        // The program is somewhere else before it is installed.
        let program = bin("countersign-pamd");
        let unit = unit.replace("/usr/sbin/countersign-pamd", program.to_str().unwrap());
        fs::write(here.path().join(name), unit).unwrap();
    }
    let said = Program::new("systemd-analyze")
        .arg("verify")
        .arg(here.path().join("countersign-pamd.socket"))
        .arg(here.path().join("countersign-pamd.service"))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .run()
        .expect_code(0);
    // What it does not know it only mentions.
    assert!(!said.stderr.contains("countersign-pamd"), "{}", said.stderr);
}
