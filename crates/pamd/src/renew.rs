//! Grants renewed over the worker, and judged as if the person had just signed in.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use countersign_client::Clock;

use crate::config::Config;
use crate::conversation::FailureKind;
use crate::host;
use crate::live::Live;
use crate::rules::{Decision, Person, Target};
use crate::worker::message::{FromWorker, ToWorker};
use crate::workers::Workers;
use crate::{Grant, RefreshToken, Renewed, Renewer};

/// The longest that a renewal takes.
const LIMIT: Duration = Duration::from_secs(10);

/// Renews grants.
pub(crate) struct WorkerRenewer {
    pub(crate) live: Arc<Live>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Renewer for WorkerRenewer {
    fn renew(&self, grant: &Grant) -> Renewed {
        let config = self.live.current();
        if grant.issuer != config.provider.issuer {
            return withdrawn("this host signs people in elsewhere now");
        }
        let Some(RefreshToken(refresh_token)) = &grant.refresh else {
            return unreachable("there is no refresh token");
        };
        let worker = match self.workers.worker(&config.provider) {
            Ok(worker) => worker,
            Err(failure) => return unreachable(failure.why),
        };
        let (tell, told) = mpsc::channel();
        let listener = Box::new(move |message| {
            // Nobody listens any more once the limit is over.
            let _ = tell.send(message);
        });
        let asked = worker.ask(listener, |id| ToWorker::Renew {
            id,
            refresh_token: refresh_token.clone(),
            subject: grant.subject.clone(),
        });
        let id = match asked {
            Ok(id) => id,
            Err(failure) => return unreachable(failure.why),
        };
        let answer = told.recv_timeout(LIMIT);
        worker.forget(id);
        match answer {
            Err(_) => unreachable("no answer in time"),
            Ok(FromWorker::Signed {
                claims,
                access_expires_in,
                refresh_token,
                ..
            }) => {
                let mut renewed = grant.clone();
                renewed.access_expires = access_expires_in.map(|left| self.clock.now() + left);
                if let Some(token) = refresh_token {
                    renewed.refresh = Some(RefreshToken::new(token));
                }
                // The rules may have changed meanwhile.
                judged(&self.live.current(), renewed, claims.as_deref())
            }
            Ok(FromWorker::Failed {
                kind: FailureKind::Denied,
                why,
                ..
            }) => withdrawn(why),
            Ok(FromWorker::Failed { why, .. }) => unreachable(why),
            Ok(_) => unreachable("the worker says what nobody asked"),
        }
    }
}

/// What the rules say now. Without new claims the person is believed to be who they were, as long as the
/// rule is there.
fn judged(config: &Config, mut grant: Grant, claims: Option<&str>) -> Renewed {
    let Some(uid) = host::uid_of(&grant.account) else {
        return withdrawn("the account is gone");
    };
    let source = host::source("", &grant.rhost);
    let target = Target {
        service: &grant.service,
        account: &grant.account,
        uid,
        source,
    };
    let Some(claims) = claims else {
        let still = config.rules.could_fit(target).is_ok()
            && config
                .rules
                .iter()
                .any(|rule| rule.name() == grant.rule && rule.is_for(&grant.service));
        return if still {
            Renewed::Still(Box::new(grant))
        } else {
            withdrawn("the rule that let the person in is gone")
        };
    };
    let person = match Person::parse(claims.as_bytes()) {
        Ok(person) if person.sub() == grant.subject => person,
        Ok(_) => return withdrawn("the server speaks of another person"),
        Err(error) => return unreachable(format!("the claims cannot be read: {error}")),
    };
    // The age of the sign-in was judged when the person came in, and grows since.
    match config.rules.decide(target, &person, grant.granted_at) {
        Decision::Allowed { rule, max_session } => {
            grant.rule = rule;
            grant.max_session = max_session;
            grant.name = person.name();
            Renewed::Still(Box::new(grant))
        }
        Decision::Refused { why } => withdrawn(why),
    }
}

fn withdrawn(why: impl Into<String>) -> Renewed {
    Renewed::Withdrawn { why: why.into() }
}

fn unreachable(why: impl Into<String>) -> Renewed {
    Renewed::Unreachable { why: why.into() }
}

#[cfg(test)]
mod tests {
    use countersign_client::{Secret, Timestamp};

    use super::*;
    use crate::config::check_text;

    /// The account that every host has.
    const ACCOUNT: &str = "root";
    const HEAD: &str = "issuer = \"https://id.example\"\nclient_id = \"ssh\"\nallow_root = true\n";

    fn grant() -> Grant {
        Grant {
            issuer: "https://id.example".to_owned(),
            subject: "0001".to_owned(),
            name: "Ada".to_owned(),
            account: ACCOUNT.to_owned(),
            rule: "ops".to_owned(),
            service: "sshd".to_owned(),
            rhost: "192.0.2.7".to_owned(),
            reference: "KMPRTX".parse().unwrap(),
            granted_at: Timestamp::from_secs(1_000_000),
            max_session: Duration::from_secs(3600),
            access_expires: None,
            refresh: Some(RefreshToken::new(Secret::new("secret"))),
        }
    }

    fn after(rules: &str, claims: Option<&str>) -> Result<Grant, String> {
        let config = check_text(&format!("{HEAD}{rules}")).unwrap();
        match judged(&config, grant(), claims) {
            Renewed::Still(grant) => Ok(*grant),
            Renewed::Withdrawn { why } => Err(format!("withdrawn: {why}")),
            Renewed::Unreachable { why } => Err(format!("unreachable: {why}")),
        }
    }

    #[test]
    fn a_renewal_is_judged_like_a_sign_in() {
        let ops = "[[rule]]\nname = \"ops\"\naccounts = \"root\"\ngroup = \"ops\"\nmax_auth_age = \"5m\"\n\
                   allow_from = \"192.0.2.0/24\"\nmax_session = \"2h\"\n";
        let moved = ops.replace("192.0.2.0/24", "10.0.0.0/8");
        let renamed = ops.replace("\"ops\"\naccounts", "\"operators\"\naccounts");
        // Signed in ten minutes after 1970-01-12 13:46:40, which is days ago by now and was fresh then.
        let claims = |sub: &str, groups: &str| {
            format!(
                "{{\"sub\":{sub:?},\"groups\":[{groups:?}],\"auth_time\":999900,\"name\":\"Ada L\"}}"
            )
        };
        let still = after(ops, Some(&claims("0001", "ops"))).unwrap();
        assert_eq!(still.name, "Ada L");
        assert_eq!(still.max_session, Duration::from_secs(7200));
        assert_eq!(
            after(&renamed, Some(&claims("0001", "ops"))).unwrap().rule,
            "operators"
        );
        for (rules, claims, why) in [
            (
                ops,
                Some(claims("0001", "dev")),
                "withdrawn: rule \"ops\": the claim groups",
            ),
            (
                ops,
                Some(claims("0002", "ops")),
                "withdrawn: the server speaks of another person",
            ),
            (
                ops,
                Some("{".to_owned()),
                "unreachable: the claims cannot be read",
            ),
            (&moved, Some(claims("0001", "ops")), "withdrawn: every rule"),
            (
                "",
                Some(claims("0001", "ops")),
                "withdrawn: the account is root",
            ),
            // Without an ID token, what was known of the person is all there is.
            (
                &renamed,
                None,
                "withdrawn: the rule that let the person in is gone",
            ),
            (
                &moved,
                None,
                "withdrawn: the rule that let the person in is gone",
            ),
        ] {
            let said = after(rules, claims.as_deref()).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
        assert_eq!(after(ops, None).unwrap(), grant());
    }
}
