//! A real Chromium signs in, approves and denies on the pages of a real issuer.
//!
//! What is done and looked at stands in `e2e/browser`; this starts both sides.
//! Pictures of every page are left in `target/screenshots`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_e2e::browser_script;
use countersign_testkit::{Home, Program, Running, bin};

const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn people_can_do_on_the_pages_what_they_are_for() {
    let home = Home::new();
    let (issuer, state) = issuer(&home);
    let setup_link = issuer.wait_for_stderr(|text| {
        let line = text.lines().find(|line| line.contains("/setup?token="))?;
        Some(line.trim().to_owned())
    });
    let origin = setup_link
        .split_once("/setup")
        .expect("the link is the set-up page's")
        .0;
    let script = script("all.test.js", origin, &state);
    script.env("SETUP_LINK", &setup_link).run().expect_code(0);
}

/// At an issuer of their own: whoever is asked for a code cannot be in the way of others.
#[test]
fn people_have_something_beside_their_password() {
    let home = Home::new();
    let (issuer, state) = issuer(&home);
    let origin = issuer.wait_for_stdout(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("issuer="))?;
        text.ends_with('\n').then(|| line.to_owned())
    });
    let script = script("factors.test.js", &origin, &state);
    script.run().expect_code(0);
}

/// On disk, so that clients, people and keys can be added while it serves.
fn issuer(home: &Home) -> (Running, PathBuf) {
    let state = home.path().join("issuer");
    let issuer = Program::new(bin("countersign-issuer"))
        .arg("--state-dir")
        .arg(&state)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .home(home)
        .limit(LIMIT)
        .start();
    (issuer, state)
}

fn script(name: &str, origin: &str, state: &Path) -> Program {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    browser_script("--test")
        .args(["--test-reporter=spec", name])
        .env("ISSUER", origin)
        .env("ISSUER_PROGRAM", bin("countersign-issuer"))
        .env("ISSUER_STATE", state)
        .env("SCREENSHOTS", pictures)
}
