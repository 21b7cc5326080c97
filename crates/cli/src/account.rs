//! Which account of a profile is meant: the one that is named, else the one that was chosen by signing in
//! or by `countersign switch`.
//!
//! With one account nothing is looked up: its session is called like the profile, and says so itself if
//! there are others.

use countersign_client::{
    Account, Accounts, Error as ClientError, ExitCategory, Found, Login, LoginRequired,
    SessionName, TokenSource,
};

use crate::app::App;
use crate::error::CliError;
use crate::output::shell_word;

impl App {
    /// The accounts of the profile; `None` for a session that belongs to no profile.
    ///
    /// # Errors
    /// When an account was named all the same.
    pub(crate) fn accounts(&self) -> Result<Option<Accounts>, CliError> {
        if let Some(base) = self.settings.session_name()? {
            return Ok(Some(self.context()?.accounts(&base)));
        }
        match &self.settings.account {
            None => Ok(None),
            Some(account) => {
                let what = format!("there is no account {}", shell_word(&account.value));
                Err(CliError::usage(what)
                    .why("accounts belong to a profile, and this server and client to none")
                    .hint("countersign profile list"))
            }
        }
    }

    /// The tokens of the session that is meant.
    pub(crate) fn open(&self, login: &Login) -> Result<TokenSource, CliError> {
        let explained = |error| self.explain(error);
        let Some(named) = &self.settings.account else {
            let first = login.token_source();
            let decided = match &first {
                Ok(tokens) => !tokens.has_others(),
                Err(error) => !is_nobody(error),
            };
            if decided {
                return first.map_err(explained);
            }
            return self.open_chosen(login, first);
        };
        let Some(accounts) = self.accounts()? else {
            return login.token_source().map_err(explained);
        };
        let account = self.find(&accounts, &named.value)?;
        let login = login.clone().session_name(account.name);
        login.token_source().map_err(explained)
    }

    /// The tokens of the account that was chosen, where the first one is not there or need not be meant.
    fn open_chosen(
        &self,
        login: &Login,
        first: Result<TokenSource, ClientError>,
    ) -> Result<TokenSource, CliError> {
        let Some(accounts) = self.accounts()? else {
            return first.map_err(|error| self.explain(error));
        };
        let chosen = accounts.chosen()?;
        let tokens = match (chosen, first) {
            (Some(name), _) if name != *accounts.base() => {
                login.clone().session_name(name).token_source()
            }
            (None, Ok(_)) => return Err(self.nobody(&accounts)),
            (_, first) => first,
        };
        tokens.map_err(|error| {
            if is_nobody(&error) {
                self.nobody(&accounts)
            } else {
                self.explain(error)
            }
        })
    }

    /// The account that a word means.
    ///
    /// # Errors
    /// When it means none, or several.
    pub(crate) fn find(&self, accounts: &Accounts, word: &str) -> Result<Account, CliError> {
        match accounts.find(word)? {
            Found::One(account) => Ok(*account),
            Found::Several(labels) => {
                let what = format!("{} could be several accounts", shell_word(word));
                let error = CliError::usage(what).why(format!("there are: {}", labels.join(", ")));
                Err(error.hint("name one in full"))
            }
            Found::Nobody => {
                let what = format!("nobody is signed in as {}", shell_word(word));
                let error = CliError::new(ExitCategory::LoginRequired, "login_required", what);
                let list = accounts.list()?;
                let error = match list.as_slice() {
                    [] => error,
                    some => error.why(format!("accounts are: {}", labels(some))),
                };
                let login = format!("login --account {}", shell_word(word));
                Err(error.hint(self.command_without_account(&login)))
            }
        }
    }

    /// What the account of a session is called; `None` for a session that belongs to no profile.
    pub(crate) fn label_of(&self, session: &SessionName) -> Option<String> {
        let accounts = self.accounts().ok()??.list().ok()?;
        let mut labels = accounts.into_iter();
        let account = labels.find(|account| account.name == *session)?;
        Some(account.label)
    }

    /// The session of the account that is meant, whatever state it is in.
    pub(crate) fn session_of(&self, accounts: &Accounts) -> Result<SessionName, CliError> {
        if let Some(named) = &self.settings.account {
            return Ok(self.find(accounts, &named.value)?.name);
        }
        match accounts.active()? {
            Some(name) => Ok(name),
            None => Err(self.nobody(accounts)),
        }
    }

    /// The error where the account that is meant is signed out, or none is.
    fn nobody(&self, accounts: &Accounts) -> CliError {
        let reason = LoginRequired::NoSession;
        let session = accounts.base().to_string();
        let error = self.explain(ClientError::LoginRequired { session, reason });
        let mut others = accounts.list().unwrap_or_default();
        // The one that is meant is not signed in, whatever its file is.
        others.retain(|account| !account.active);
        if others.is_empty() {
            return error;
        }
        let error = error.why(format!("other accounts are: {}", labels(&others)));
        error.hint_first(self.command_without_account("switch"))
    }
}

fn is_nobody(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::LoginRequired {
            reason: LoginRequired::NoSession,
            ..
        }
    )
}

fn labels(accounts: &[Account]) -> String {
    let labels: Vec<&str> = accounts.iter().map(|it| it.label.as_str()).collect();
    labels.join(", ")
}
