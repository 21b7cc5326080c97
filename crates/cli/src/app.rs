//! What every command works with: the settings in force, the way to the rooms below, and the voice.
//!
//! Nothing here is opened, connected or loaded before a command asks for it: `countersign token` is
//! run by other programs all day long.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use countersign_client::{
    Context, Environment, Error as ClientError, ExitCategory, HttpOptions, HttpTransport, Login,
    Secret, SessionName, TokenSource,
};

use crate::config::Config;
use crate::dirs;
use crate::error::CliError;
use crate::given::Overrides;
use crate::output::{Voice, shell_word};
use crate::settings::{Setting, Settings};
use crate::wire::Told;

/// A client secret is a line; whoever names a larger file has named the wrong one.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The settings in force, and the means to act on them.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) voice: Voice,
    pub(crate) config: Config,
    /// What flags and environment said.
    pub(crate) given: Overrides,
    pub(crate) settings: Settings,
    pub(crate) no_input: bool,
}

impl App {
    /// Whether a question may be asked. Some build servers give their jobs a terminal, and nobody sits
    /// at it.
    pub(crate) fn may_ask(&self) -> bool {
        let unattended = || Environment::from_variables(|name| std::env::var_os(name)).ci;
        !self.no_input && crate::term::is_interactive() && !unattended()
    }

    /// How requests are sent.
    pub(crate) fn http(&self) -> HttpOptions {
        let mut http = HttpOptions::default();
        http.overall_limit = self.settings.timeout.value;
        http.connect_limit = http.connect_limit.min(http.overall_limit);
        if let Some(files) = &self.settings.ca_cert {
            http.ca_files.clone_from(&files.value);
        }
        http
    }

    /// Files, network and clock as the settings have them.
    pub(crate) fn context(&self) -> Result<Context, CliError> {
        let http = self.http();
        let context =
            Context::new(dirs::state_and_cache()?, http.clone()).with_vaults(self.vaults());
        if !self.voice.tells(1) {
            return Ok(context);
        }
        let told = Told::new(self.voice, HttpTransport::new(http));
        Ok(context.with_transport(Arc::new(told)))
    }

    /// The sign-in that the settings describe, as far as it matters to a session that there is.
    ///
    /// # Errors
    /// When nobody said where people sign in.
    pub(crate) fn login(&self) -> Result<Login, CliError> {
        let settings = &self.settings;
        let issuer = settings.require_issuer(&self.config)?;
        let mut login =
            Login::new(issuer, &settings.server.client_id.value)?.context(self.context()?);
        if let Some(scope) = &settings.scope {
            login = login.scopes(scope.value.iter().map(String::as_str));
        }
        if let Some(audience) = &settings.audience {
            login = login.audience(&audience.value);
        }
        for resource in settings.resource.iter().flat_map(|setting| &setting.value) {
            login = login.resource(resource);
        }
        for (name, value) in settings.param.iter().flat_map(|setting| &setting.value) {
            login = login.parameter(name, value);
        }
        if let Some(provider) = &settings.server.provider {
            login = login.preset(provider.value.0.name);
        }
        if let Some(endpoints) = &settings.endpoints {
            login = login.endpoints(endpoints.value.clone());
        }
        if let Some(name) = settings.session_name()? {
            login = login.session_name(name);
        }
        Ok(login)
    }

    /// The tokens of the session there is.
    ///
    /// # Errors
    /// [`ExitCategory::LoginRequired`] when there is none, with the command that makes one.
    pub(crate) fn tokens(&self) -> Result<TokenSource, CliError> {
        if let Some(tokens) = self.own_tokens()? {
            return Ok(tokens);
        }
        let opened = self.open(&self.login()?);
        // The client does not hand out the tokens of another server. How they come to be here is that the
        // profile was changed.
        opened.map_err(|error| {
            let required = error.exit() == ExitCategory::LoginRequired;
            if required && self.has_foreign_session() {
                return error.why("the saved session is for another server or client");
            }
            error
        })
    }

    /// The same the short way: a session that the profile has, for the server and the client in force.
    /// Their names are compared as they are written, and nothing is made that only a login needs.
    fn own_tokens(&self) -> Result<Option<TokenSource>, CliError> {
        let issuer = self.settings.require_issuer(&self.config)?;
        let Some(name) = self.settings.session_name()? else {
            return Ok(None);
        };
        // An account that was named by its label; where none was, the first one must be the only one.
        let account = self.settings.account.as_ref();
        let name = match account.map(|account| format!("{name}@{}", account.value)) {
            None => name,
            Some(name) => match SessionName::new(&name) {
                Ok(name) => name,
                Err(_) => return Ok(None),
            },
        };
        match TokenSource::open(&self.context()?, &name) {
            Ok(tokens) => {
                let client_id = &self.settings.server.client_id.value;
                let meant = account.is_some() || !tokens.has_others();
                let own = meant && tokens.is_for(issuer, client_id);
                Ok(own.then_some(tokens))
            }
            Err(ClientError::LoginRequired { .. }) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// The session that the settings mean, whatever state it is in.
    pub(crate) fn session_name(&self) -> Result<SessionName, CliError> {
        match self.accounts()? {
            Some(accounts) => self.session_of(&accounts),
            None => self.login()?.name().map_err(|error| self.explain(error)),
        }
    }

    /// Whether the session that is meant is one of another server or client.
    fn has_foreign_session(&self) -> bool {
        let server = &self.settings.server;
        let Ok(Some(issuer)) = server.issuer() else {
            return false;
        };
        let Ok(Some(accounts)) = self.accounts() else {
            return false;
        };
        let session = self.session_of(&accounts).and_then(|name| {
            let session = self.context()?.session(&name);
            session.map_err(CliError::from)
        });
        session.is_ok_and(|session| {
            session.is_some_and(|session| {
                session.issuer() != issuer || session.client_id() != server.client_id.value
            })
        })
    }

    /// An error of the rooms below, with the command to type where one helps.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is what `map_err` hands over"
    )]
    pub(crate) fn explain(&self, error: ClientError) -> CliError {
        let text = CliError::from_client(&error);
        match text.exit() {
            _ if matches!(error, ClientError::LoginTimedOut { .. }) => {
                text.hint(self.command("login --login-timeout 10m"))
            }
            ExitCategory::LoginRequired => text.hint_first(self.command("login")),
            ExitCategory::Storage => self.elsewhere(&error, text),
            _ if error.code() == "tls_failed" => text.hint_first(crate::error::ADD_CERTIFICATE),
            _ => text,
        }
    }

    /// A command of ours, as it has to be typed for the same profile, account and server.
    pub(crate) fn command(&self, command: &str) -> String {
        let account = self.settings.account.as_ref();
        match account.filter(|account| account.origin.is_typed()) {
            Some(account) => {
                let account = shell_word(&account.value);
                self.command_without_account(&format!("{command} --account {account}"))
            }
            None => self.command_without_account(command),
        }
    }

    /// The same for whichever account.
    pub(crate) fn command_without_account(&self, command: &str) -> String {
        let flag = |setting: Option<&Setting<String>>, flag: &str| {
            let given = setting.filter(|setting| setting.origin.is_typed())?;
            Some(format!(" {flag} {}", shell_word(&given.value)))
        };
        let settings = &self.settings;
        let server = &settings.server;
        let profile = flag(settings.profile.as_ref(), "-p").unwrap_or_default();
        let provider = server.provider.as_ref().filter(|it| it.origin.is_typed());
        let parts = [
            flag(server.org.as_ref(), "--org"),
            flag(server.server.as_ref(), "--server"),
            flag(server.host.as_ref(), "--host"),
        ];
        // An issuer that was made of parts is made of them again.
        let is_made = provider
            .is_some_and(|provider| provider.value.is_one() || parts.iter().any(Option::is_some));
        let issuer = flag(server.issuer.as_ref().filter(|_| !is_made), "--issuer");
        let provider = provider.map(|it| format!(" --provider {}", it.value.0.name));
        let client_id = flag(Some(&server.client_id), "--client-id");
        let which: String = [provider]
            .into_iter()
            .chain(parts)
            .chain([issuer, client_id])
            .flatten()
            .collect();
        format!("countersign{profile} {command}{which}")
    }
}

/// The access token that the environment brings ready-made, if it does. It wins over every session.
///
/// # Errors
/// When it is not a token at all.
pub(crate) fn ready_made_token() -> Result<Option<Secret>, CliError> {
    match std::env::var("COUNTERSIGN_TOKEN") {
        Ok(token) if token.is_empty() => Ok(None),
        Ok(token) => {
            check_token(&token)?;
            Ok(Some(Secret::new(token)))
        }
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(not_a_token()),
    }
}

/// Refuses what could break out of the header, the line or the quotes that a token is put into. A
/// bearer token consists of these characters alone (RFC 6750, section 2.1).
pub(crate) fn check_token(token: &str) -> Result<(), CliError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.is_empty() && token.bytes().all(allowed) {
        return Ok(());
    }
    Err(not_a_token())
}

fn not_a_token() -> CliError {
    CliError::new(
        ExitCategory::Failure,
        "invalid_token",
        "the token is not a bearer token",
    )
    .why("it has a character that no bearer token may have (RFC 6750, section 2.1)")
}

/// Reads the client secret from its file, without the end of the line.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, CliError> {
    let what = || {
        CliError::configuration(format!(
            "cannot read the client secret in {}",
            path.display()
        ))
    };
    let file = File::open(path).map_err(|error| what().why(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| what().why(error.to_string()))?;
    // Wiped when it goes, like what is made of it.
    let text = Secret::new(text);
    let secret = text.expose().trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(what().why("the file is empty"));
    }
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_break_out_is_a_token() {
        assert!(check_token("eyJh.eyJp.c2ln-_~+/==").is_ok());
        for text in [
            "",
            "a b",
            "a\nheader = \"x\"",
            "a\"",
            "a'",
            "a\r",
            "ü",
            "a\x1b[31m",
        ] {
            assert!(check_token(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_end_of_the_line_is_not_part_of_a_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret \r\n").unwrap();
        assert_eq!(read_secret(file.path()).unwrap().expose(), "s3cret ");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(read_secret(file.path()).is_err());
    }
}
