//! `cargo xtask package`: the Debian package for hosts, of the daemon and the PAM module.
//!
//! What goes where is the table below; units and scripts are in `packaging`. Not responsible for a
//! repository to publish it in, nor for its signature.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::{self, cargo, root};
use crate::steps::{Failure, Steps};

const NAME: &str = "countersign-pamd";
/// The program, stripped of what only those who mend it read.
const PROFILE: &str = "dist";

/// Files of this repository, where they go, and their modes.
const FILES: &[(&str, &str, u32)] = &[
    (
        "packaging/systemd/countersign-pamd.service",
        "lib/systemd/system/countersign-pamd.service",
        0o644,
    ),
    (
        "packaging/systemd/countersign-pamd.socket",
        "lib/systemd/system/countersign-pamd.socket",
        0o644,
    ),
    (
        "packaging/sysusers.d/countersign-pamd.conf",
        "usr/lib/sysusers.d/countersign-pamd.conf",
        0o644,
    ),
    (
        "crates/pamd/pam.toml",
        "usr/share/doc/countersign-pamd/examples/pam.toml",
        0o644,
    ),
    (
        "docs/ssh.md",
        "usr/share/doc/countersign-pamd/ssh.md",
        0o644,
    ),
    (
        "docs/ssh-sudo.md",
        "usr/share/doc/countersign-pamd/ssh-sudo.md",
        0o644,
    ),
    (
        "docs/past-cves.md",
        "usr/share/doc/countersign-pamd/past-cves.md",
        0o644,
    ),
    (
        "LICENSE-MIT",
        "usr/share/doc/countersign-pamd/LICENSE-MIT",
        0o644,
    ),
    (
        "LICENSE-APACHE",
        "usr/share/doc/countersign-pamd/LICENSE-APACHE",
        0o644,
    ),
    ("packaging/debian/postinst", "DEBIAN/postinst", 0o755),
    ("packaging/debian/prerm", "DEBIAN/prerm", 0o755),
    ("packaging/debian/postrm", "DEBIAN/postrm", 0o755),
];

/// Makes the package; the last line says where it is.
pub(crate) fn run(options: &[&str]) -> ExitCode {
    let profile = match options {
        [] => PROFILE,
        ["--profile", profile] => profile,
        _ => {
            println!("cargo xtask package [--profile PROFILE]");
            return ExitCode::from(2);
        }
    };
    let mut steps = Steps::default();
    let built = steps.run("build the daemon", || build("countersign-pamd", profile))
        && steps.run("build the module", || build("countersign-pam", "pam"));
    let mut made = None;
    if built {
        steps.run("package", || {
            made = Some(package(profile)?);
            Ok(())
        });
    }
    let code = steps.finish();
    if let Some(made) = made {
        println!("{}", made.display());
    }
    code
}

fn build(package: &str, profile: &str) -> Result<(), Failure> {
    let arguments = ["build", "--locked", "--profile", profile];
    command::run(cargo().args(arguments).args(["--package", package]))
}

fn package(profile: &str) -> Result<PathBuf, Failure> {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |path| root().join(path));
    let stage = target.join("package").join(NAME);
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|error| at(&stage, &error))?;
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    place(
        &target.join(folder).join(NAME),
        &stage.join("usr/sbin").join(NAME),
        0o755,
    )?;
    let triplet = command::output(command::program("gcc").arg("-print-multiarch"))?;
    place(
        &target.join("pam/libpam_countersign.so"),
        &stage
            .join("usr/lib")
            .join(triplet.trim())
            .join("security/pam_countersign.so"),
        0o644,
    )?;
    for (from, to, mode) in FILES {
        place(&root().join(from), &stage.join(to), *mode)?;
    }
    // Where the administrator writes.
    let settings = stage.join("etc/countersign");
    fs::create_dir_all(&settings).map_err(|error| at(&settings, &error))?;
    let architecture = command::output(command::program("dpkg").arg("--print-architecture"))?;
    let version = env!("CARGO_PKG_VERSION");
    let control = control(version, architecture.trim());
    let file = stage.join("DEBIAN/control");
    fs::write(&file, control).map_err(|error| at(&file, &error))?;
    let made = format!("{NAME}_{version}_{}.deb", architecture.trim());
    let made = target.join("package").join(made);
    // Small where it is shipped, made at once where it is tried.
    let compression: &[&str] = match profile {
        PROFILE => &["-Zxz"],
        _ => &["-Zgzip", "-z1"],
    };
    command::run(
        Command::new("dpkg-deb")
            .arg("--root-owner-group")
            .args(compression)
            .arg("--build")
            .args([&stage, &made]),
    )?;
    Ok(made)
}

fn place(from: &Path, to: &Path, mode: u32) -> Result<(), Failure> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).map_err(|error| at(directory, &error))?;
    }
    fs::copy(from, to).map_err(|error| at(from, &error))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(|error| at(to, &error))
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    format!("{}: {error}", path.display())
}

fn control(version: &str, architecture: &str) -> String {
    format!(
        "\
Package: {NAME}
Version: {version}
Architecture: {architecture}
Maintainer: The Countersign developers <maintainers@countersign.invalid>
Section: admin
Priority: optional
Depends: libc6 (>= 2.36), libgcc-s1, libpam0g, systemd | passwd
Recommends: openssh-server
Description: sign-in to SSH hosts by single sign-on
 A PAM module that lets people into a host by the device grant of their
 company's OpenID provider, with a QR code in the terminal, and the daemon
 behind it, which maps them to accounts by policy and ends their sessions
 when access is withdrawn.
 .
 Nothing changes who may log in before /etc/pam.d and
 /etc/countersign/pam.toml say so.
"
    )
}
