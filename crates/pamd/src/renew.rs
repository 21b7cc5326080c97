//! Grants renewed over the worker, and judged as if the person had just signed in.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use countersign_client::Clock;

use crate::config::{Config, WithoutIdToken};
use crate::conversation::FailureKind;
use crate::host;
use crate::live::Live;
use crate::revoke::Revocations;
use crate::rules::{Decision, Person, Target};
use crate::worker::message::{FromWorker, ToWorker};
use crate::workers::Workers;
use crate::{Grant, RefreshToken, Renewed, Renewer, Unused};

/// The longest that a renewal takes.
const LIMIT: Duration = Duration::from_secs(10);

/// Renews grants.
pub(crate) struct WorkerRenewer {
    pub(crate) live: Arc<Live>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) revocations: Arc<Revocations>,
}

impl Renewer for WorkerRenewer {
    fn renew(&self, grant: &Grant) -> Renewed {
        let config = self.live.current();
        if grant.issuer != config.provider.issuer {
            return withdrawn("this host signs people in elsewhere now");
        }
        let Some(refresh) = &grant.refresh else {
            return unreachable("there is no refresh token");
        };
        let Some(target) = target(grant) else {
            return Renewed::Withdrawn {
                why: "the account is gone".to_owned(),
                refresh: Some(refresh.clone()),
            };
        };
        let claims = wanted(&config, target);
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
            refresh_token: refresh.0.clone(),
            subject: grant.subject.clone(),
            claims: claims.clone(),
        });
        let id = match asked {
            Ok(id) => id,
            Err(failure) => return unreachable(failure.why),
        };
        let renewed = self.listen(&told, &claims, target, grant);
        worker.forget(id);
        renewed
    }

    fn give_back(&self, unused: Unused) {
        self.revocations.give_back(unused);
    }
}

impl WorkerRenewer {
    /// What comes of a renewal for which these claims were asked.
    fn listen(
        &self,
        told: &Receiver<FromWorker>,
        claims: &[String],
        target: Target<'_>,
        grant: &Grant,
    ) -> Renewed {
        let until = self.clock.monotonic() + LIMIT;
        // What the server has given in the place of the token that was brought.
        let mut renewed: Option<Grant> = None;
        loop {
            let left = until.saturating_sub(self.clock.monotonic());
            let (kind, why) = match told.recv_timeout(left) {
                Ok(FromWorker::Renewed {
                    access_expires_in,
                    refresh_token,
                    ..
                }) => {
                    let mut grant = grant.clone();
                    grant.access_expires = access_expires_in.map(|left| self.clock.now() + left);
                    if let Some(token) = refresh_token {
                        grant.refresh = Some(RefreshToken::new(token));
                    }
                    renewed = Some(grant);
                    continue;
                }
                Ok(FromWorker::About { claims: said, .. }) => {
                    let Some(renewed) = renewed else {
                        return unreachable(NONSENSE);
                    };
                    // The file may have changed meanwhile: another server is believed, or the rules look at
                    // something else now.
                    let config = self.live.current();
                    let is_believed = grant.issuer == config.provider.issuer;
                    if is_believed && wanted(&config, target) == claims {
                        return judged(&config, target, renewed, said.as_deref());
                    }
                    return Renewed::Unreachable {
                        why: "the configuration changed in the middle of it".to_owned(),
                        refresh: renewed.refresh,
                    };
                }
                Ok(FromWorker::Failed { kind, why, .. }) => (kind, why),
                Ok(_) => (FailureKind::Unbelievable, NONSENSE.to_owned()),
                Err(_) => (FailureKind::Unreachable, "no answer in time".to_owned()),
            };
            let refresh = renewed.and_then(|grant| grant.refresh);
            return match kind {
                FailureKind::Denied => Renewed::Withdrawn { why, refresh },
                _ => Renewed::Unreachable { why, refresh },
            };
        }
    }
}

const NONSENSE: &str = "the worker says what nobody asked";

/// The claims that userinfo is to be asked for where the ID token lacks them.
fn wanted(config: &Config, target: Target<'_>) -> Vec<String> {
    match config.sessions.renew_without_id_token {
        WithoutIdToken::Userinfo => config.rules.claims(target),
        WithoutIdToken::Keep => Vec::new(),
    }
}

/// What a grant is for; nothing when its account is gone.
fn target(grant: &Grant) -> Option<Target<'_>> {
    Some(Target {
        service: &grant.service,
        account: &grant.account,
        uid: host::uid_of(&grant.account)?,
        source: host::source("", &grant.rhost),
    })
}

/// What the rules say now. Where nothing is said about the person, it counts who they are and how they
/// signed in; and, if the administrator wants it so, that the rule which let them in is still there.
fn judged(config: &Config, target: Target<'_>, grant: Grant, claims: Option<&str>) -> Renewed {
    let keeps = config.sessions.renew_without_id_token == WithoutIdToken::Keep;
    let person = match claims {
        None if keeps => {
            let still = config.rules.could_fit(target).is_ok()
                && config
                    .rules
                    .iter()
                    .any(|rule| rule.name() == grant.rule && rule.is_for(&grant.service));
            return if still {
                Renewed::Still(Box::new(grant))
            } else {
                refused("the rule that let the person in is gone", &grant)
            };
        }
        None => Person::known_as(&grant.subject),
        Some(claims) => match Person::parse(claims.as_bytes()) {
            Ok(person) if person.sub() == grant.subject => person,
            Ok(_) => return refused("the server speaks of another person", &grant),
            Err(error) => {
                return Renewed::Unreachable {
                    why: format!("the claims cannot be read: {error}"),
                    refresh: grant.refresh,
                };
            }
        },
    };
    let person = person.having(&grant.sign_in);
    // The age of the sign-in was judged when the person came in, and grows since.
    match config.rules.decide(target, &person, grant.granted_at) {
        Decision::Allowed { rule, max_session } => {
            // Userinfo need not say it.
            let name = match person.text("name") {
                Some(_) => person.name(),
                None => grant.name.clone(),
            };
            Renewed::Still(Box::new(Grant {
                name,
                rule,
                max_session,
                ..grant
            }))
        }
        Decision::Refused { why } => refused(why, &grant),
    }
}

/// The server would go on, and we do not.
fn refused(why: impl Into<String>, grant: &Grant) -> Renewed {
    Renewed::Withdrawn {
        why: why.into(),
        refresh: grant.refresh.clone(),
    }
}

fn withdrawn(why: impl Into<String>) -> Renewed {
    Renewed::Withdrawn {
        why: why.into(),
        refresh: None,
    }
}

fn unreachable(why: impl Into<String>) -> Renewed {
    Renewed::Unreachable {
        why: why.into(),
        refresh: None,
    }
}

#[cfg(test)]
mod tests {
    use countersign_client::{Secret, Timestamp};

    use super::*;
    use crate::SignIn;
    use crate::config::check_text;

    /// The account that every host has.
    const ACCOUNT: &str = "root";
    const HEAD: &str = "issuer = \"https://id.example\"\nclient_id = \"ssh\"\nallow_root = true\n";

    fn grant() -> Grant {
        Grant {
            issuer: "https://id.example".to_owned(),
            subject: "0001".to_owned(),
            name: "Ada".to_owned(),
            sign_in: SignIn {
                acr: Some("mfa".to_owned()),
                amr: Vec::new(),
                auth_time: Some(999_900),
            },
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
        let target = Target {
            service: "sshd",
            account: ACCOUNT,
            uid: 0,
            source: "192.0.2.7".parse().ok(),
        };
        match judged(&config, target, grant(), claims) {
            Renewed::Still(grant) => Ok(*grant),
            Renewed::Withdrawn { why, refresh } => {
                assert_eq!(refresh, grant().refresh, "the server would still take it");
                Err(format!("withdrawn: {why}"))
            }
            Renewed::Unreachable { why, refresh } => {
                assert_eq!(refresh, grant().refresh);
                Err(format!("unreachable: {why}"))
            }
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
            // Nothing is said about the person, and the rule asks for a group.
            (
                ops,
                None,
                "withdrawn: rule \"ops\": there is no claim groups",
            ),
            (&moved, None, "withdrawn: every rule"),
        ] {
            let said = after(rules, claims.as_deref()).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }

    /// A renewal need not say again how the person signed in, nor who they are.
    #[test]
    fn what_is_known_from_the_sign_in_stays_and_nothing_else_does() {
        let ops = "[[rule]]\nname = \"ops\"\naccounts = \"root\"\nsub = \"0001\"\nmax_auth_age = \"5m\"\n\
                   require_acr = \"mfa\"\n";
        assert_eq!(after(ops, None).unwrap().name, "Ada");
        let other = ops.replace("0001", "0002");
        let why = after(&other, None).unwrap_err();
        assert!(why.starts_with("withdrawn: rule"), "{why}");
        // What is said again counts.
        let weaker = "{\"sub\":\"0001\",\"acr\":\"pwd\"}";
        let why = after(ops, Some(weaker)).unwrap_err();
        assert!(why.contains("acr"), "{why}");
    }

    #[test]
    fn whoever_is_kept_without_an_id_token_goes_with_the_rule() {
        let ops = "renew_without_id_token = \"keep\"\n[[rule]]\nname = \"ops\"\naccounts = \"root\"\ngroup = \"ops\"\n";
        let renamed = ops.replace("\"ops\"\naccounts", "\"operators\"\naccounts");
        let moved = ops.replace("group", "allow_from = \"10.0.0.0/8\"\ngroup");
        assert_eq!(after(ops, None).unwrap(), grant());
        for rules in [renamed, moved] {
            let why = after(&rules, None).unwrap_err();
            assert_eq!(why, "withdrawn: the rule that let the person in is gone");
        }
    }
}
