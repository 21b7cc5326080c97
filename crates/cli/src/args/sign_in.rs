//! What is asked of the server and how a person answers: the same for a login and for a profile.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use countersign_client::SignIn;
use countersign_client::preset::Preset;
use serde::{Deserialize, Serialize};

use super::{Keep, When};
use crate::duration;
use crate::server::Provider;

/// Whether tokens are bound to a key of the session (RFC 9449).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dpop {
    /// they are not
    #[default]
    No,
    /// they are, where the server does it
    Preferred,
    /// they are, or nobody is signed in
    Required,
}

impl Dpop {
    /// The word that stands for it in flags and files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }
}

/// The ways to sign in, by the names that they have everywhere.
fn flows() -> impl TypedValueParser<Value = SignIn> {
    let flows = SignIn::ALL.map(|flow| PossibleValue::new(flow.as_str()).help(flow.text()));
    PossibleValuesParser::new(flows)
        .try_map(|name| SignIn::from_name(&name).ok_or("there is no such flow"))
}

/// The providers of which something is known.
fn providers() -> impl TypedValueParser<Value = Provider> {
    let names = Preset::ALL.iter().map(|preset| {
        let name = PossibleValue::new(preset.name);
        name.help(preset.title)
    });
    PossibleValuesParser::new(names).try_map(|name| Provider::by_name(&name))
}

// (A comment, because clap would take a doc comment for the command's own.)
#[derive(Debug, Args)]
pub(crate) struct SignInArgs {
    /// Whose server it is, for its ways and its short issuer
    #[arg(long, value_name = "NAME", help_heading = "Which server")]
    #[arg(value_parser = providers())]
    pub(crate) provider: Option<Provider>,

    /// The organisation or tenant there, a part of the issuer
    #[arg(long, value_name = "NAME", help_heading = "Which server")]
    pub(crate) org: Option<String>,

    /// The authorization server, realm or user pool, a part of the issuer
    #[arg(long, value_name = "NAME", help_heading = "Which server")]
    pub(crate) server: Option<String>,

    /// The host name of the server, where it has one of its own
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Hostname)]
    #[arg(help_heading = "Which server")]
    pub(crate) host: Option<String>,

    /// The way to sign in; auto looks at this computer and at the server
    #[arg(long, value_name = "FLOW", help_heading = "How to sign in")]
    #[arg(value_parser = flows())]
    #[arg(env = "COUNTERSIGN_FLOW", hide_env_values = true)]
    pub(crate) flow: Option<SignIn>,

    /// Open the address with this command; %s in it stands for the address
    #[arg(long, value_name = "COMMAND", help_heading = "How to sign in")]
    #[arg(value_hint = ValueHint::CommandString)]
    #[arg(env = "COUNTERSIGN_BROWSER", hide_env_values = true)]
    pub(crate) browser: Option<String>,

    /// Show the address only; do not open a browser
    #[arg(long, value_parser = FalseyValueParser::new(), help_heading = "How to sign in")]
    #[arg(env = "COUNTERSIGN_NO_BROWSER", hide_env_values = true)]
    pub(crate) no_browser: bool,

    /// When to draw the QR code
    #[arg(long, value_name = "WHEN", help_heading = "How to sign in")]
    pub(crate) qr: Option<When>,

    /// Give up after this long, such as 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    #[arg(help_heading = "How to sign in")]
    #[arg(env = "COUNTERSIGN_LOGIN_TIMEOUT", hide_env_values = true)]
    pub(crate) login_timeout: Option<Duration>,

    /// Where the server sends the browser, if one is registered there
    #[arg(long, value_name = "URI", value_hint = ValueHint::Url)]
    #[arg(help_heading = "How to sign in")]
    pub(crate) redirect_uri: Option<String>,

    /// Wait for the browser on this port, not on any free one (repeatable)
    #[arg(long, value_name = "PORT", help_heading = "How to sign in")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,

    /// Ask for this scope instead of the usual ones (repeatable)
    #[arg(long, value_name = "SCOPE", help_heading = "What to ask for")]
    pub(crate) scope: Vec<String>,

    /// The API the token is for, where the server wants `audience`
    #[arg(long, value_name = "NAME", help_heading = "What to ask for")]
    pub(crate) audience: Option<String>,

    /// The API the token is for (RFC 8707; repeatable)
    #[arg(long, value_name = "URL", help_heading = "What to ask for")]
    pub(crate) resource: Vec<String>,

    /// Sign in through this connection, where the server has several
    #[arg(long, value_name = "NAME", help_heading = "What to ask for")]
    pub(crate) connection: Option<String>,

    /// What the server does though someone is signed in there, such as login
    #[arg(long, value_name = "WORDS", help_heading = "What to ask for")]
    pub(crate) prompt: Option<String>,

    /// Who is about to sign in
    #[arg(long, value_name = "NAME", help_heading = "What to ask for")]
    pub(crate) login_hint: Option<String>,

    /// How strongly they must sign in, as the server calls it (repeatable)
    #[arg(long, value_name = "CLASS", help_heading = "What to ask for")]
    pub(crate) acr: Vec<String>,

    /// How long ago they may have signed in there, such as 8h
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    #[arg(help_heading = "What to ask for")]
    pub(crate) max_age: Option<Duration>,

    /// One more parameter of the request, as NAME=VALUE (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    #[arg(help_heading = "What to ask for")]
    pub(crate) param: Vec<(String, String)>,

    /// Bind the tokens to a key of this session (RFC 9449)
    #[arg(long, value_name = "WHEN", help_heading = "What to ask for")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "required")]
    pub(crate) dpop: Option<Dpop>,

    /// Where to keep the refresh token
    #[arg(long, value_name = "WHERE", help_heading = "How to sign in")]
    #[arg(env = "COUNTERSIGN_STORE", hide_env_values = true)]
    pub(crate) store: Option<Keep>,

    /// Read the client secret from this file, if the client has one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = "Who this client is")]
    #[arg(env = "COUNTERSIGN_CLIENT_SECRET_FILE", hide_env_values = true)]
    pub(crate) client_secret_file: Option<PathBuf>,

    /// Sign as the client with the key in this file (`private_key_jwt`)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = "Who this client is")]
    #[arg(env = "COUNTERSIGN_CLIENT_KEY_FILE", hide_env_values = true)]
    pub(crate) client_key_file: Option<PathBuf>,

    /// What the server calls that key (its `kid`); its thumbprint if not said
    #[arg(long, value_name = "ID", help_heading = "Who this client is")]
    pub(crate) client_key_id: Option<String>,
}

/// Reads `NAME=VALUE`.
fn parameter(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_need_a_name() {
        assert_eq!(parameter("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parameter("=b").is_err());
        assert!(parameter("a").is_err());
    }

    #[test]
    fn a_choice_has_one_word_in_flags_and_files() {
        for dpop in Dpop::value_variants() {
            let flag = dpop.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), dpop.word());
            let file = format!("dpop = {:?}", dpop.word());
            let file: std::collections::BTreeMap<String, Dpop> = toml::from_str(&file).unwrap();
            assert_eq!(file["dpop"], *dpop);
        }
    }
}
