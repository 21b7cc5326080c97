//! One-time passwords in words: which routes ask for one, and what they are worth.

use std::fmt::Write as _;

use countersign_console::settings::{Bytes, Span};
use countersign_resource::step_up::Per;

use super::super::{Config, Confirm};

/// How challenges are made.
pub(super) fn sentence(config: &Config) -> String {
    if config.routes.iter().all(|route| route.confirm.is_none()) {
        return String::new();
    }
    match config.step_up.key_files.first() {
        Some(file) => format!("seals challenges for passwords by {}\n", file.display()),
        None => {
            "seals challenges for passwords by a key of this process alone ([step_up])\n".to_owned()
        }
    }
}

/// What a person has to confirm a request by.
pub(super) fn confirmed(confirm: &Confirm) -> String {
    let asked = &confirm.asked;
    let methods: Vec<&str> = asked.methods().iter().map(|it| it.as_str()).collect();
    let methods = methods.join(" or ");
    let mut out = match asked.per() {
        Per::Window(time) => format!("confirmed once in {}", Span(time)),
        _ => "each confirmed".to_owned(),
    };
    let _ = write!(out, " by a one-time password ({methods})");
    if confirm.danger_unbound_body {
        out.push_str(", WHATEVER its body");
    } else {
        let limit = Bytes(asked.body_limit() as u64);
        let _ = write!(out, "; bodies up to {limit}");
    }
    out
}

/// What is allowed and may still not be meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let asks = config.routes.iter().filter(|it| it.confirm.is_some());
    if asks.clone().next().is_none() {
        if config.step_up.realm.is_some() || !config.step_up.key_files.is_empty() {
            warnings
                .push("[step_up] is there, and no route asks for a one-time password".to_owned());
        }
        return warnings;
    }
    if config.state.shared.is_some() && config.step_up.key_files.is_empty() {
        warnings.push(
            "replicas do not take each other's challenges for one-time passwords without [step_up] key_file"
                .to_owned(),
        );
    }
    for route in asks {
        if route
            .confirm
            .as_ref()
            .is_some_and(|it| it.danger_unbound_body)
        {
            warnings.push(format!(
                "line {}: a password for {} is one for any body, where the proxy that asks keeps it",
                route.line, route.pattern
            ));
        }
    }
    warnings
}
