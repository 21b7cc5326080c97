//! The table: which person gets into which account, by which rules.

use serde_json::json;

use super::*;
use crate::config::check_text;

const HEAD: &str = "issuer = \"https://id.example\"\nclient_id = \"ssh\"\n";

fn rules(text: &str) -> Rules {
    check_text(&format!("{HEAD}{text}")).unwrap().rules
}

fn person(claims: &Value) -> Person {
    Person::parse(claims.to_string().as_bytes()).unwrap()
}

fn ada() -> Value {
    json!({
        "iss": "https://id.example", "sub": "0001", "preferred_username": "ada",
        "email": "ada@example.com", "email_verified": true, "groups": ["ops", "dev"],
        "acr": "mfa", "auth_time": 1_000, "name": "Ada Lovelace",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = ada();
    claims[name] = value;
    claims
}

/// The rule that lets in, or the reasons why none does.
fn decided(
    text: &str,
    account: &str,
    uid: u32,
    source: &str,
    claims: &Value,
) -> Result<String, String> {
    let target = Target {
        service: "sshd",
        account,
        uid,
        source: source.parse().ok(),
    };
    match rules(text).decide(target, &person(claims), Timestamp::from_secs(1_300)) {
        Decision::Allowed { rule, .. } => Ok(rule),
        Decision::Refused { why } => Err(why),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn who_gets_in_and_who_does_not() {
    let sub = "[[rule]]\nname = \"r\"\naccounts = \"ada\"\nsub = \"0001\"\n";
    let email = "[[rule]]\nname = \"r\"\naccounts = \"ada\"\nemail = \"ada@example.com\"\n";
    let group = "[[rule]]\nname = \"r\"\naccounts = [\"deploy\", \"ada\"]\ngroup = \"ops\"\n";
    let own = "account_claim = \"preferred_username\"\n[[rule]]\nname = \"r\"\nown_account = true\ngroup = \"dev\"\n";
    let own_email =
        "account_claim = \"email\"\n[[rule]]\nname = \"r\"\nown_account = true\nanyone = true\n";
    let strict = "[[rule]]\nname = \"r\"\naccounts = \"ada\"\nsub = \"0001\"\nrequire_acr = \"mfa\"\nmax_auth_age = \"5m\"\nallow_from = \"192.0.2.0/24\"\n";
    let claim = "[[rule]]\nname = \"r\"\naccounts = \"ada\"\nclaim = [{ claim = [\"realm\", \"roles\"], any = [\"ssh\"] }]\n";
    let here = "192.0.2.7";
    let cases: &[(&str, &str, Value, Option<&str>)] = &[
        // By subject at the one issuer.
        (sub, "ada", ada(), None),
        (sub, "ada", with("sub", json!("0002")), Some("0002")),
        (sub, "ada", with("sub", json!("00010")), Some("00010")),
        (sub, "ada", with("sub", json!(["0001"])), Some("sub")),
        (sub, "bob", ada(), Some("no rule is about the account")),
        (sub, "Ada", ada(), Some("no rule is about the account")),
        // By address, verified, and nothing else that looks like it.
        (email, "ada", ada(), None),
        (
            email,
            "ada",
            with("email_verified", json!(false)),
            Some("not verified"),
        ),
        (
            email,
            "ada",
            with("email_verified", json!("true")),
            Some("not verified"),
        ),
        (
            email,
            "ada",
            with("email_verified", json!(null)),
            Some("not verified"),
        ),
        (
            email,
            "ada",
            with("email", json!("ada@example.com.evil")),
            Some("evil"),
        ),
        // By group, in full.
        (group, "deploy", ada(), None),
        (
            group,
            "deploy",
            with("groups", json!(["Ops"])),
            Some("groups"),
        ),
        (group, "deploy", with("groups", json!("op")), Some("groups")),
        (
            group,
            "deploy",
            with("groups", json!({"ops": true})),
            Some("groups"),
        ),
        // The person's own account, by a claim that the administrator named.
        (own, "ada", ada(), None),
        (own, "bob", ada(), Some("preferred_username is \"ada\"")),
        (
            own,
            "ada",
            with("preferred_username", json!("ada@example.com")),
            Some("ada@example.com"),
        ),
        (
            own,
            "ada",
            with("preferred_username", json!("CORP\\ada")),
            Some("CORP"),
        ),
        (
            own,
            "ada",
            with("preferred_username", json!("ADA")),
            Some("ADA"),
        ),
        (
            own,
            "ada",
            with("preferred_username", json!("ada\u{0}")),
            Some("ada"),
        ),
        (
            own,
            "ada",
            with("preferred_username", json!(["ada"])),
            Some("is no text"),
        ),
        (
            own,
            "ada",
            with("preferred_username", json!(null)),
            Some("is no text"),
        ),
        (own, "ada", with("groups", json!(["ops"])), Some("groups")),
        (own_email, "ada@example.com", ada(), None),
        (own_email, "ada", ada(), Some("email is")),
        (
            own_email,
            "ada@example.com",
            with("email_verified", json!(false)),
            Some("not verified"),
        ),
        // How and when the person signed in.
        (strict, "ada", ada(), None),
        (strict, "ada", with("acr", json!("pwd")), Some("acr")),
        (strict, "ada", with("acr", json!(["mfa"])), Some("acr")),
        (
            strict,
            "ada",
            with("auth_time", json!(999)),
            Some("301 seconds old"),
        ),
        (
            strict,
            "ada",
            with("auth_time", json!("1000")),
            Some("auth_time"),
        ),
        // Any claim.
        (claim, "ada", with("realm", json!({"roles": ["ssh"]})), None),
        (claim, "ada", ada(), Some("no claim realm.roles")),
        // No rule, nobody.
        ("", "ada", ada(), Some("no rule is about the account")),
    ];
    for (text, account, claims, why_not) in cases {
        let outcome = decided(text, account, 1000, here, claims);
        match why_not {
            None => assert_eq!(outcome, Ok("r".to_owned()), "{text}{account} {claims}"),
            Some(why) => {
                let reason = outcome.expect_err(&format!("{text}{account} {claims}"));
                assert!(reason.contains(why), "{text}{account}: {reason}");
            }
        }
    }
}

#[test]
fn where_the_person_comes_from_counts_before_and_after() {
    let text = "[[rule]]\naccounts = \"ada\"\nanyone = true\nallow_from = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
                [[rule]]\nname = \"vpn\"\naccounts = \"eve\"\nanyone = true\nallow_from = \"10.0.0.0/8\"\n";
    // One that says neither anyone nor a condition beside the network would be refused as well.
    let text = text.replace("anyone = true\nallow_from", "sub = \"0001\"\nallow_from");
    for (source, fits) in [
        ("192.0.2.7", true),
        ("::ffff:192.0.2.7", true),
        ("2001:db8::1", true),
        ("198.51.100.1", false),
        ("host.example.com", false),
        ("", false),
    ] {
        assert_eq!(
            decided(&text, "ada", 1000, source, &ada()).is_ok(),
            fits,
            "{source}"
        );
        let target = Target {
            service: "sshd",
            account: "ada",
            uid: 1000,
            source: source.parse().ok(),
        };
        let before = rules(&text).could_fit(target);
        assert_eq!(before.err(), (!fits).then_some(Closed::Source), "{source}");
    }
}

#[test]
fn root_and_system_accounts_are_closed_unless_a_rule_names_them() {
    let own =
        "account_claim = \"preferred_username\"\n[[rule]]\nown_account = true\nanyone = true\n";
    let named = "[[rule]]\naccounts = [\"root\", \"git\"]\nsub = \"0001\"\n";
    let allowed = format!("allow_root = true\n{named}");
    let low = format!("min_uid = 0\n{own}");
    let is = |name: &str| with("preferred_username", json!(name));
    for (text, account, uid, why_not) in [
        (own, "root", 0, Some("root")),
        (own, "daemon", 1, Some("system account")),
        (own, "daemon", 999, Some("system account")),
        (own, "ada", 1000, None),
        (named, "git", 998, None),
        (named, "root", 0, Some("root")),
        (named, "toor", 0, Some("root")),
        (allowed.as_str(), "root", 0, None),
        // Another name of root is not the one that the rule names.
        (allowed.as_str(), "toor", 0, Some("root")),
        (allowed.as_str(), "daemon", 1, Some("system account")),
        // Even then, nobody becomes root by a claim.
        (low.as_str(), "root", 0, Some("root")),
        (low.as_str(), "daemon", 1, None),
    ] {
        let outcome = decided(text, account, uid, "192.0.2.7", &is(account));
        match why_not {
            None => assert!(outcome.is_ok(), "{text}{account}: {outcome:?}"),
            Some(why) => {
                let reason = outcome.expect_err(account);
                assert!(reason.contains(why), "{account}: {reason}");
            }
        }
    }
}

#[test]
fn what_every_rule_wants_is_asked_for_and_nothing_else() {
    let both = "[[rule]]\nname = \"a\"\naccounts = \"ada\"\nsub = \"1\"\nrequire_acr = \"mfa\"\nmax_auth_age = \"5m\"\n\
                [[rule]]\nname = \"b\"\naccounts = \"ada\"\nsub = \"2\"\nrequire_acr = [\"mfa\", \"hw\"]\nmax_auth_age = \"15m\"\n";
    let some =
        format!("{both}[[rule]]\nname = \"c\"\naccounts = [\"ada\", \"bob\"]\nsub = \"3\"\n");
    let target = Target {
        service: "sshd",
        account: "ada",
        uid: 1000,
        source: None,
    };
    let asked = rules(both).could_fit(target).unwrap();
    assert_eq!(asked.acr_values, ["mfa", "hw"]);
    assert_eq!(asked.max_age, Some(Duration::from_secs(900)));
    assert_eq!(rules(&some).could_fit(target), Ok(Asked::default()));
}

#[test]
fn a_rule_is_for_the_services_it_names_or_for_those_of_the_file() {
    let plain = "[[rule]]\nname = \"in\"\naccounts = \"ada\"\nsub = \"0001\"\n";
    let fresh = "[[rule]]\nname = \"up\"\nservices = \"sudo\"\naccounts = \"ada\"\nsub = \"0001\"\nmax_auth_age = \"5m\"\nrequire_acr = \"hw\"\n";
    let both = format!("{plain}{fresh}");
    let named = format!("services = [\"login\", \"su\"]\n{both}");
    let hw = with("acr", json!("hw"));
    for (text, service, claims, outcome) in [
        // What names no service is for sshd, and opens nothing else.
        (plain, "sshd", &ada(), Ok("in")),
        (plain, "sudo", &ada(), Err("no rule is for the service")),
        (plain, "", &ada(), Err("no rule is for the service")),
        (plain, "sshd2", &ada(), Err("no rule is for the service")),
        // A rule for sudo opens sudo, by itself alone.
        (&both, "sshd", &ada(), Ok("in")),
        (&both, "sudo", &hw, Ok("up")),
        (&both, "sudo", &ada(), Err("rule \"up\": the claim acr")),
        (fresh, "sshd", &hw, Err("no rule is for the service")),
        // The file says what the others are for, instead of sshd.
        (&named, "su", &ada(), Ok("in")),
        (&named, "login", &ada(), Ok("in")),
        (&named, "sudo", &hw, Ok("up")),
        (&named, "sshd", &ada(), Err("no rule is for the service")),
    ] {
        let target = Target {
            service,
            account: "ada",
            uid: 1000,
            source: None,
        };
        let decision = rules(text).decide(target, &person(claims), Timestamp::from_secs(1_300));
        match (decision, outcome) {
            (Decision::Allowed { rule, .. }, Ok(wanted)) => assert_eq!(rule, wanted),
            (Decision::Refused { why }, Err(wanted)) => {
                assert!(why.starts_with(wanted), "{service}: {why}");
            }
            (other, _) => panic!("{service}: {other:?} {text}"),
        }
    }
    // What only sudo wants is asked for there, and there alone.
    let asked = |service| {
        let target = Target {
            service,
            account: "ada",
            uid: 1000,
            source: None,
        };
        rules(&both).could_fit(target).unwrap()
    };
    assert_eq!(asked("sudo").acr_values, ["hw"]);
    assert_eq!(asked("sudo").max_age, Some(Duration::from_secs(300)));
    assert_eq!(asked("sshd"), Asked::default());
}

#[test]
fn a_rule_brings_its_own_longest_session() {
    let text = "max_session = \"8h\"\n[[rule]]\naccounts = \"ada\"\nsub = \"0001\"\nmax_session = \"1h\"\n\
                [[rule]]\naccounts = \"bob\"\nsub = \"0001\"\n";
    let rules = rules(text);
    for (account, seconds) in [("ada", 3600), ("bob", 8 * 3600)] {
        let target = Target {
            service: "sshd",
            account,
            uid: 1000,
            source: None,
        };
        let decision = rules.decide(target, &person(&ada()), Timestamp::from_secs(1_300));
        assert!(
            matches!(decision, Decision::Allowed { max_session, .. } if max_session.as_secs() == seconds),
            "{account}"
        );
    }
}

#[test]
fn claims_are_read_in_one_way_only() {
    assert!(Person::parse(br#"{"sub":"a","sub":"b"}"#).is_err());
    assert!(Person::parse(br#"["sub"]"#).is_err());
    let long = format!(r#"{{"sub":"{}"}}"#, "x".repeat(MAX_CLAIMS));
    assert!(Person::parse(long.as_bytes()).is_err());
}

#[test]
fn a_name_is_fit_for_a_terminal() {
    let named = |name: &str| person(&with("name", json!(name))).name();
    assert_eq!(named("Ada\u{1b}[2J\nLovelace"), "Ada[2J Lovelace");
    assert_eq!(named("\u{202e}"), "ada");
    assert_eq!(named(&"x".repeat(100)).chars().count(), 61);
    assert_eq!(person(&json!({})).name(), "somebody");
}

#[test]
fn names_of_accounts_are_plain() {
    for good in [
        "ada",
        "a",
        "ada.l",
        "CORP\\ada",
        "ada@example.com",
        "_www",
        "a-b+c",
        "0",
    ] {
        assert!(is_account(good), "{good}");
    }
    for bad in [
        "", "-ada", ".ada", "a b", "a/b", "a*", "a\n", "ädä", "a:b", "a%", "@a", "+a",
    ] {
        assert!(!is_account(bad), "{bad}");
    }
}
