//! The profile of a directory: what it may say, and what a hostile one cannot do.

use std::fs;
use std::os::unix::fs::symlink;

use crate::accounts::two;
use crate::desk::Desk;

const FILE: &str = ".countersign.toml";

/// A desk with two profiles, of which `default` is in use.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.configure(
        "default_profile = \"default\"\n[profile.default]\nissuer = \"ISSUER\"\n\
         [profile.staging]\nissuer = \"ISSUER\"\nclient_id = \"staging\"\n",
    );
    desk
}

#[test]
fn a_directory_chooses_among_the_profiles_once_it_is_trusted() {
    let mut desk = desk();
    desk.change_directory("work/project/deep");
    desk.change_directory("work/project");
    desk.write_here(FILE, "profile = \"staging\"\n");
    desk.note("It says what it wants, and is not heard.");
    desk.run("status").expect_code(4);
    desk.run("trust").expect_code(0);
    desk.run("status").expect_code(4);
    desk.change_directory("work/project/deep");
    desk.run("status --json").expect_code(4);
    desk.note("Whoever says it more plainly is heard.");
    desk.run("-p default status").expect_code(4);
    desk.run("--no-directory status").expect_code(4);
    desk.export("COUNTERSIGN_NO_DIRECTORY", "1");
    desk.run("status").expect_code(4);
    desk.unset("COUNTERSIGN_NO_DIRECTORY");
    desk.export("COUNTERSIGN_PROFILE", "default");
    desk.run("status").expect_code(4);
    desk.unset("COUNTERSIGN_PROFILE");
    desk.note("Somebody changes it.");
    desk.change_directory("work/project");
    desk.write_here(FILE, "profile = \"default\"\n");
    desk.run("status").expect_code(4);
    desk.run("trust --remove").expect_code(0);
    desk.run("trust --remove").expect_code(0);
    desk.run("status").expect_code(4);
    desk.run("-q status").expect_code(4);
    desk.note("Elsewhere there is no such thing.");
    desk.change_directory("work");
    desk.run("status").expect_code(4);
    desk.run("trust").expect_code(7);
    desk.run("trust missing").expect_code(7);
    desk.check("directory");
}

#[test]
fn a_directory_names_an_account_of_its_profile() {
    let mut desk = two();
    desk.hide(env!("CARGO_BIN_EXE_countersign"), "countersign");
    let bobs = desk.run_silently("token");
    desk.change_directory("ada");
    desk.write_here(FILE, "profile = \"default\"\naccount = \"ada\"\n");
    assert_eq!(desk.run_silently("token"), bobs);
    desk.run("trust .").expect_code(0);
    desk.run("whoami").expect_code(0);
    desk.run("whoami --account bob").expect_code(0);
    desk.run("switch bob").expect_code(0);
    desk.run("credential install git git.example.com --print")
        .expect_code(0);
    let environment = desk.run_silently("exec --env T -- /usr/bin/env");
    assert!(
        !environment.contains(bobs.trim()),
        "the directory's account"
    );
    // It belongs to the profile that was named beside it, and to no other.
    let other = "-p default whoami";
    assert!(desk.run_silently(other).contains("Bob"));
    desk.note("Nobody is signed in as that.");
    desk.write_here(FILE, "profile = \"default\"\naccount = \"eve\"\n");
    desk.run("trust").expect_code(0);
    desk.run("token").expect_code(4);
    desk.check("directory-account");
}

#[test]
fn a_hostile_repository_gets_one_line() {
    let mut desk = desk();
    desk.program("login").run().expect_code(0);
    let token = desk.run_silently("token");
    desk.change_directory("clone");
    let file = desk.home.path().join("clone").join(FILE);
    for text in [
        "issuer = \"https://evil.example\"\n",
        "profile = \"staging\"\nissuer = \"https://evil.example\"\n",
        "profile = \"staging\"\nbrowser = \"sh -c reboot\"\n",
        "profile = \"\\u001b]0;x\\u0007\"\n",
        "profile = \"staging\n",
        "profile = [\"staging\"]\n",
    ] {
        fs::write(&file, text).unwrap();
        let done = desk.program("token").run().expect_code(0);
        assert_eq!(done.stdout, token);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
        desk.show(&format!(
            "# {}",
            text.trim_end().replace('\n', ", ").replace("\\u", "%u")
        ));
        desk.run("status").expect_code(0);
        desk.run("trust").expect_code(7);
    }
    fs::remove_file(&file).unwrap();
    let secret = desk.home.path().join("secret");
    fs::write(&secret, "profile = \"staging\"\n").unwrap();
    symlink(&secret, &file).unwrap();
    desk.note("A link");
    desk.run("status").expect_code(0);
    desk.run("trust").expect_code(7);
    // None of this was agreed to, and nothing was written.
    assert!(!desk.home.state_dir().join("trusted").exists());
    desk.check("directory-hostile");
}

#[test]
fn trust_is_in_one_place_and_needs_no_profile() {
    let mut desk = desk();
    desk.change_directory("one");
    desk.write_here(FILE, "profile = \"later\"\n");
    desk.run("trust").expect_code(0);
    desk.run("token").expect_code(7);
    desk.note("A copy elsewhere is another file.");
    desk.change_directory("two");
    desk.write_here(FILE, "profile = \"later\"\n");
    desk.run("status").expect_code(4);
    desk.check("directory-trust");
}
