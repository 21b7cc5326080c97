//! `[state]`: what replicas share.

use countersign_console::Problem;
use countersign_resource::state::Remote;
use toml::Spanned;

use super::super::{SharedState, State, StateKind, file};
use super::Check;

impl Check<'_> {
    pub(super) fn state(&self, state: Option<Spanned<file::State>>) -> Result<State, Problem> {
        let Some(state) = state else {
            return Ok(State::default());
        };
        let span = state.span();
        let state = state.into_inner();
        let Some(url) = state.url else {
            let says_more = state.user.is_some()
                || state.database.is_some()
                || state.password_file.is_some()
                || state.ca_file.is_some()
                || state.time.is_some()
                || state.tls;
            if says_more {
                return Err(self
                    .at(&span, "[state] says how to reach a database and not which")
                    .hint("url = \"rediss://gateway@cache.example.com\""));
            }
            return Ok(State {
                shared: None,
                danger_allow_without: state.danger_allow_without,
            });
        };
        // A password in the address is refused before the address is repeated anywhere.
        let _checked: Remote = Remote::parse(&url).map_err(|error| {
            self.at(&span, "[state] cannot be used")
                .because(error)
                .hint("url = \"rediss://USER@HOST\" or \"postgres://USER@HOST/DATABASE\", and password_file")
        })?;
        let kind = if url.starts_with("redis") {
            StateKind::Redis
        } else {
            StateKind::Postgres
        };
        Ok(State {
            shared: Some(SharedState {
                url,
                kind,
                user: state.user,
                database: state.database,
                password_file: state.password_file.map(|path| self.path(path)),
                ca_file: state.ca_file.map(|path| self.path(path)),
                tls: state.tls,
                time: state.time.map(|time| time.0),
            }),
            danger_allow_without: state.danger_allow_without,
        })
    }
}
