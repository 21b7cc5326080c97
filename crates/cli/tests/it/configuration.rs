//! Profiles, files, precedence, and what happens without any of them.

use std::fs;

use crate::desk::Desk;
use crate::seat::Seat;

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
fn a_profile_takes_every_flag_of_a_login_and_says_where_each_value_comes_from() {
    let mut desk = Desk::new();
    desk.run(
        "profile add work --provider okta --org acme --server default --client-id 0oa1 \
         --client-key-file /run/key.pem --scope openid --audience api \
         --resource https://api.example.com --connection staff --prompt login --login-hint ada \
         --acr phr --acr phrh --max-age 8h --param tenant=blue --dpop --flow browser \
         --redirect-uri http://localhost/callback --port 6363 --port 6364 \
         --browser firefox --no-browser --qr never --login-timeout 3m --timeout 5s",
    )
    .expect_code(0);
    let file = fs::read_to_string(desk.home.config_dir().join("config.toml")).unwrap();
    desk.show("# The file");
    desk.show(&file);
    desk.run("profile show").expect_code(0);
    desk.note("Flags win over the environment, and the environment over the profile.");
    desk.export("COUNTERSIGN_FLOW", "device");
    desk.export("COUNTERSIGN_BROWSER", "chromium");
    desk.run("profile show --browser w3m").expect_code(0);
    desk.unset("COUNTERSIGN_FLOW");
    desk.unset("COUNTERSIGN_BROWSER");
    desk.note("Of each provider, its issuer is known.");
    desk.run("profile add plain --provider google --client-id c.apps.googleusercontent.com")
        .expect_code(0);
    desk.run("profile list").expect_code(0);
    desk.note("Mistakes");
    desk.run("profile add other --provider okta --client-id c")
        .expect_code(7);
    desk.run("profile add other --provider okta --org acme")
        .expect_code(7);
    desk.run("profile add other --org acme").expect_code(7);
    desk.run("profile add other --provider google --client-id c --org acme")
        .expect_code(7);
    desk.run("profile add other --provider okta --org acme --issuer https://a.example")
        .expect_code(7);
    desk.run("profile add other --provider octa").expect_code(2);
    desk.run("profile add other --issuer https://a.example --flow sms")
        .expect_code(2);
    desk.run("profile add other --issuer https://a.example --port 0")
        .expect_code(2);
    desk.check("profile-flags");
}

#[test]
fn what_a_company_forbids_no_file_variable_or_flag_allows() {
    let mut desk = Desk::with_profile();
    desk.configure_system(
        "10-company.toml",
        "[limits]\nallowed_flows = [\"browser\", \"paste\"]\n",
    );
    desk.run("profile show").expect_code(0);
    desk.note("A flag");
    desk.run("login --flow device").expect_code(7);
    desk.run("profile add other --issuer ISSUER --flow device")
        .expect_code(7);
    desk.note("A variable");
    desk.export("COUNTERSIGN_FLOW", "device");
    desk.run("login").expect_code(7);
    desk.unset("COUNTERSIGN_FLOW");
    desk.note("The person's own file");
    desk.configure(
        "[limits]\nallowed_flows = [\"device\", \"paste\"]\n\
         [profile.default]\nissuer = \"ISSUER\"\nflow = \"device\"\n",
    );
    desk.run("login").expect_code(7);
    desk.note("which can narrow it further.");
    desk.run("profile show").expect_code(0);
    desk.run("login --flow browser").expect_code(7);
    desk.configure("[limits]\nallowed_flows = []\n[profile.default]\nissuer = \"ISSUER\"\n");
    desk.run("login").expect_code(7);
    desk.note("Mistakes");
    desk.configure("[limits]\nallowed_flows = [\"auto\"]\n");
    desk.run("login").expect_code(7);
    desk.configure("[limits]\nallowed_flow = [\"device\"]\n");
    desk.run("login").expect_code(7);
    assert!(desk.provider.server().requests().is_empty());
    desk.check("limits");
}

#[test]
fn every_value_is_shown_with_the_line_it_comes_from() {
    let mut desk = Desk::new();
    desk.configure_system(
        "10-company.toml",
        "# The company's.\n[limits]\nallowed_flows = [\"browser\", \"device\"]\n\n\
         [defaults]\ntimeout = \"7s\"\n",
    );
    desk.configure_system(
        "20-site.toml",
        "[limits]\nallowed_flows = [\"device\", \"browser\", \"paste\"]\n\
         allowed_stores = [\"file\", \"keyring-key\"]\n",
    );
    desk.configure(
        "default_profile = \"home\"\n\n[profile.work]\nprovider = \"okta\"\norg = \"acme\"\n\
         client_id = \"0oa1\"\nscope = [\"openid\", \"api\"]\nflow = \"device\"\n\n\
         [profile.work.git]\nhosts = [\"git.example.com\"]\n\n\
         [profile.home]\nissuer = \"ISSUER\"\n",
    );
    desk.run("config show").expect_code(0);
    desk.run("config show --origin").expect_code(0);
    desk.change_directory("work");
    desk.write_here(
        ".countersign.toml",
        "# Ours.\nprofile = \"work\"\naccount = \"ada\"\n",
    );
    desk.run("-q trust").expect_code(0);
    desk.export("COUNTERSIGN_BROWSER", "w3m");
    desk.run("config show --origin --timeout 5s --store file")
        .expect_code(0);
    desk.run("config show --json --timeout 5s").expect_code(0);
    desk.run("profile show home").expect_code(0);
    for (one, other) in [
        ("config show --origin", "profile show"),
        ("config show --json", "profile show --json"),
    ] {
        assert_eq!(desk.run_silently(one), desk.run_silently(other));
    }
    desk.run("config path").expect_code(0);
    desk.note("The path is told whatever is in the file.");
    desk.configure("nonsense");
    desk.run("config path").expect_code(0);
    desk.run("config show").expect_code(7);
    desk.check("config");
}

#[test]
fn a_profile_that_a_limit_forbids_is_not_written() {
    let mut desk = Desk::new();
    desk.configure_system(
        "10-company.toml",
        "[limits]\nallowed_stores = [\"keyring\", \"keyring-key\"]\n",
    );
    desk.configure_system(
        "20-site.toml",
        "[limits]\nallowed_stores = [\"keyring-key\", \"file\"]\nallowed_flows = [\"device\"]\n",
    );
    for (place, code) in [("file", 7), ("keyring", 7), ("auto", 0), ("keyring-key", 0)] {
        let add = format!("profile add {place} --issuer ISSUER --store {place}");
        desk.run(&add).expect_code(code);
    }
    desk.run("profile add paste --issuer ISSUER --flow paste")
        .expect_code(7);
    desk.run("profile list").expect_code(0);
    desk.note("Nor is anybody asked about it.");
    let left = Seat::at(&desk)
        .size(80, 200)
        .types("setup keycloak --store file")
        .end();
    assert_eq!(left.status.code(), Some(7), "{}", left.text);
    let error = left.text.split("error:").last().unwrap_or_default();
    desk.show_screen(&format!("error:{error}"));
    desk.check("limits-profile");
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
