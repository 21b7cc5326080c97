//! `[otp]`: where devices for one-time passwords are registered, and who verifies them.

use std::path::Path;
use std::time::Duration;

use countersign_console::Problem;
use countersign_oauth::Secret;
use countersign_resource::otp::ValidationServers;
use toml::Spanned;

use super::super::{Otp, Registry, State, StateKind, Validation, file};
use super::Check;

/// The word for the database of `[state]`.
const SHARED: &str = "shared";

/// More than any rotation needs.
const MOST_KEYS: usize = 8;

/// A key of the right length, to try the rest of a configuration with.
const SOME_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";

impl Check<'_> {
    pub(super) fn otp(
        &self,
        otp: Option<Spanned<file::OtpService>>,
        state: &State,
    ) -> Result<Option<Otp>, Problem> {
        let Some(otp) = otp else {
            return Ok(None);
        };
        let span = otp.span();
        let otp = otp.into_inner();
        let registry = if otp.registry == Path::new(SHARED) {
            let is_postgres =
                |shared: &super::super::SharedState| shared.kind == StateKind::Postgres;
            if !state.shared.as_ref().is_some_and(is_postgres) {
                return Err(self
                    .at(&span, "no database of [state] can register devices")
                    .hint("[state] with url = \"postgres://…\", or registry = \"otp.sqlite\""));
            }
            Registry::Shared
        } else {
            Registry::File(self.path(otp.registry))
        };
        let key_files = otp.key_file.into_vec();
        if key_files.is_empty() || key_files.len() > MOST_KEYS {
            return Err(self.at(&span, format!("there are 1 to {MOST_KEYS} key files")));
        }
        let failures = otp.failures.unwrap_or(5);
        if !(1..=100).contains(&failures) {
            return Err(self.at(&span, "failures is from 1 to 100"));
        }
        let window = otp
            .window
            .map_or(Duration::from_secs(15 * 60), |time| time.0);
        if window < Duration::from_secs(60) || window > Duration::from_secs(24 * 3600) {
            return Err(self.at(&span, "window is from 1m to 24h"));
        }
        let validation = match otp.validation {
            Some(validation) => Some(self.validation(validation).map_err(|error| {
                self.at(&span, "[otp.validation] cannot be used")
                    .because(error)
            })?),
            None => None,
        };
        Ok(Some(Otp {
            registry,
            key_files: key_files
                .into_iter()
                .map(|it| self.path(it.into()))
                .collect(),
            failures,
            window,
            validation,
        }))
    }

    /// Everything but the key, which may be on another machine.
    fn validation(
        &self,
        validation: file::Validation,
    ) -> Result<Validation, countersign_resource::Error> {
        let servers = validation.server.into_vec();
        let mut builder = ValidationServers::builder(&validation.client_id, Secret::new(SOME_KEY));
        for server in &servers {
            builder = builder.server(server);
        }
        builder.build()?;
        Ok(Validation {
            client_id: validation.client_id,
            key_file: self.path(validation.api_key_file),
            servers,
            time: validation.time.map(|time| time.0),
            ca_file: validation.ca_file.map(|path| self.path(path)),
            without_counters: validation.danger_without_counters,
        })
    }
}
