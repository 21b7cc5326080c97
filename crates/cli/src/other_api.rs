//! The token for another API than the one that was signed in for, where one was asked for.
//!
//! Not responsible for how it is got: that is the client's.

use countersign_client::{
    Authorization, Error as ClientError, NoOtherApi, OtherToken, ScopeSet, Target, TokenSource,
};
use url::Url;

use crate::app::App;
use crate::args::TargetArgs;
use crate::error::CliError;
use crate::output::shell_word;

impl TargetArgs {
    /// Whether anything was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.resource.is_empty() && self.audience.is_none() && self.scope.is_empty()
    }

    /// What was said.
    ///
    /// # Errors
    /// When a scope cannot be one.
    pub(crate) fn target(&self) -> Result<Target, CliError> {
        let scopes = ScopeSet::parse(&self.scope.join(" "))
            .map_err(|error| CliError::usage("a scope cannot be used").why(error.to_string()))?;
        Ok(Target {
            resources: self.resource.clone(),
            audiences: self.audience.iter().cloned().collect(),
            scopes,
        })
    }

    /// The API that was named, unless the token of the session is for that one anyhow.
    ///
    /// # Errors
    /// When a scope cannot be one.
    pub(crate) fn other(&self, tokens: &TokenSource) -> Result<Option<Target>, CliError> {
        if self.is_empty() {
            return Ok(None);
        }
        let target = self.target()?;
        Ok(Some(target).filter(|target| !tokens.is_own(target)))
    }

    /// The same flags once more, for a program of ours that is started.
    pub(crate) fn again(&self) -> Vec<String> {
        let pairs = [
            ("--resource", &self.resource[..]),
            ("--audience", self.audience.as_slice()),
            ("--scope", &self.scope[..]),
        ];
        let each = pairs
            .iter()
            .flat_map(|(flag, values)| values.iter().map(move |value| format!("{flag}={value}")));
        each.collect()
    }

    /// A command of ours with the same flags, as it has to be typed.
    pub(crate) fn in_words(&self, command: &str) -> String {
        let flags = self.again().into_iter();
        flags.fold(command.to_owned(), |line, flag| {
            format!("{line} {}", shell_word(&flag))
        })
    }

    /// Refuses to be said together with a token that the environment brings ready-made.
    pub(crate) fn refuse_ready_made(&self) -> Result<(), CliError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(CliError::usage(
            "COUNTERSIGN_TOKEN brings one access token, and no other can be had with it",
        )
        .hint("unset COUNTERSIGN_TOKEN"))
    }
}

/// The token for `target`, kept or new.
pub(crate) fn token(
    app: &App,
    tokens: &TokenSource,
    target: &Target,
) -> Result<OtherToken, CliError> {
    let token = tokens.token_for(target, app.settings.min_ttl.value);
    token.map_err(|error| explain(app, error, tokens, target))
}

/// What authorizes one request to `url`, with the session's token or the one for `target`.
pub(crate) fn authorization(
    app: &App,
    tokens: &TokenSource,
    target: Option<&Target>,
    method: &str,
    url: &Url,
) -> Result<Authorization, CliError> {
    let authorization = match target {
        None => tokens.authorization(method, url, app.settings.min_ttl.value),
        Some(target) => {
            let token = token(app, tokens, target)?;
            tokens.authorization_with(&token, method, url)
        }
    };
    authorization.map_err(|error| app.explain(error))
}

/// An error about another API, with the login that would serve both where there is one.
pub(crate) fn explain(
    app: &App,
    error: ClientError,
    tokens: &TokenSource,
    target: &Target,
) -> CliError {
    let by_login = match &error {
        ClientError::OtherApi { why, .. } => *why == NoOtherApi::NoRefreshToken,
        ClientError::NotGiven(refused) => {
            matches!(refused.error().code(), "invalid_target" | "other_audience")
        }
        _ => false,
    };
    let explained = app.explain(error);
    if !by_login || target.resources.is_empty() {
        return explained;
    }
    let session = tokens.session();
    let mut command = "login".to_owned();
    for resource in session.resources().iter().chain(&target.resources) {
        command = format!("{command} --resource {}", shell_word(resource));
    }
    explained.hint(app.command(&command))
}
