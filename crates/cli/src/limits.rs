//! What a company allows on its computers: a limit that no profile, file of a person, variable or
//! flag widens.
//!
//! Every file there is can narrow it, the person's own included; none can lift what another forbids.

use std::path::{Path, PathBuf};

use countersign_client::{SignIn, VaultKind};
use serde::{Deserialize, Deserializer, de};

use crate::config::Config;
use crate::error::CliError;

/// The `[limits]` of one file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// The flows that may be used.
    #[serde(default, deserialize_with = "flows")]
    pub(crate) allowed_flows: Option<Vec<SignIn>>,
    /// Where refresh tokens may be kept.
    pub(crate) allowed_stores: Option<Vec<VaultKind>>,
}

/// `auto` is a choice among flows and not one of them.
fn flows<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<SignIn>>, D::Error> {
    let flows = Vec::<SignIn>::deserialize(from)?;
    if flows.contains(&SignIn::Auto) {
        return Err(de::Error::custom(
            "`auto` chooses among the flows that are allowed, so it is not one of them",
        ));
    }
    Ok(Some(flows))
}

/// The flows that every file allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedFlows {
    flows: Vec<SignIn>,
    /// Each file that limits them, and what it allows; the strongest word first.
    files: Vec<(PathBuf, Vec<SignIn>)>,
}

impl AllowedFlows {
    /// `None` when no file says anything.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let limit = |source: &crate::config::Source| {
            let flows = source.file.limits.allowed_flows.clone()?;
            Some((source.path.clone(), flows))
        };
        let files: Vec<(PathBuf, Vec<SignIn>)> = config.sources().filter_map(limit).collect();
        let (_, first) = files.first()?;
        let by_all = |flow: &SignIn| files.iter().all(|(_, flows)| flows.contains(flow));
        let mut flows: Vec<SignIn> = Vec::new();
        for flow in first.iter().copied().filter(by_all) {
            if !flows.contains(&flow) {
                flows.push(flow);
            }
        }
        Some(Self { flows, files })
    }

    /// What may be used.
    pub(crate) fn flows(&self) -> &[SignIn] {
        &self.flows
    }

    /// The files that say so.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// In words: `browser, device`.
    pub(crate) fn words(&self) -> String {
        words(self.flows())
    }

    /// Refuses a flow that is not among them, naming the file that leaves it out.
    pub(crate) fn check(&self, flow: SignIn) -> Result<(), CliError> {
        if self.flows.is_empty() {
            let error = CliError::configuration("no way to sign in is allowed on this computer");
            return Err(self.files.iter().fold(error, |error, (path, flows)| {
                error.why(format!("{} allows: {}", path.display(), words(flows)))
            }));
        }
        if flow == SignIn::Auto || self.flows.contains(&flow) {
            return Ok(());
        }
        let what = format!(
            "the flow `{}` is not allowed on this computer",
            flow.as_str()
        );
        let by = self.files.iter().find(|(_, flows)| !flows.contains(&flow));
        let error = CliError::new(
            countersign_client::ExitCategory::Configuration,
            "flow_not_allowed",
            what,
        );
        Err(match by {
            Some((path, flows)) => {
                error.why(format!("{} allows: {}", path.display(), words(flows)))
            }
            None => error,
        })
    }
}

/// The places for refresh tokens that every file allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedStores {
    kinds: Vec<VaultKind>,
    /// Each file that limits them, and what it allows.
    files: Vec<(PathBuf, Vec<VaultKind>)>,
}

impl AllowedStores {
    /// `None` when no file says anything.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let mut limit: Option<Self> = None;
        for source in config.sources() {
            let Some(kinds) = &source.file.limits.allowed_stores else {
                continue;
            };
            let limit = limit.get_or_insert_with(|| Self {
                kinds: kinds.clone(),
                files: Vec::new(),
            });
            limit.kinds.retain(|kind| kinds.contains(kind));
            limit.files.push((source.path.clone(), kinds.clone()));
        }
        limit
    }

    /// What may be used.
    pub(crate) fn kinds(&self) -> &[VaultKind] {
        &self.kinds
    }

    /// The files that say so.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// In words: `keyring, keyring-key`.
    pub(crate) fn words(&self) -> String {
        places(&self.kinds)
    }

    /// Refuses a place that is not among them, naming the file that leaves it out.
    pub(crate) fn check(&self, kind: VaultKind) -> Result<(), CliError> {
        if self.kinds.contains(&kind) {
            return Ok(());
        }
        let error = CliError::new(
            countersign_client::ExitCategory::Configuration,
            "store_not_allowed",
            format!("the store `{kind}` is not allowed on this computer"),
        );
        let by = self.files.iter().find(|(_, kinds)| !kinds.contains(&kind));
        Err(match by {
            Some((path, kinds)) => {
                error.why(format!("{} allows: {}", path.display(), places(kinds)))
            }
            None => error,
        })
    }
}

fn places(kinds: &[VaultKind]) -> String {
    if kinds.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    words.join(", ")
}

fn words(flows: &[SignIn]) -> String {
    if flows.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<&str> = flows.iter().map(|flow| flow.as_str()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;
    use crate::output::Paint;

    fn allowed(user: &str, system: &[&str]) -> Option<AllowedFlows> {
        AllowedFlows::of(&config(user, system))
    }

    #[test]
    fn nobody_said_anything_means_no_limit() {
        assert_eq!(allowed("[limits]", &["[defaults]\nflow = 'paste'"]), None);
    }

    #[test]
    fn every_file_narrows_and_none_widens() {
        let company = "[limits]\nallowed_flows = ['browser', 'device']";
        let both = allowed("[limits]\nallowed_flows = ['device', 'paste']", &[company]).unwrap();
        assert_eq!(both.flows(), [SignIn::Device]);
        let two = allowed("", &[company, "[limits]\nallowed_flows = ['browser']"]).unwrap();
        assert_eq!(two.flows(), [SignIn::Browser]);
        assert_eq!(two.files().count(), 2);
    }

    #[test]
    fn places_for_refresh_tokens_are_narrowed_in_the_same_way() {
        let company = "[limits]\nallowed_stores = ['keyring', 'keyring-key', 'passphrase']";
        let person = "[limits]\nallowed_stores = ['file', 'passphrase', 'keyring']";
        let none = AllowedStores::of(&config("", &["[limits]"]));
        assert_eq!(none, None);
        let limit = AllowedStores::of(&config(person, &[company])).unwrap();
        assert_eq!(limit.kinds().len(), 2);
        assert!(limit.check(VaultKind::Keyring).is_ok());
        let error = limit.check(VaultKind::File).unwrap_err();
        let text = error.render(Paint::Plain);
        assert!(text.contains("`file` is not allowed"), "{text}");
        assert!(
            text.contains("/etc/0.toml allows: keyring, keyring-key"),
            "{text}"
        );
    }

    #[test]
    fn what_is_refused_is_refused_with_the_file_that_does() {
        let company = "[limits]\nallowed_flows = ['browser', 'device']";
        let limit = allowed("[limits]\nallowed_flows = ['device']", &[company]).unwrap();
        assert!(limit.check(SignIn::Auto).is_ok() && limit.check(SignIn::Device).is_ok());
        let text = |flow| limit.check(flow).unwrap_err().render(Paint::Plain);
        let by_company = text(SignIn::Paste);
        assert!(
            by_company.contains("`paste` is not allowed"),
            "{by_company}"
        );
        assert!(text(SignIn::Browser).contains("/home/ada/config.toml allows: device"));
        let none = allowed("[limits]\nallowed_flows = []", &[company]).unwrap();
        let error = none.check(SignIn::Auto).unwrap_err().render(Paint::Plain);
        assert!(error.contains("config.toml allows: none"), "{error}");
    }
}
