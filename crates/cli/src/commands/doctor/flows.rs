//! Which ways to sign in the server lets this client use.

use std::time::Duration;

use countersign_client::preset::{Offer, Preset, SecretUse};
use countersign_client::probe::{self, Allowed};
use countersign_client::{Error, Login, Provider, SignIn};

use super::finding::{Finding, Level};
use super::place;
use super::report::Report;
use crate::app::App;

/// What is known of one way to sign in.
struct Way {
    /// The code of the finding.
    code: &'static str,
    /// The name, at the start of a sentence.
    name: &'static str,
    offer: Option<Offer>,
    allowed: Allowed,
}

/// Asks for everything that a login might ask for, and lets it run out.
pub(crate) fn look(
    report: &mut Report,
    app: &App,
    login: &Login,
    provider: &Provider,
    preset: Option<&'static Preset>,
    limit: Duration,
) {
    let flow = app.settings.flow.value;
    if flow == SignIn::ClientCredentials {
        let allowed = probe::client_credentials(login, provider, limit);
        let way = Way {
            code: "flow_client_credentials",
            name: "The client credentials grant",
            offer: preset.map(|preset| preset.flows.client_credentials),
            allowed,
        };
        report.add(way.finding(preset, Level::Fault));
        return;
    }
    let mut ways = Vec::new();
    if may_use(app, &[SignIn::Device]) {
        ways.push(Way {
            code: "flow_device",
            name: "The device grant",
            offer: preset.map(|preset| preset.flows.device),
            allowed: probe::device(login, provider, limit),
        });
    }
    let secret = app.settings.client_secret_file.is_some();
    let lacks_secret =
        preset.is_some_and(|preset| preset.quirks.secret == SecretUse::ForCodeOnly) && !secret;
    if may_use(app, &[SignIn::Browser, SignIn::Paste]) && !lacks_secret {
        let redirect_uri = place::redirect_uri(app, preset);
        ways.push(Way {
            code: "flow_code",
            name: "The authorization code grant",
            offer: preset.map(|preset| preset.flows.code),
            allowed: probe::code(login, provider, &redirect_uri, limit),
        });
        report.add(place::advice(app, preset));
    }
    let others = |code: &str| {
        ways.iter().any(|way| {
            way.code != code && !matches!(way.allowed, Allowed::No(_) | Allowed::NotOffered)
        })
    };
    for way in &ways {
        // Where a provider has a kind of client for each flow, one of the two is always refused.
        let conditional = matches!(way.offer, Some(Offer::If(_)));
        let level = if conditional && others(way.code) && flow == SignIn::Auto {
            Level::Warning
        } else {
            Level::Fault
        };
        report.add(way.finding(preset, level));
    }
    report.add(first_way(app, login, provider));
}

/// Which way a login would take that is started like this.
fn first_way(app: &App, login: &Login, provider: &Provider) -> Finding {
    const CODE: &str = "way";
    let ways = match probe::ways(login, provider, app.takes_paste()) {
        Ok(ways) => ways,
        Err(error) => return Finding::of_client(CODE, &error),
    };
    let mut open = ways.open.iter().map(|way| way.text());
    let finding = match open.next() {
        Some(first) => {
            let others: Vec<&str> = open.collect();
            let finding = Finding::ok(CODE, format!("A login here begins with: {first}."));
            if others.is_empty() {
                finding
            } else {
                finding.why(format!(
                    "if that is refused, there is: {}",
                    others.join("; ")
                ))
            }
        }
        None => Finding::fault(CODE, "There is no way to sign in here.")
            .remedy("sign in at a terminal, or on a computer with a browser")
            .remedy("or set the endpoints that the server has but does not publish"),
    };
    ways.closed
        .iter()
        .fold(finding, |finding, (way, obstacle)| {
            finding.why(format!("not {}: {obstacle}", way.text()))
        })
}

/// Whether the settings leave one of these flows open.
fn may_use(app: &App, flows: &[SignIn]) -> bool {
    let chosen = app.settings.flow.value;
    let wanted = |flow: &SignIn| chosen == SignIn::Auto || chosen == *flow;
    let allowed = |flow: &SignIn| {
        let limit = app.settings.allowed_flows.as_ref();
        limit.is_none_or(|limit| limit.flows().contains(flow))
    };
    flows.iter().any(|flow| wanted(flow) && allowed(flow))
}

impl Way {
    fn finding(&self, preset: Option<&Preset>, refused: Level) -> Finding {
        let Self { code, name, .. } = self;
        match &self.allowed {
            Allowed::Yes => Finding::ok(code, format!("{name} may be used by this client.")),
            Allowed::NotOffered => match self.offer {
                Some(Offer::No(reason)) => {
                    Finding::note(code, format!("{name} is not offered: {reason}."))
                }
                _ => Finding::note(code, format!("{name} is not offered by this server.")),
            },
            Allowed::No(error) => self.refused(error, preset, refused),
            Allowed::Unreachable(error) => Finding::of_client(code, error)
                .saying(format!("Whether {} may be used is not known.", lower(name))),
            Allowed::Unknown(why) => Finding::note(
                code,
                format!("Whether {} may be used is not proven.", lower(name)),
            )
            .why(why.clone())
            .remedy("see that the client id and the redirect URI are registered, then sign in"),
            Allowed::Doubtful { status, title } => {
                let title = title.as_ref();
                let called = title.map_or_else(String::new, |title| format!(": \"{title}\""));
                Finding::warning(
                    code,
                    "The server does not seem to know the client or the redirect URI.",
                )
                .why(format!(
                    "it answered an authorization request with a page of its own (status {status}){called}"
                ))
                .remedy("register the client and the redirect URI at the server, letter for letter")
            }
            // A newer client library may know more.
            _ => Finding::note(code, format!("{name} was not looked at.")),
        }
    }

    fn refused(&self, error: &Error, preset: Option<&Preset>, level: Level) -> Finding {
        let mut finding = Finding::of_client(self.code, error)
            .saying(format!("{} may not be used by this client.", self.name))
            .at_level(level)
            .leaving_with(countersign_client::ExitCategory::Failure);
        let meaning = error
            .refusal()
            .and_then(|refusal| preset?.explain_refusal(refusal));
        if let Some(meaning) = meaning {
            finding = finding
                .with_remedy(meaning.remedy)
                .because(meaning.sentence);
            if !meaning.other_flow {
                // It is not the flow that does not fit: something was set up wrongly.
                return finding.at_level(Level::Fault);
            }
        }
        match self.offer {
            Some(Offer::If(condition)) => {
                finding.why(format!("{} can be used {condition}", lower(self.name)))
            }
            _ => finding,
        }
    }
}

/// A name in the middle of a sentence.
fn lower(name: &str) -> String {
    name.replacen("The", "the", 1)
}
