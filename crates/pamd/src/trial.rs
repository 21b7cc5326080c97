//! The rules tried on claims that somebody wrote down: which one decides, and why.
//!
//! Nothing is verified here and nobody is let in.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;

use countersign_client::{Clock as _, SystemClock, printable};
use countersign_console::Problem;
use countersign_console::settings::Span;
use countersign_jose::JsonError;

use crate::config::Config;
use crate::host;
use crate::rules::{Decision, Person, Target};

const MAX_FILE: u64 = 64 * 1024;

/// What came out.
#[derive(Debug)]
pub struct Tried {
    /// In words.
    pub text: String,
    /// Whether the person would get in.
    pub allowed: bool,
}

/// Which login the rules are tried on.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'t> {
    /// The account.
    pub user: &'t str,
    /// The service of PAM, such as `sshd`.
    pub service: &'t str,
    /// Where the person comes from, if that is to count.
    pub from: Option<IpAddr>,
}

/// Tries the rules on the claims in a file, for an account of this host or one that it does not have.
///
/// # Errors
/// A [`Problem`] when the claims cannot be read.
pub fn try_policy(config: &Config, trial: Trial<'_>, claims: &Path) -> Result<Tried, Problem> {
    let bytes = read(claims)?;
    try_claims(config, trial, host::uid_of(trial.user), &bytes).map_err(|error| {
        Problem::new(format!("the claims in {} cannot be read", claims.display()))
            .because(error)
            .hint("a JSON object, such as {\"sub\": \"0001\", \"groups\": [\"ops\"]}")
    })
}

/// The same with claims that are at hand, and an account whose number is known, or is not.
///
/// # Errors
/// When the claims cannot be read.
pub fn try_claims(
    config: &Config,
    trial: Trial<'_>,
    uid: Option<u32>,
    claims: &[u8],
) -> Result<Tried, JsonError> {
    let person = Person::parse(claims)?;
    let now = SystemClock::new().now();
    let Trial {
        user,
        service,
        from,
    } = trial;
    let mut text = String::new();
    // The rules can be tried on a desk where the account is not.
    let known = uid.map_or_else(
        || "not an account of this host, so taken for that of a person".to_owned(),
        |uid| format!("uid {uid}"),
    );
    let _ = writeln!(text, "account  {} ({known})", printable(user));
    let _ = writeln!(
        text,
        "person   {} (sub {})",
        person.login_name(),
        printable(person.sub())
    );
    let place = from.map_or_else(
        || "unknown; say --from ADDRESS".to_owned(),
        |from| from.to_string(),
    );
    let _ = writeln!(text, "from     {place}");
    let _ = writeln!(text, "service  {}", printable(service));
    let target = Target {
        service,
        account: user,
        uid: uid.unwrap_or(u32::MAX),
        source: from,
    };
    let decision = config.rules.decide(target, &person, now);
    let allowed = matches!(decision, Decision::Allowed { .. });
    match decision {
        Decision::Allowed { rule, max_session } => {
            let _ = writeln!(
                text,
                "allowed by rule {rule:?}, for at most {}",
                Span(max_session)
            );
        }
        Decision::Refused { why } => {
            text.push_str("refused\n");
            if !config.services.iter().any(|name| name == service) {
                let _ = writeln!(
                    text,
                    "  services: {}; say --service",
                    config.services.join(", ")
                );
            }
            for reason in why.split("; ") {
                let _ = writeln!(text, "  {}", printable(reason));
            }
        }
    }
    Ok(Tried { text, allowed })
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Problem::new(format!("the claims in {} cannot be read", path.display())).because(error)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::check_text;

    #[test]
    fn the_rule_that_decides_is_named_and_why_the_others_do_not() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("claims.json");
        fs::write(
            &file,
            r#"{"sub":"0001","email":"ada@example.com","groups":["ops"]}"#,
        )
        .unwrap();
        let config = check_text(
            "issuer = \"https://id.example\"\nclient_id = \"ssh\"\n\
             [[rule]]\nname = \"dev\"\naccounts = \"no-such-ada\"\ngroup = \"dev\"\n\
             [[rule]]\nname = \"ops\"\naccounts = \"no-such-ada\"\ngroup = \"ops\"\nmax_session = \"1h\"\n",
        )
        .unwrap();
        let trial = |user| Trial {
            user,
            service: "sshd",
            from: None,
        };
        let tried = try_policy(&config, trial("no-such-ada"), &file).unwrap();
        assert!(tried.allowed);
        assert_eq!(
            tried.text,
            "account  no-such-ada (not an account of this host, so taken for that of a person)\n\
             person   ada@example.com (sub 0001)\n\
             from     unknown; say --from ADDRESS\n\
             service  sshd\n\
             allowed by rule \"ops\", for at most 1 h\n"
        );
        fs::write(&file, r#"{"sub":"0001"}"#).unwrap();
        let tried = try_policy(&config, trial("no-such-ada"), &file).unwrap();
        assert!(!tried.allowed);
        assert!(tried.text.ends_with(
            "refused\n  rule \"dev\": there is no claim groups\n  rule \"ops\": there is no claim groups\n"
        ));
        assert!(
            try_policy(&config, trial("root"), &file)
                .unwrap()
                .text
                .contains("allow_root")
        );
        let other = Trial {
            service: "sudo",
            ..trial("no-such-ada")
        };
        let said = try_policy(&config, other, &file).unwrap().text;
        let end = "service  sudo\nrefused\n  services: sshd; say --service\n  no rule is for the service\n";
        assert!(said.ends_with(end), "{said}");
        fs::write(&file, "[]").unwrap();
        let problem = try_policy(&config, trial("ada"), &file)
            .unwrap_err()
            .to_string();
        assert!(problem.contains("hint: a JSON object"), "{problem}");
    }
}
