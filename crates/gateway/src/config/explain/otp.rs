//! One-time passwords in words.

use countersign_console::settings::Span;

use super::super::{Config, Otp, Registry};

/// Where devices are, and when somebody is locked out.
pub(super) fn sentence(config: &Config, otp: &Otp) -> String {
    let state = config.state.shared.as_ref();
    let registry = match (&otp.registry, state) {
        (Registry::Shared, Some(shared)) => shared.url.clone(),
        (Registry::File(path), _) => path.display().to_string(),
        // Refused before.
        (Registry::Shared, None) => "[state]".to_owned(),
    };
    let counters = match state {
        Some(_) => ", what was used where proofs are",
        None => ", what was used as well",
    };
    let servers = match &otp.validation {
        Some(validation) => format!(
            "asks {} about Yubikeys whose secrets are there{}\n",
            validation.servers.join(", "),
            if validation.without_counters {
                ", and believes them without counters"
            } else {
                ""
            }
        ),
        None => String::new(),
    };
    format!(
        "knows who has which one-time passwords in {registry}{counters}\n\
         {servers}locks a person after {} wrong ones in {}\n",
        otp.failures,
        Span(otp.window)
    )
}
