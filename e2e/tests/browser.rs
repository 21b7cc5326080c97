//! A real Chromium signs in, approves and denies on the pages of a real issuer.
//!
//! What is done and looked at stands in `e2e/browser`; this starts both sides.
//! Pictures of every page are left in `target/screenshots`.

use std::path::Path;
use std::time::Duration;

use countersign_e2e::browser_script;
use countersign_testkit::{Home, Program, bin};

#[test]
fn people_can_do_on_the_pages_what_they_are_for() {
    let limit = Duration::from_secs(240);
    let home = Home::new();
    // On disk, so that clients can be registered while it serves.
    let state = home.path().join("issuer");
    let issuer = Program::new(bin("countersign-issuer"))
        .arg("--state-dir")
        .arg(&state)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .home(&home)
        .limit(limit)
        .start();
    let setup_link = issuer.wait_for_stderr(|text| {
        let line = text.lines().find(|line| line.contains("/setup?token="))?;
        Some(line.trim().to_owned())
    });
    let origin = setup_link
        .split_once("/setup")
        .expect("the link is the set-up page's")
        .0;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    let outcome = browser_script("--test")
        .args(["--test-reporter=spec", "all.test.js"])
        .env("ISSUER", origin)
        .env("ISSUER_PROGRAM", bin("countersign-issuer"))
        .env("ISSUER_STATE", &state)
        .env("SETUP_LINK", &setup_link)
        .env("SCREENSHOTS", &pictures)
        .run();
    outcome.expect_code(0);
}
