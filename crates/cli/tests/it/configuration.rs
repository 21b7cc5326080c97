//! Profiles, files, precedence, and what happens without any of them.

use std::fs;

use crate::desk::Desk;

#[test]
fn without_a_profile_every_command_says_what_to_type() {
    let mut desk = Desk::new();
    for command in [
        "login",
        "token",
        "status",
        "whoami",
        "logout",
        "curl https://api.example.com",
        "inspect",
    ] {
        desk.run(command).expect_code(7);
    }
    desk.run("profile list").expect_code(0);
    desk.check("no-profile");
}

#[test]
fn profiles_are_added_listed_shown_chosen_and_removed() {
    let mut desk = Desk::new();
    desk.run("profile add work --issuer https://login.example.com --client-id terminal")
        .expect_code(0);
    desk.run("profile add home --issuer http://127.0.0.1:8080 --scope openid --scope email --audience api")
        .expect_code(0);
    desk.run("profile list").expect_code(0);
    desk.run("profile use home").expect_code(0);
    desk.run("profile list").expect_code(0);
    desk.run("profile list --json").expect_code(0);
    desk.run("profile show").expect_code(0);
    desk.run("profile show home").expect_code(0);
    desk.run("-p home profile show --timeout 5").expect_code(0);
    desk.run("profile rm home").expect_code(0);
    desk.run("profile list").expect_code(0);
    desk.note("Mistakes");
    desk.run("profile add work --issuer https://login.example.com")
        .expect_code(2);
    desk.run("profile add Work --issuer https://login.example.com")
        .expect_code(2);
    desk.run("profile add other").expect_code(2);
    desk.run("profile add other --issuer http://login.example.com")
        .expect_code(7);
    desk.run("profile show home").expect_code(7);
    desk.run("profile use home").expect_code(7);
    desk.run("profile rm home").expect_code(7);
    desk.run("-p home token").expect_code(7);
    desk.show("# The file");
    let file = fs::read_to_string(desk.home.config_dir().join("config.toml")).unwrap();
    desk.show(&file);
    desk.check("profiles");
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line_and_a_secret_in_it_is_not_repeated() {
    let mut desk = Desk::new();
    desk.configure("[profile.work]\nissuer = \"ISSUER\"\nclient_secret = \"hunter2\"\n");
    let done = desk.run("status").expect_code(7);
    assert!(!done.stderr.contains("hunter2"));
    desk.configure("[profile.work]\nissuer = \"ISSUER\"\nqr = \"sometimes\"\n");
    desk.run("token").expect_code(7);
    desk.configure("default_profile = \"work\"\n[profile.home]\nissuer = \"ISSUER\"\n");
    desk.run("token").expect_code(7);
    desk.configure("[profile.work]\nclient_id = \"cli\"\n");
    desk.run("token").expect_code(7);
    desk.configure("[profile.work]\nissuer = \"ISSUER\"\n[profile.home]\nissuer = \"ISSUER\"\n");
    desk.run("token").expect_code(7);
    desk.run("profile list").expect_code(0);
    desk.configure("[profile.work\n");
    desk.run("login").expect_code(7);
    desk.note("These two work whatever the files say.");
    desk.run("version").expect_code(0);
    assert!(
        desk.program("completion bash")
            .run()
            .expect_code(0)
            .stdout
            .contains("countersign")
    );
    desk.check("files");
}

#[test]
fn what_a_company_ships_needs_no_typing_and_can_be_overridden() {
    let mut desk = Desk::new();
    desk.configure_system("10-company.toml", "default_profile = \"company\"\n[defaults]\ntimeout = \"7s\"\n[profile.company]\nissuer = \"https://login.example.com\"\nclient_id = \"terminal\"\n");
    desk.configure_system("20-site.toml", "[defaults]\nlogin_timeout = \"2m\"\n");
    desk.run("profile show").expect_code(0);
    desk.configure("[profile.company]\nclient_id = \"mine\"\n");
    desk.export("COUNTERSIGN_TIMEOUT", "9s");
    desk.run("profile show").expect_code(0);
    desk.run("profile show --timeout 11s").expect_code(0);
    desk.run("profile rm company").expect_code(0);
    desk.run("profile rm company").expect_code(7);
    desk.check("company");
}

#[test]
fn every_shell_gets_a_completion_script_with_all_commands() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = desk
            .program(&format!("completion {shell}"))
            .run()
            .expect_code(0)
            .stdout;
        for word in ["login", "get-token", "min-ttl", "profile", "no-browser"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    desk.program("completion tcsh").run().expect_code(2);
}

#[test]
fn mistakes_on_the_command_line_leave_with_two() {
    let mut desk = Desk::with_profile();
    for arguments in [
        "tokne",
        "token --min-ttl soon",
        "token --output yaml",
        "login --param nonsense",
        "-q -v status",
        "inspect eyJhbGciOiJub25lIn0.e30.",
    ] {
        let done = desk.run(arguments).expect_code(2);
        assert_eq!(done.stdout, "");
    }
    desk.check("usage");
}
