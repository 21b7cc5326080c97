//! What the configuration says about itself: one line, one reason, one thing to type.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const LEAST: &str = "issuer = \"https://id.example\"\nclient_id = \"ssh\"\n";

fn problem(text: &str) -> String {
    check_text(text).expect_err(text).to_string()
}

#[test]
fn the_least_is_enough_and_lets_nobody_in() {
    let config = check_text(LEAST).unwrap();
    assert_eq!(config.services, ["sshd"]);
    assert_eq!(config.deadline, Duration::from_secs(110));
    assert_eq!(config.provider.http_timeout, Duration::from_secs(3));
    assert_eq!(config.limits.total, 64);
    assert!(config.rules.is_empty());
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("nobody may log in"))
    );
}

#[test]
fn a_slip_is_named_with_its_line_and_what_was_meant() {
    for (text, says) in [
        ("isuer = \"https://id.example\"\n", "did you mean `issuer`?"),
        (
            &format!("{LEAST}max_sesion = \"1h\"\n"),
            "did you mean `max_session`?",
        ),
        (&format!("{LEAST}max_sesion = \"1h\"\n"), "pam.toml, line 3"),
        (
            &format!("{LEAST}[[rule]]\naccount = \"ada\"\n"),
            "did you mean `accounts`?",
        ),
        (
            &format!("{LEAST}[limits]\nper_host = 1\n"),
            "did you mean `per_rhost`?",
        ),
        ("client_id = \"x\"\n", "missing field `issuer`"),
        (
            "issuer = \"http://id.example\"\nclient_id = \"x\"\n",
            "is no issuer",
        ),
        (
            "issuer = \"https://id.example\"\nclient_id = \"\"\n",
            "client_id is empty",
        ),
        (
            &format!("{LEAST}scopes = [\"profile\"]\n"),
            "openid is missing",
        ),
        (&format!("{LEAST}flow = \"browser\"\n"), "unknown variant"),
        (
            &format!("{LEAST}flow = \"paste\"\n"),
            "needs a redirect_uri",
        ),
        (
            &format!("{LEAST}redirect_uri = \"https://a.example/\"\n"),
            "belongs to flow = \"paste\"",
        ),
        (
            &format!("{LEAST}flow = \"paste\"\nredirect_uri = \"http://a.example/\"\n"),
            "must be https",
        ),
        (
            &format!("{LEAST}deadline = \"5s\"\n"),
            "between 20 s and 15 min",
        ),
        (&format!("{LEAST}deadline = 110\n"), "expected a string"),
        (
            &format!("{LEAST}http_timeout = \"1m\"\n"),
            "between 1 s and 10 s",
        ),
        (&format!("{LEAST}notify = \"mail\"\n"), "no absolute path"),
        (
            &format!("{LEAST}[limits]\ntotal = 0\n"),
            "between 1 and 256",
        ),
        (
            &format!("{LEAST}[[rule]]\nsub = \"1\"\n"),
            "is for no account",
        ),
        (
            &format!("{LEAST}[[rule]]\naccounts = \"ada\"\n"),
            "no conditions",
        ),
        (
            &format!("{LEAST}[[rule]]\nservices = []\naccounts = \"a\"\nsub = \"1\"\n"),
            "line 3: services are named as in /etc/pam.d",
        ),
        (
            &format!("{LEAST}[[rule]]\naccounts = \"*\"\nsub = \"1\"\n"),
            "without patterns",
        ),
        (
            &format!("{LEAST}[[rule]]\nown_account = true\nsub = \"1\"\n"),
            "there is no account_claim",
        ),
        (
            &format!(
                "{LEAST}[[rule]]\naccounts = \"a\"\nsub = \"1\"\nallow_from = \"10.0.0.1/8\"\n"
            ),
            "not a network",
        ),
        (
            &format!("{LEAST}[[rule]]\naccounts = \"a\"\nsub = \"1\"\nmax_session = \"13h\"\n"),
            "max_session of the file",
        ),
        (
            &format!(
                "{LEAST}[[rule]]\nname = \"r\"\naccounts = \"a\"\nsub = \"1\"\n[[rule]]\nname = \"r\"\naccounts = \"a\"\nsub = \"2\"\n"
            ),
            "two rules",
        ),
    ] {
        let said = problem(text);
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    for (text, says) in [
        (
            "account_claim = \"preferred_username\"\n[[rule]]\nown_account = true\nanyone = true\n",
            "chooses the account",
        ),
        ("account_claim = \"uid\"\n", "no rule says own_account"),
        ("[[rule]]\naccounts = \"root\"\nsub = \"1\"\n", "allow_root"),
        ("pubkey_needs_grant = true\n", "break_glass is empty"),
        ("scopes = [\"openid\"]\n", "offline_access"),
        ("deadline = \"5m\"\n", "LoginGraceTime"),
        (
            "services = \"sshd\"\n[[rule]]\nservices = \"sudo\"\naccounts = \"a\"\nsub = \"1\"\n",
            "every rule names its own",
        ),
        (
            "services = [\"sshd\", \"sudo\"]\n[[rule]]\nname = \"lax\"\naccounts = \"a\"\nsub = \"1\"\n\
             [[rule]]\nname = \"strict\"\nservices = \"sudo\"\naccounts = \"a\"\nsub = \"1\"\nmax_auth_age = \"5m\"\n",
            "rule \"lax\" names no services and lets sudo in without what rule \"strict\" asks for",
        ),
        (
            "renew_without_id_token = \"keep\"\n[[rule]]\naccounts = \"ada\"\ngroup = \"ops\"\n",
            "leaves a group",
        ),
    ] {
        let config = check_text(&format!("{LEAST}{text}")).unwrap();
        let said = config.warnings.join("\n");
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn a_rule_for_sudo_beside_one_for_logins_is_no_cause_for_concern() {
    let text = format!(
        "{LEAST}[[rule]]\naccounts = \"a\"\nsub = \"1\"\n\
         [[rule]]\nservices = [\"sudo\", \"sudo-i\"]\naccounts = \"a\"\nsub = \"1\"\nmax_auth_age = \"5m\"\n"
    );
    let config = check_text(&text).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.services, ["sshd", "sudo", "sudo-i"]);
}

#[test]
fn what_is_known_of_a_provider_follows_from_its_issuer_or_its_name() {
    let at = |issuer: &str, more: &str| {
        check_text(&format!("issuer = {issuer:?}\nclient_id = \"ssh\"\n{more}"))
    };
    let paste = "flow = \"paste\"\nredirect_uri = \"https://a.example/\"\n";
    let cognito = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123";
    for (issuer, more, name) in [
        ("https://id.example", "", "oidc"),
        ("https://id.example", "provider = \"okta\"\n", "okta"),
        ("https://acme.okta.com/oauth2/default", "", "okta"),
        ("https://acme.okta.com", "provider = \"oidc\"\n", "oidc"),
        ("https://accounts.google.com", "", "google"),
        (cognito, paste, "cognito"),
    ] {
        let config = at(issuer, more).unwrap();
        assert_eq!(config.provider.preset.name, name, "{issuer}");
        assert_eq!(
            config.provider.scopes, config.provider.preset.scopes,
            "{issuer}"
        );
        let says = config.warnings.join("\n");
        assert!(!says.contains("offline_access"), "{issuer}: {says}");
    }
    for (issuer, more, says) in [
        (
            "https://id.example",
            "provider = \"octa\"\n",
            "one of auth0, cognito",
        ),
        (
            "https://acme.okta.com",
            "provider = \"entra\"\n",
            "it is one of Okta",
        ),
        ("https://github.com", "", "it has no ID tokens"),
        (
            "https://id.example",
            "provider = \"oauth\"\n",
            "it has no ID tokens",
        ),
        (cognito, "", "hint: flow = \"paste\""),
    ] {
        let said = at(issuer, more).unwrap_err().to_string();
        assert!(said.contains(says), "{issuer}: {said}");
    }
    let group = "[[rule]]\naccounts = \"a\"\ngroup = \"ops\"\n";
    let google = at("https://accounts.google.com", group).unwrap();
    assert!(
        google
            .warnings
            .join("\n")
            .contains("set groups_claim to its name")
    );
    let offline = "scopes = [\"openid\", \"offline_access\"]\n";
    let google = at("https://accounts.google.com", offline).unwrap();
    assert!(
        google
            .warnings
            .join("\n")
            .contains("Google has no scope offline_access")
    );
    assert!(explain(&google).contains("at https://accounts.google.com (Google) as"));
    // The groups are where that provider has them, unless the file says otherwise.
    for (more, claims, is_in) in [
        ("", r#"{"sub":"1","cognito:groups":["ops"]}"#, true),
        ("", r#"{"sub":"1","groups":["ops"]}"#, false),
        (
            "groups_claim = \"groups\"\n",
            r#"{"sub":"1","groups":["ops"]}"#,
            true,
        ),
    ] {
        let config = at(cognito, &format!("{paste}{more}{group}")).unwrap();
        let trial = crate::Trial {
            user: "a",
            service: "sshd",
            from: None,
        };
        let tried = crate::try_claims(&config, trial, Some(1000), claims.as_bytes());
        assert_eq!(tried.unwrap().allowed, is_in, "{more}{claims}");
    }
}

#[test]
fn a_configuration_can_be_read_aloud() {
    let text = format!(
        "{LEAST}account_claim = \"preferred_username\"\npubkey_needs_grant = true\nbreak_glass = [\"emergency\"]\n\
         [[rule]]\nname = \"operators\"\naccounts = [\"deploy\"]\nown_account = true\ngroup = \"ops\"\nmax_session = \"1h\"\n\
         services = [\"sshd\", \"sudo\"]\nrequire_acr = [\"a\", \"b\"]\nmax_auth_age = \"5m\"\n"
    );
    assert_eq!(
        explain(&check_text(&text).unwrap()),
        "People sign in at https://id.example as the client ssh, by the device grant: they approve a code in a browser.\n\
         Services: sshd, sudo. A sign-in ends after 110 s.\n\
         At a time: 1 for an account from an address, 3 from an address, 64 altogether.\n\
         Rule \"operators\" lets sshd, sudo into deploy, the one called like the claim preferred_username for at most 1 h. It asks for the acr a or b and a sign-in at most 5 min old.\n\
         When access is withdrawn, a session is warned and ended 1 min later with every process of its login; when the provider is away, that is after 15 min.\n\
         At a renewal, userinfo is asked for the claims that rules look at and the ID token lacks; where there is neither, access ends.\n\
         Public keys alone do not let in, but for emergency.\n"
    );
}

#[test]
fn the_secret_stands_in_a_file_that_nobody_else_reads() {
    let home = tempfile::tempdir().unwrap();
    let (file, secret) = (home.path().join("pam.toml"), home.path().join("secret"));
    fs::write(&file, format!("{LEAST}client_secret_file = \"secret\"\n")).unwrap();
    fs::write(&secret, "hush-hush\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Config::read(&file).unwrap_err().to_string();
    assert!(refused.contains("hint: chmod 0600"), "{refused}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::read(&file).unwrap();
    assert_eq!(
        config.provider.client_secret.as_ref().unwrap().expose(),
        "hush-hush"
    );
    assert!(!format!("{config:?}").contains("hush"));
    fs::write(&secret, "\n").unwrap();
    assert!(
        Config::read(&file)
            .unwrap_err()
            .line()
            .contains("no client secret")
    );
}

/// The file that packages install, with every key there is.
const SAMPLE: &str = include_str!("../../pam.toml");

#[test]
fn the_sample_can_be_used_as_it_is_and_with_every_key() {
    assert!(!check_text(SAMPLE).unwrap().rules.is_empty());
    // What is commented out is written as it would be meant.
    let key = |line: &str| {
        line.starts_with('#') && line.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase)
    };
    let exclusive = ["#anyone", "#redirect_uri", "#client_secret_file"];
    let lines = SAMPLE.lines().map(|line| {
        let wanted = key(line) && !exclusive.iter().any(|name| line.starts_with(name));
        if wanted { &line[1..] } else { line }
    });
    let all = lines.collect::<Vec<_>>().join("\n");
    check_text(&all).unwrap();
    let paste = all
        .replace("flow = \"device\"", "flow = \"paste\"")
        .replace("#redirect_uri", "redirect_uri");
    check_text(&paste).unwrap();
    // And none is missing: an unknown key is told what there is.
    for table in ["", "[[rule]]\n", "[limits]\n"] {
        let text = format!("{LEAST}{table}no_such_key_at_all = 1\n");
        let error = toml::from_str::<file::File>(&text).unwrap_err();
        let known: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
        assert!(known.len() > 3);
        for name in known
            .iter()
            .filter(|name| !matches!(**name, "rule" | "limits"))
        {
            let written = [format!("\n{name} = "), format!("\n#{name} = ")];
            assert!(
                written.iter().any(|line| SAMPLE.contains(line)),
                "{name} is not in the sample"
            );
        }
    }
}
