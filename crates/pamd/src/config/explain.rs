//! A configuration in words, and what in it may not be meant.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_console::settings::Span;

use super::{Config, Flow, OnRevoke};
use crate::rules::Rule;

/// Claims that people can change themselves at many providers.
const CHANGEABLE: [&str; 5] = [
    "preferred_username",
    "nickname",
    "name",
    "email",
    "username",
];

/// What a configuration does, for whoever wrote it.
pub fn explain(config: &Config) -> String {
    let provider = &config.provider;
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!(
        "People sign in at {} as the client {}, {}.",
        provider.issuer,
        provider.client_id,
        match config.flow {
            Flow::Device => "by the device grant: they approve a code in a browser",
            Flow::Paste => "and paste the code that the browser shows",
        }
    ));
    line(format!(
        "Services: {}. A sign-in ends after {}.",
        config.services.join(", "),
        Span(config.deadline)
    ));
    line(format!(
        "At a time: {} for an account from an address, {} from an address, {} altogether.",
        config.limits.per_user, config.limits.per_rhost, config.limits.total
    ));
    if config.rules.is_empty() {
        line("There is no rule, so nobody may log in.".to_owned());
    }
    for rule in config.rules.iter() {
        line(sentence(config, rule));
    }
    line(format!(
        "When access is withdrawn, {}; when the provider is away, that is after {}.",
        match config.sessions.on_revoke {
            OnRevoke::Terminate => format!(
                "a session is warned and ended {} with every process of its login",
                match config.sessions.warning {
                    Duration::ZERO => "at once".to_owned(),
                    warning => format!("{} later", Span(warning)),
                }
            ),
            OnRevoke::Warn => "a session is warned and goes on".to_owned(),
        },
        Span(config.sessions.offline_grace)
    ));
    if config.sessions.pubkey_needs_grant {
        let except = match config.sessions.break_glass.as_slice() {
            [] => String::new(),
            accounts => format!(", but for {}", accounts.join(", ")),
        };
        line(format!("Public keys alone do not let in{except}."));
    }
    out
}

fn sentence(config: &Config, rule: &Rule) -> String {
    let mut accounts = rule.accounts().named.clone();
    if rule.accounts().own {
        let claim = config.rules.account_claim().unwrap_or_default().join(".");
        accounts.push(format!("the one called like the claim {claim}"));
    }
    format!(
        "Rule {:?} lets into {} for at most {}.",
        rule.name(),
        accounts.join(", "),
        Span(rule.max_session())
    )
}

/// What is allowed and may still not be meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.rules.is_empty() {
        warnings.push("there is no [[rule]], so nobody may log in".to_owned());
    }
    let own = config.rules.iter().any(|rule| rule.accounts().own);
    if let Some([claim]) = config.rules.account_claim()
        && own
        && CHANGEABLE.contains(&claim.as_str())
    {
        warnings.push(format!(
            "whoever can change the claim {claim} at the provider chooses the account; make sure that people cannot"
        ));
    }
    if config.rules.account_claim().is_some() && !own {
        warnings.push("account_claim is set, and no rule says own_account = true".to_owned());
    }
    for rule in config.rules.iter() {
        if rule.accounts().named.iter().any(|name| name == "root") && !config.rules.allows_root() {
            warnings.push(format!(
                "rule {:?} names root, which stays closed without allow_root = true",
                rule.name()
            ));
        }
    }
    if config.sessions.pubkey_needs_grant && config.sessions.break_glass.is_empty() {
        warnings.push(
            "pubkey_needs_grant is set and break_glass is empty: when the provider is away, nobody gets in"
                .to_owned(),
        );
    }
    if !config
        .provider
        .scopes
        .iter()
        .any(|scope| scope == "offline_access")
    {
        warnings.push(
            "the scope offline_access is not asked for: without a refresh token a withdrawn access ends no session before max_session"
                .to_owned(),
        );
    }
    if config.deadline > Duration::from_secs(110) {
        warnings.push(format!(
            "deadline is {}: sshd hangs up after LoginGraceTime, which is 120 s unless you raise it",
            Span(config.deadline)
        ));
    }
    warnings
}
