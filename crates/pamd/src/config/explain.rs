//! A configuration in words, and what in it may not be meant.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_console::settings::Span;
use countersign_oauth::preset::{Preset, RefreshTokens};

use super::{Config, Flow, OnRevoke, WithoutIdToken};
use crate::rules::{Rule, Rules};

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
        "People sign in at {}{} as the client {}, {}.",
        provider.issuer,
        if provider.preset == Preset::OIDC {
            String::new()
        } else {
            format!(" ({})", provider.preset.title)
        },
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
    line(match config.sessions.renew_without_id_token {
        WithoutIdToken::Userinfo => {
            "At a renewal, userinfo is asked for the claims that rules look at and the ID token lacks; \
             where there is neither, access ends."
                .to_owned()
        }
        WithoutIdToken::Keep => {
            "A renewal without an ID token confirms whatever was known of the person before.".to_owned()
        }
    });
    if !config.sessions.revoke_tokens {
        line("Refresh tokens of sessions that end are forgotten here and not revoked.".to_owned());
    }
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
    let reach = rule.reach();
    let mut accounts = reach.named.clone();
    if reach.own {
        let claim = config.rules.account_claim().unwrap_or_default().join(".");
        accounts.push(format!("the one called like the claim {claim}"));
    }
    let mut asked = Vec::new();
    if let Some(values) = rule.acr() {
        asked.push(format!("the acr {}", values.join(" or ")));
    }
    if let Some(age) = rule.max_auth_age() {
        asked.push(format!("a sign-in at most {} old", Span(age)));
    }
    let asked = match asked.as_slice() {
        [] => String::new(),
        asked => format!(" It asks for {}.", asked.join(" and ")),
    };
    format!(
        "Rule {:?} lets {} into {} for at most {}.{asked}",
        rule.name(),
        reach.services.join(", "),
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
    let own = config.rules.iter().any(|rule| rule.reach().own);
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
        if rule.reach().named.iter().any(|name| name == "root") && !config.rules.allows_root() {
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
    let provider = &config.provider;
    let is_asked = provider
        .scopes
        .iter()
        .any(|scope| scope == "offline_access");
    let is_needed = provider.preset.quirks.refresh == RefreshTokens::OfflineAccess;
    if is_asked && !is_needed {
        warnings.push(format!(
            "{} has no scope offline_access, and refuses whoever asks for it; it gives refresh tokens without",
            provider.preset.title
        ));
    }
    if is_needed && !is_asked {
        warnings.push(
            "the scope offline_access is not asked for: without a refresh token a withdrawn access ends no session before max_session"
                .to_owned(),
        );
    }
    if config.sessions.renew_without_id_token == WithoutIdToken::Keep
        && config.rules.look_at_claims()
    {
        warnings.push(
            "renew_without_id_token is \"keep\": whoever leaves a group is noticed only where renewals bring an ID token"
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

/// What may not be meant about services. `names_some` says of each rule whether it names services of its
/// own, `is_set` whether the file says which the others are for.
pub(super) fn unmeant_services(rules: &Rules, names_some: &[bool], is_set: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_set && !names_some.is_empty() && names_some.iter().all(|names| *names) {
        warnings.push(
            "services at the top is for rules that name none, and every rule names its own"
                .to_owned(),
        );
    }
    let of = |wanted: bool| {
        let both = rules.iter().zip(names_some);
        both.filter(move |(_, names)| **names == wanted)
            .map(|(rule, _)| rule)
    };
    // Whoever asks more of people for one service would be surprised by a rule that lets them past it.
    for strict in of(true) {
        for lax in of(false) {
            let asks_less = (strict.acr().is_some() && lax.acr().is_none())
                || (strict.max_auth_age().is_some() && lax.max_auth_age().is_none());
            let mut services = strict.reach().services.iter();
            if let Some(service) = services.find(|service| asks_less && lax.is_for(service)) {
                warnings.push(format!(
                    "rule {:?} names no services and lets {service} in without what rule {:?} asks for; name its services, or take {service} out of services at the top",
                    lax.name(),
                    strict.name()
                ));
            }
        }
    }
    warnings
}
