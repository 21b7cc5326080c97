//! From the file as it is written to a configuration that can be used.
//!
//! Everything that can be known without opening a socket or another file is decided here, so that
//! `check` on another machine says what the daemon would say.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use countersign_client::ScopeSet;
use countersign_console::Problem;
use countersign_console::settings::{OneOrMany, Source, Span};
use countersign_oauth::Issuer;
use countersign_oauth::preset::{IdentitySource, Offer, Preset};
use countersign_policy::Rule as Conditions;
use toml::Spanned;
use url::Url;

use super::file;
use super::{Config, Flow, Limits, Parsed, Provider, Sessions, Show, explain};
use crate::rules::{Reach, Rule, Rules, is_account};

const MOST_RULES: usize = 1000;

pub(super) struct Check<'f> {
    source: Source<'f>,
    directory: &'f Path,
}

/// What is so for a rule that says nothing else.
struct Usual {
    services: Vec<String>,
    /// The claim that has the groups.
    groups: countersign_policy::Path,
    /// The longest session, of which a rule may allow less.
    max_session: Duration,
}

impl<'f> Check<'f> {
    pub(super) fn new(source: Source<'f>, directory: &'f Path) -> Self {
        Self { source, directory }
    }

    pub(super) fn run(&self, file: file::File) -> Result<Parsed, Problem> {
        let provider = self.provider(&file)?;
        let usual = self.usual(&file, provider.preset)?;
        let rules = self.rules(&file, &usual)?;
        let redirect_uri =
            self.redirect_uri(file.flow, file.redirect_uri.as_ref(), file.issuer.span())?;
        let notify = match &file.notify {
            None => None,
            Some(path) if path.get_ref().is_absolute() => Some(path.get_ref().clone()),
            Some(path) => {
                return Err(self
                    .at(&path.span(), "notify is no absolute path")
                    .why("it is a program, run without a shell and without arguments"));
            }
        };
        let contact = match &file.contact {
            None => None,
            Some(text) if (1..=60).contains(&text.get_ref().chars().count()) => {
                Some(countersign_client::printable(text.get_ref()))
            }
            Some(text) => {
                return Err(self.at(&text.span(), "contact has to be 1 to 60 characters long"));
            }
        };
        let mut config = Config {
            provider,
            flow: file.flow,
            redirect_uri,
            services: asking(&rules, &usual.services),
            deadline: self.time("deadline", file.deadline.as_ref(), 110, 20, 900)?,
            rules,
            limits: self.limits(&file.limits)?,
            show: Show {
                qr: file.qr,
                qr_invert: file.qr_invert,
            },
            auto_continue: file.auto_continue,
            sessions: Sessions {
                offline_grace: self.time(
                    "offline_grace",
                    file.offline_grace.as_ref(),
                    15 * 60,
                    0,
                    86_400,
                )?,
                renew_every: match &file.renew_every {
                    None => None,
                    every => Some(self.time("renew_every", every.as_ref(), 0, 5, 3600)?),
                },
                warning: self.time("warning", file.warning.as_ref(), 60, 0, 900)?,
                on_revoke: file.on_revoke,
                kill: file.kill,
                pubkey_needs_grant: file.pubkey_needs_grant,
                break_glass: file.break_glass,
                renew_without_id_token: file.renew_without_id_token,
                revoke_tokens: file.revoke_tokens.unwrap_or(true),
            },
            notify,
            contact,
            warnings: Vec::new(),
        };
        config.warnings = explain::warnings(&config);
        let names_some: Vec<bool> = file.rule.iter().map(names_services).collect();
        let is_set = file.services.is_some();
        if file.groups_claim.is_none()
            && config.provider.preset.quirks.groups_claim.is_none()
            && file.rule.iter().any(|rule| rule.get_ref().group.is_some())
        {
            config.warnings.push(format!(
                "a rule asks for a group, and {} has no claim of them unless you make one: set groups_claim to its name",
                config.provider.preset.title
            ));
        }
        let unmeant = explain::unmeant_services(&config.rules, &names_some, is_set);
        config.warnings.extend(unmeant);
        Ok(Parsed {
            config,
            secret_file: file
                .client_secret_file
                .map(|path| self.directory.join(path)),
        })
    }

    fn usual(&self, file: &file::File, preset: &Preset) -> Result<Usual, Problem> {
        let services = match &file.services {
            None => vec!["sshd".to_owned()],
            Some(services) => self.services(services.get_ref(), &services.span())?,
        };
        let groups = file.groups_claim.clone().unwrap_or_else(|| {
            let name = preset.quirks.groups_claim.unwrap_or("groups");
            countersign_policy::Path::Name(name.to_owned())
        });
        let max_session = self.time(
            "max_session",
            file.max_session.as_ref(),
            12 * 3600,
            60,
            30 * 86_400,
        )?;
        Ok(Usual {
            services,
            groups,
            max_session,
        })
    }

    fn services(&self, written: &OneOrMany, at: &Range<usize>) -> Result<Vec<String>, Problem> {
        let names = written.clone().into_vec();
        if names.is_empty() || names.iter().any(|name| !is_account(name)) {
            return Err(self.at(at, "services are named as in /etc/pam.d"));
        }
        Ok(names)
    }

    fn provider(&self, file: &file::File) -> Result<Provider, Problem> {
        let text = file.issuer.get_ref();
        let issuer = Issuer::parse(text).map_err(|error| {
            self.at(&file.issuer.span(), format!("`{text}` is no issuer"))
                .because(error)
                .hint("issuer = \"https://login.example.com\", exactly as its discovery document has it")
        })?;
        let preset = self.preset(file, &issuer)?;
        let client_id = file.client_id.get_ref();
        if client_id.is_empty() || client_id.contains(char::is_control) {
            return Err(self.at(&file.client_id.span(), "the client_id is empty or no text"));
        }
        let scopes = match &file.scopes {
            None => preset.scopes.iter().map(ToString::to_string).collect(),
            Some(scopes) => {
                let names = scopes.get_ref();
                let mut set = ScopeSet::new();
                for name in names {
                    set.insert(name).map_err(|error| {
                        self.at(&scopes.span(), format!("`{name}` is no scope"))
                            .because(error)
                    })?;
                }
                if !names.iter().any(|name| name == "openid") {
                    return Err(self
                        .at(&scopes.span(), "the scope openid is missing")
                        .why("without it the server says of nobody who it is"));
                }
                names.clone()
            }
        };
        Ok(Provider {
            issuer: text.clone(),
            preset,
            client_id: client_id.clone(),
            client_secret: None,
            scopes,
            ca_file: file.ca_file.as_ref().map(|path| self.directory.join(path)),
            http_timeout: self.time("http_timeout", file.http_timeout.as_ref(), 3, 1, 10)?,
            worker_user: file
                .worker_user
                .clone()
                .unwrap_or_else(|| "_countersign".to_owned()),
        })
    }

    /// What is known of the provider: the one that is named, or that the issuer belongs to.
    fn preset(&self, file: &file::File, issuer: &Issuer) -> Result<&'static Preset, Problem> {
        let found = Preset::of_issuer(issuer);
        let named = match &file.provider {
            None => None,
            Some(name) => match Preset::by_name(name.get_ref()) {
                None => {
                    let known: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name).collect();
                    return Err(self
                        .at(
                            &name.span(),
                            format!("no provider is called `{}`", name.get_ref()),
                        )
                        .hint(format!("one of {}; oidc is any other", known.join(", "))));
                }
                // Nothing is known on purpose.
                Some(preset) if preset == Preset::OIDC => Some(preset),
                Some(preset) => match found.filter(|found| *found != preset) {
                    Some(found) => {
                        return Err(self
                            .at(
                                &name.span(),
                                format!("the issuer is none of {}", preset.title),
                            )
                            .why(format!("it is one of {}", found.title)));
                    }
                    None => Some(preset),
                },
            },
        };
        let preset = named.or(found).unwrap_or(Preset::OIDC);
        let at = file.provider.as_ref().unwrap_or(&file.issuer).span();
        if preset.quirks.identity != IdentitySource::IdToken {
            let what = format!("nobody can sign in here by {}", preset.title);
            return Err(self
                .at(&at, what)
                .why("it has no ID tokens, and what nobody has signed is not believed"));
        }
        if let (Flow::Device, Offer::No(why)) = (file.flow, preset.flows.device) {
            return Err(self
                .at(&at, "flow = \"device\" is not possible here")
                .why(why)
                .hint("flow = \"paste\", and a redirect_uri"));
        }
        Ok(preset)
    }

    fn redirect_uri(
        &self,
        flow: Flow,
        uri: Option<&Spanned<String>>,
        otherwise: Range<usize>,
    ) -> Result<Option<String>, Problem> {
        let Some(uri) = uri else {
            return match flow {
                Flow::Device => Ok(None),
                Flow::Paste => Err(self
                    .at(&otherwise, "flow = \"paste\" needs a redirect_uri")
                    .why("the browser has to come back to a page that shows the code")
                    .hint("redirect_uri = \"https://…\", a page that shows its own address or its `code`")),
            };
        };
        let parsed = Url::parse(uri.get_ref()).ok();
        let fits = parsed.is_some_and(|url| match url.scheme() {
            "https" => url.has_host() && url.fragment().is_none(),
            // What the browser cannot open stays in its address bar, to be copied from there.
            "http" => matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")),
            _ => false,
        });
        if flow == Flow::Device || !fits {
            let what = format!("the redirect_uri {} cannot be used", uri.get_ref());
            let why = if flow == Flow::Device {
                "the device grant has none; it belongs to flow = \"paste\""
            } else {
                "it must be https, or http on 127.0.0.1"
            };
            return Err(self.at(&uri.span(), what).why(why));
        }
        Ok(Some(uri.get_ref().clone()))
    }

    fn rules(&self, file: &file::File, usual: &Usual) -> Result<Rules, Problem> {
        let account_claim = match &file.account_claim {
            None => None,
            Some(path) => {
                let names = names(path.get_ref());
                if names.is_empty() || names.iter().any(String::is_empty) {
                    return Err(self.at(&path.span(), "account_claim is empty"));
                }
                Some(names)
            }
        };
        if file.rule.len() > MOST_RULES {
            let what = format!("there are more than {MOST_RULES} rules");
            return Err(self.source.whole(what));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for (written, number) in file.rule.iter().zip(1..) {
            let rule = self.rule(file, written, number, usual)?;
            if rules.iter().any(|other| other.name() == rule.name()) {
                return Err(self.at(
                    &written.span(),
                    format!("two rules are called {:?}", rule.name()),
                ));
            }
            rules.push(rule);
        }
        Ok(Rules::new(
            rules,
            account_claim,
            file.min_uid.unwrap_or(1000),
            file.allow_root,
        ))
    }

    fn rule(
        &self,
        file: &file::File,
        written: &Spanned<file::Rule>,
        number: usize,
        usual: &Usual,
    ) -> Result<Rule, Problem> {
        let (at, rule) = (written.span(), written.get_ref());
        let name = rule.name.clone().unwrap_or_else(|| format!("#{number}"));
        let named = many(rule.accounts.as_ref()).unwrap_or_default();
        if named.is_empty() && !rule.own_account {
            return Err(self
                .at(&at, format!("rule {name:?} is for no account"))
                .hint("accounts = [\"ada\"], or own_account = true with an account_claim"));
        }
        if let Some(unfit) = named.iter().find(|account| !is_account(account)) {
            return Err(self
                .at(
                    &at,
                    format!("rule {name:?}: {unfit:?} is no name of an account"),
                )
                .why("accounts are named one by one, without patterns"));
        }
        if rule.own_account && file.account_claim.is_none() {
            return Err(self
                .at(&at, format!("rule {name:?} says own_account = true, and there is no account_claim"))
                .hint("account_claim = \"preferred_username\" at the top of the file, if your provider lets nobody choose it"));
        }
        let services = match &rule.services {
            None => usual.services.clone(),
            Some(services) => self.services(services, &at)?,
        };
        let mut claims = Vec::new();
        if rule.own_account {
            let own = file
                .account_claim
                .as_ref()
                .map(|path| names(path.get_ref()));
            claims.extend(own.and_then(|path| path.into_iter().next()));
        }
        let mut conditions = Conditions::named(&name);
        if rule.anyone {
            conditions = conditions.anyone();
        }
        if let Some(subjects) = many(rule.sub.as_ref()) {
            conditions = conditions.subjects(subjects);
        }
        if let Some(emails) = many(rule.email.as_ref()) {
            conditions = conditions.emails(emails);
            claims.push("email".to_owned());
        }
        if let Some(groups) = many(rule.group.as_ref()) {
            conditions = conditions.groups(groups);
            let path = usual.groups.clone();
            claims.extend(names(&path).into_iter().next());
            conditions = conditions.groups_claim(path);
        }
        if let Some(values) = many(rule.require_acr.as_ref()) {
            conditions = conditions.acr(values);
        }
        if let Some(Span(age)) = rule.max_auth_age {
            conditions = conditions.max_auth_age(age);
        }
        let from = many(rule.allow_from.as_ref());
        if let Some(networks) = &from {
            conditions = conditions.from(networks.clone());
        }
        for test in &rule.claim {
            claims.extend(names(test.path()).into_iter().next());
            conditions = conditions.claim(test.clone());
        }
        // An address counts with the word that it is verified.
        if claims.iter().any(|name| name == "email") {
            claims.push("email_verified".to_owned());
        }
        let max_session = match rule.max_session {
            None => usual.max_session,
            Some(Span(own)) if own <= usual.max_session && own >= Duration::from_secs(60) => own,
            Some(Span(own)) => {
                return Err(self
                    .at(&at, format!("rule {name:?}: max_session = {}", Span(own)))
                    .why(format!(
                        "it lies between 1 min and the max_session of the file, {}",
                        Span(usual.max_session)
                    )));
            }
        };
        Rule::new(
            name.clone(),
            Reach {
                services,
                named,
                own: rule.own_account,
            },
            conditions,
            max_session,
            many(rule.require_acr.as_ref()),
            rule.max_auth_age.map(|Span(age)| age),
            from,
            claims,
        )
        .map_err(|error| {
            self.at(&at, format!("rule {name:?} cannot be used"))
                .because(error)
        })
    }

    fn limits(&self, limits: &file::Limits) -> Result<Limits, Problem> {
        let number =
            |name: &str, value: Option<&Spanned<usize>>, usual: usize, most: usize| match value {
                None => Ok(usual),
                Some(value) if (1..=most).contains(value.get_ref()) => Ok(*value.get_ref()),
                Some(value) => Err(self
                    .at(&value.span(), format!("{name} = {}", value.get_ref()))
                    .why(format!("it lies between 1 and {most}"))),
            };
        Ok(Limits {
            per_user: number("per_user", limits.per_user.as_ref(), 1, 16)?,
            per_rhost: number("per_rhost", limits.per_rhost.as_ref(), 3, 256)?,
            per_minute: number("per_minute", limits.per_minute.as_ref(), 10, 1000)?,
            total: number("total", limits.total.as_ref(), 64, 256)?,
        })
    }

    /// A time within bounds, all in seconds.
    fn time(
        &self,
        name: &str,
        value: Option<&Spanned<Span>>,
        usual: u64,
        least: u64,
        most: u64,
    ) -> Result<Duration, Problem> {
        let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
        match value {
            None => Ok(Duration::from_secs(usual)),
            Some(value) if (least..=most).contains(&value.get_ref().0) => Ok(value.get_ref().0),
            Some(value) => Err(self
                .at(&value.span(), format!("{name} = {}", value.get_ref()))
                .why(format!(
                    "it lies between {} and {}",
                    Span(least),
                    Span(most)
                ))),
        }
    }

    /// A problem of a place in the file.
    fn at(&self, span: &Range<usize>, what: impl AsRef<str>) -> Problem {
        self.source.at(span, what)
    }
}

/// The services that some rule is for; without rules, those that rules would be for.
fn asking(rules: &Rules, usual: &[String]) -> Vec<String> {
    if rules.is_empty() {
        return usual.to_vec();
    }
    let mut asking: Vec<String> = Vec::new();
    for service in rules.iter().flat_map(|rule| &rule.reach().services) {
        if !asking.contains(service) {
            asking.push(service.clone());
        }
    }
    asking
}

fn names_services(rule: &Spanned<file::Rule>) -> bool {
    rule.get_ref().services.is_some()
}

fn many(value: Option<&OneOrMany>) -> Option<Vec<String>> {
    value.cloned().map(OneOrMany::into_vec)
}

fn names(path: &countersign_policy::Path) -> Vec<String> {
    match path {
        countersign_policy::Path::Name(name) => vec![name.clone()],
        countersign_policy::Path::Names(names) => names.clone(),
    }
}
