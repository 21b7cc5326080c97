//! What a handler knows of a request that was confirmed.

use std::sync::Arc;

use countersign_jose::Timestamp;
use http::Extensions;

use crate::otp::{self, Method};

/// A request that a person confirmed by a one-time password, which is used up by now.
///
/// The layer ([`StepUpLayer`](crate::step_up::StepUpLayer)) puts it into the request's extensions. A
/// handler that takes one cannot be reached without: nothing else makes one. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Confirmed {
    rule: Arc<str>,
    password: Option<Arc<Password>>,
}

/// What is known of a password that was used up.
#[derive(Debug)]
struct Password {
    method: Method,
    device: String,
    at: Timestamp,
}

impl Confirmed {
    /// Only for a request whose password was right and is used up.
    pub(super) fn now(rule: &str, password: &otp::Confirmed, at: Timestamp) -> Self {
        Self {
            rule: rule.into(),
            password: Some(Arc::new(Password {
                method: password.method(),
                device: password.label().to_owned(),
                at,
            })),
        }
    }

    /// Only for a request within the time for which an earlier password counts.
    pub(super) fn before(rule: &str) -> Self {
        Self {
            rule: rule.into(),
            password: None,
        }
    }

    /// The name of what was asked for.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// How the password was made; nothing when it came with an earlier request.
    pub fn method(&self) -> Option<Method> {
        self.password.as_ref().map(|password| password.method)
    }

    /// What its owner calls the device; nothing when the password came with an earlier request.
    pub fn device(&self) -> Option<&str> {
        self.password.as_ref().map(|password| &*password.device)
    }

    /// When the password was used up; nothing when it came with an earlier request.
    pub fn at(&self) -> Option<Timestamp> {
        self.password.as_ref().map(|password| password.at)
    }

    /// What the layer put into these extensions.
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}
