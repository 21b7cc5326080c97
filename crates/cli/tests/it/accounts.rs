//! Several people, or one person several times, at one server.

use countersign_testkit::{ClientAuthentication, Endpoint};
use serde_json::json;

use crate::desk::Desk;
use crate::seat::Seat;

/// Whoever signs in from now on.
fn person(desk: &Desk, subject: &'static str, name: &'static str) {
    desk.provider.edit_id_token(move |_, claims| {
        claims["sub"] = json!(subject);
        claims["name"] = json!(name);
        claims["email"] = json!(format!("{subject}@example.com"));
        claims["preferred_username"] = json!(subject);
    });
}

/// A desk at which Ada and then Bob have signed in.
pub(crate) fn two() -> Desk {
    let desk = Desk::with_profile();
    for (subject, name) in [("ada", "Ada Lovelace"), ("bob", "Bob Stone")] {
        person(&desk, subject, name);
        desk.program("login").run().expect_code(0);
    }
    desk
}

#[test]
fn another_person_is_kept_beside_and_switched_to_and_fro() {
    let mut desk = Desk::with_profile();
    person(&desk, "ada", "Ada Lovelace");
    desk.run("login").expect_code(0);
    desk.run("switch").expect_code(2);
    person(&desk, "bob", "Bob Stone");
    desk.run("login").expect_code(0);
    desk.run("status").expect_code(0);
    let bobs = desk.run_silently("token");
    desk.run("switch").expect_code(0);
    desk.run("whoami").expect_code(0);
    let adas = desk.run_silently("token");
    assert_ne!(bobs, adas);
    assert_eq!(desk.run_silently("--account bob token"), bobs);
    assert_eq!(desk.run_silently("token --account bob@example.com"), bobs);
    desk.run("status --json").expect_code(0);
    desk.run("switch BOB").expect_code(0);
    desk.run("whoami").expect_code(0);
    desk.run("whoami --account ada").expect_code(0);
    desk.note("A variable wins until it is gone.");
    desk.export("COUNTERSIGN_ACCOUNT", "ada");
    desk.run("whoami --json").expect_code(0);
    desk.run("switch bob").expect_code(0);
    assert_eq!(desk.run_silently("token"), adas);
    desk.unset("COUNTERSIGN_ACCOUNT");
    assert_eq!(desk.run_silently("token"), bobs);
    desk.note("Mistakes");
    desk.run("switch eve").expect_code(4);
    desk.run("token --account eve").expect_code(4);
    desk.run("--issuer https://other.example token --account ada")
        .expect_code(2);
    desk.run("profile rm default").expect_code(2);
    desk.check("accounts");
}

#[test]
fn a_named_account_is_for_one_person() {
    let mut desk = Desk::with_profile();
    person(&desk, "ada", "Ada Lovelace");
    desk.run("login").expect_code(0);
    person(&desk, "root", "Operations");
    desk.run("login --account ops").expect_code(0);
    let before = desk.run_silently("token --account ops");
    desk.note("The browser still knows Ada.");
    person(&desk, "ada", "Ada Lovelace");
    desk.run("login --account ops").expect_code(5);
    desk.run("login --account ada-2").expect_code(5);
    person(&desk, "eve", "Eve\u{1b}[2J");
    desk.run("login --account dan@example.com").expect_code(5);
    assert_eq!(desk.run_silently("token --account ops"), before);
    let revoked = desk.provider.requests(Endpoint::Revocation).len();
    assert_eq!(
        revoked, 6,
        "what three people brought in vain was taken back"
    );
    desk.run("status").expect_code(0);
    desk.run("login --account Two%20Words").expect_code(7);
    desk.check("accounts-named");
}

#[test]
fn after_a_logout_nobody_becomes_somebody_else() {
    let mut desk = two();
    desk.run("logout").expect_code(0);
    desk.run("token").expect_code(4);
    desk.run("status").expect_code(4);
    desk.run("switch").expect_code(0);
    desk.run("token -o header").expect_code(0);
    desk.note("As if there had never been another.");
    let sessions = desk.home.state_dir().join("sessions/default.json");
    let text = std::fs::read_to_string(sessions).unwrap();
    assert!(!text.contains("has_others"));
    assert!(!desk.home.state_dir().join("accounts/default.json").exists());
    desk.run("status").expect_code(0);
    person(&desk, "bob", "Bob Stone");
    desk.program("login").run().expect_code(0);
    desk.run("logout --account ada").expect_code(0);
    desk.run("whoami").expect_code(0);
    desk.run("logout --account ada").expect_code(4);
    desk.run("logout --all").expect_code(0);
    desk.run("token").expect_code(4);
    desk.check("accounts-logout");
}

#[test]
fn of_three_a_person_chooses_and_a_script_is_told() {
    let mut desk = two();
    person(&desk, "eve", "Eve Hill");
    desk.program("login").run().expect_code(0);
    desk.run("switch").expect_code(2);
    let mut seated = Seat::at(&desk).types("switch");
    seated.see("Account:");
    seated.types_line("9");
    seated.types_line("2");
    let left = seated.end();
    assert!(left.status.success(), "{}", left.text);
    desk.show_screen(&left.text);
    desk.run("whoami").expect_code(0);
    desk.check("accounts-three");
}

#[test]
fn other_programs_are_set_up_for_one_account() {
    let mut desk = two();
    desk.configure(
        "[profile.default]\nissuer = \"ISSUER\"\n[profile.default.git]\nhosts = [\"git.example.com\"]\n\
         [profile.default.aws]\nrole_arn = \"arn:aws:iam::123456789012:role/dev\"\nregion = \"eu-central-1\"\n",
    );
    let program = env!("CARGO_BIN_EXE_countersign");
    desk.hide(program, "countersign");
    desk.run("credential install git --account ada --print")
        .expect_code(0);
    desk.run("credential install aws --account ada@example.com --print")
        .expect_code(0);
    desk.run("credential install docker r.example.com --account ada --print")
        .expect_code(2);
    desk.run("credential install git --account ada;reboot --print")
        .expect_code(2);
    let bobs = desk.run_silently("credential kubernetes --access-token");
    let adas = desk.run_silently("--account ada credential kubernetes --access-token");
    assert!(adas.contains("token") && adas != bobs);
    let environment = desk.run_silently("exec --account ada --env T -- /usr/bin/env");
    let token = desk.run_silently("token --account ada");
    assert!(environment.contains(&format!("T={token}")));
    desk.check("accounts-install");
}

#[test]
fn a_client_and_a_person_are_two_accounts() {
    let desk = Desk::signed_in();
    let secret = desk.home.path().join("secret");
    std::fs::write(&secret, "canary-client-secret").unwrap();
    desk.provider
        .demand_authentication(ClientAuthentication::SecretBasic(
            "canary-client-secret".to_owned(),
        ));
    let login = format!(
        "login --flow client-credentials --client-secret-file {}",
        secret.display()
    );
    desk.program(&login).run().expect_code(0);
    let status = desk.run_silently("status --json");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(status["account"], "cli");
}
