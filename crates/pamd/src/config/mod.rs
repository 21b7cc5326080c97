//! The configuration: one TOML file of root's, read, checked as a whole, and only then used.
//!
//! A file counts entirely or not at all. Unknown keys are errors with their line and the key that was
//! probably meant. The client's secret stands in a file of its own.
//!
//! Not responsible for doing any of it: what is here holds no socket, process or cache.

mod check;
mod explain;
mod file;
mod place;

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::Secret;
use countersign_console::Problem;
use countersign_console::settings::Source;
use countersign_oauth::preset::Preset;
use serde::Deserialize;

pub use explain::explain;
pub(crate) use place::Seen;

use crate::rules::Rules;

/// Where the configuration is unless somebody says otherwise.
pub const USUAL_FILE: &str = "/etc/countersign/pam.toml";

/// A file far beyond what a person writes is not read.
const MAX_FILE: u64 = 256 * 1024;
/// A client secret is one line.
const MAX_SECRET: u64 = 4096;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) provider: Provider,
    pub(crate) flow: Flow,
    /// The page that shows the code to be pasted.
    pub(crate) redirect_uri: Option<String>,
    /// The services of PAM that may ask.
    pub(crate) services: Vec<String>,
    /// The longest that a person is waited for.
    pub(crate) deadline: Duration,
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) show: Show,
    /// Whether the text appears without a prompt, and nobody has to press Enter.
    pub(crate) auto_continue: bool,
    pub(crate) sessions: Sessions,
    /// A program that is told of every event.
    pub(crate) notify: Option<PathBuf>,
    /// Whom refused people are told to ask.
    pub(crate) contact: Option<String>,
    /// What is allowed and may still not be meant.
    pub(crate) warnings: Vec<String>,
}

/// The authorization server, and who we are there: what a worker is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    /// What is known of it.
    pub(crate) preset: &'static Preset,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scopes: Vec<String>,
    pub(crate) ca_file: Option<PathBuf>,
    /// The longest that one answer is waited for.
    pub(crate) http_timeout: Duration,
    /// Whose rights the worker has, where the daemon is root.
    pub(crate) worker_user: String,
}

impl Provider {
    /// Whether what one says about a person, and what it gives for the next time, is the other's as well.
    pub(crate) fn is_the_same_as(&self, other: &Self) -> bool {
        (&self.issuer, &self.client_id) == (&other.issuer, &other.client_id)
    }
}

/// How many sign-ins may wait at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// For one account from one address.
    pub(crate) per_user: usize,
    /// From one address.
    pub(crate) per_rhost: usize,
    /// Begun from one address within a minute.
    pub(crate) per_minute: usize,
    /// Altogether.
    pub(crate) total: usize,
}

/// What prompts look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Show {
    pub(crate) qr: Qr,
    pub(crate) qr_invert: bool,
}

/// What becomes of sessions; `max_session` stands in the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sessions {
    pub(crate) offline_grace: Duration,
    /// How long a withdrawal may go unnoticed; otherwise that follows from the life of tokens.
    pub(crate) renew_every: Option<Duration>,
    pub(crate) warning: Duration,
    pub(crate) on_revoke: OnRevoke,
    pub(crate) renew_without_id_token: WithoutIdToken,
    /// Whether refresh tokens that nobody uses any more are revoked.
    pub(crate) revoke_tokens: bool,
    pub(crate) kill: KillBy,
    pub(crate) pubkey_needs_grant: bool,
    /// Accounts that log in by other means at all times.
    pub(crate) break_glass: Vec<String>,
}

/// How people sign in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flow {
    /// The device grant (RFC 8628): approved in a browser, wherever that is.
    #[default]
    Device,
    /// The code grant: a code from the browser is pasted at the prompt, so that an approval alone is of
    /// no use to somebody who sent the address to another person.
    Paste,
}

/// When a QR code is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Qr {
    /// When the address is short enough for a small one.
    #[default]
    Auto,
    /// Whenever it fits into 80 columns.
    Always,
    /// Never.
    Never,
}

/// What becomes of a session whose access was withdrawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnRevoke {
    /// Its person is warned, then it is ended.
    #[default]
    Terminate,
    /// Its person is warned.
    Warn,
}

/// What counts about a person when a renewal brings no ID token, which it need not (OpenID Connect Core
/// 1.0, section 12.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WithoutIdToken {
    /// What userinfo says, as far as the rules look at it. Where there is none, access ends.
    #[default]
    Userinfo,
    /// What was known before, as long as the server renews.
    Keep,
}

/// How the processes of a session are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KillBy {
    /// By all that there is.
    #[default]
    Auto,
    /// By the scope that logind made.
    Logind,
    /// By the kernel's audit session.
    Sessionid,
}

impl Config {
    /// Reads and checks the file at `path`, and the secret that it names.
    ///
    /// # Errors
    /// A [`Problem`] with the line, and with the command that repairs a file that others can write.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        Self::read_seen(path).map(|(config, _)| config)
    }

    /// The same with what the file is recognised by.
    pub(crate) fn read_seen(path: &Path) -> Result<(Self, Seen), Problem> {
        let (text, seen) = place::read(path, MAX_FILE, place::Readers::Anybody)?;
        let directory = path.parent().unwrap_or_else(|| Path::new("/"));
        let name = path.display().to_string();
        let parsed = Parsed::new(&text, &name, directory)?;
        let secret = parsed.secret_file.as_deref().map(read_secret).transpose()?;
        let mut config = parsed.config;
        config.provider.client_secret = secret;
        Ok((config, seen))
    }

    /// What is allowed and may still not be meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// A file that was checked, without what stands in others.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) config: Config,
    pub(crate) secret_file: Option<PathBuf>,
}

impl Parsed {
    /// Checks `text`, which is called `name` in messages; paths are relative to `directory`.
    pub(crate) fn new(text: &str, name: &str, directory: &Path) -> Result<Self, Problem> {
        let source = Source::new(text, name);
        let file = source.read("countersign-pamd check --help")?;
        check::Check::new(source, directory).run(file)
    }
}

/// Checks a text as the configuration, as far as that goes without other files. For the fuzzer.
///
/// # Errors
/// As [`Config::read`].
pub fn check_text(text: &str) -> Result<Config, Problem> {
    Parsed::new(text, "pam.toml", Path::new("/")).map(|parsed| parsed.config)
}

fn read_secret(path: &Path) -> Result<Secret, Problem> {
    let (text, _) = place::read(path, MAX_SECRET, place::Readers::Nobody)?;
    let text = Secret::new(text);
    let secret = text.expose().trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains(char::is_control) {
        return Err(
            Problem::new(format!("{} holds no client secret", path.display()))
                .why("it must be one line of text"),
        );
    }
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests;
