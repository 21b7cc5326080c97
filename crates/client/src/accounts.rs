//! Several people signed in under one name: who they are, and which of them is meant.
//!
//! Whoever signs in first is kept under the name itself (`work`), everybody else under the name and a
//! label (`work@bob`). Who is meant is noted in a file of its own, which is only there when there is a
//! choice: the session of the first says in its own file whether it has to be looked for. So it costs
//! nothing where one person has one account.
//!
//! Nobody becomes somebody else in silence. A login of another person is kept beside the one there is,
//! and a login to a named account that ends as another person is refused (`placing`). When the account
//! that is meant signs out, none is meant until somebody says so.

mod label;
mod placing;

use std::time::Duration;

use countersign_store::{FileStore, Purpose, Record};
use serde::{Deserialize, Serialize};

use self::label::fits;
pub use self::placing::{OtherPerson, SignedIn};
pub(crate) use self::placing::{Placing, call};
use crate::refresh::wait_for_lock;
use crate::{Context, Error, InvalidSessionName, Session, SessionName};

/// How long a renewal that is under way may delay the choice of an account.
const RENEWAL_LIMIT: Duration = Duration::from_secs(40);

/// The accounts under one name.
#[derive(Debug, Clone)]
pub struct Accounts {
    context: Context,
    base: SessionName,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Account {
    /// What to call it: as it was named at login, or as the server calls the person.
    pub label: String,
    /// The name of the session.
    pub name: SessionName,
    /// Whether it is the one that is meant when none is named.
    pub active: bool,
    /// The session; `None` when its file cannot be read.
    pub session: Option<Session>,
}

/// Which account a word means.
#[derive(Debug, Clone)]
pub enum Found {
    /// This one.
    One(Box<Account>),
    /// Any of those with these labels.
    Several(Vec<String>),
    /// None there is.
    Nobody,
}

/// The file that says which account is meant.
#[derive(Debug, Serialize, Deserialize)]
struct Chosen {
    session: String,
}

impl Record for Chosen {
    const VERSION: u32 = 1;
}

impl Context {
    /// The accounts under the name `base`. Touches nothing.
    pub fn accounts(&self, base: &SessionName) -> Accounts {
        Accounts {
            context: self.clone(),
            base: base.clone(),
        }
    }
}

impl Accounts {
    /// The name that all of them are under.
    pub fn base(&self) -> &SessionName {
        &self.base
    }

    /// The session name of the account with a label, whether there is one or not.
    ///
    /// # Errors
    /// [`InvalidSessionName`] when the label could not be part of a file name on every system.
    pub fn name_of(&self, label: &str) -> Result<SessionName, InvalidSessionName> {
        // By itself, so that what is wrong with it is said of it.
        SessionName::new(label)?;
        SessionName::new(&format!("{}@{label}", self.base))
    }

    /// The session that is meant when no account is named, whether there is one or not. `None` when there
    /// are several and nobody has chosen.
    ///
    /// # Errors
    /// [`Error::Storage`] when that cannot be read.
    pub fn active(&self) -> Result<Option<SessionName>, Error> {
        let first = self.context.session(&self.base)?;
        if first.as_ref().is_some_and(|first| !first.has_others()) {
            return Ok(Some(self.base.clone()));
        }
        if let Some(chosen) = self.chosen()? {
            return Ok(Some(chosen));
        }
        let alone = first.is_none() && self.names()?.is_empty();
        Ok(alone.then(|| self.base.clone()))
    }

    /// The choice as it is noted, if there is one. For those who know from [`Session::has_others`], or from
    /// there being no session, that it counts.
    ///
    /// # Errors
    /// [`Error::Storage`] when it cannot be read.
    pub fn chosen(&self) -> Result<Option<SessionName>, Error> {
        let chosen = self.file().load::<Chosen>(&self.base);
        let Some(chosen) = chosen.map_err(Error::Storage)? else {
            return Ok(None);
        };
        // A name that is none of ours leads nowhere.
        let name = SessionName::new(&chosen.session).ok();
        Ok(name.filter(|name| self.has(name)))
    }

    /// Everybody who is signed in, the first and then by label.
    ///
    /// # Errors
    /// [`Error::Storage`] when the directory, or which of them is meant, cannot be read.
    pub fn list(&self) -> Result<Vec<Account>, Error> {
        let active = self.active()?;
        let mut accounts = Vec::new();
        for name in self.names()? {
            let session = self.context.session(&name).ok().flatten();
            let label = match name.as_str().split_once('@') {
                Some((_, label)) => label.to_owned(),
                None => session
                    .as_ref()
                    .and_then(label::of)
                    .unwrap_or_else(|| name.to_string()),
            };
            accounts.push(Account {
                label,
                active: active.as_ref() == Some(&name),
                name,
                session,
            });
        }
        Ok(accounts)
    }

    /// The account that `word` means: its label; else the person's user name or address; else the only
    /// label that begins with it and goes on with an `@`.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn find(&self, word: &str) -> Result<Found, Error> {
        let word = word.to_ascii_lowercase();
        let accounts = self.list()?;
        let tests: [fn(&Account, &str) -> bool; 3] = [
            |account, word| account.label == word,
            |account, word| account.session.as_ref().is_some_and(|s| fits(s, word)),
            |account, word| {
                let rest = account.label.strip_prefix(word);
                rest.is_some_and(|rest| rest.starts_with('@'))
            },
        ];
        for test in tests {
            let mut fitting = accounts.iter().filter(|account| test(account, &word));
            let Some(first) = fitting.next() else {
                continue;
            };
            let others: Vec<String> = fitting.map(|other| other.label.clone()).collect();
            if others.is_empty() {
                return Ok(Found::One(Box::new(first.clone())));
            }
            return Ok(Found::Several([vec![first.label.clone()], others].concat()));
        }
        Ok(Found::Nobody)
    }

    /// Makes `name` the account that is meant from now on.
    ///
    /// # Errors
    /// [`Error::Storage`] when that cannot be written down, [`Error::LockTimeout`] when a renewal of the
    /// first account's session does not end.
    pub fn activate(&self, name: &SessionName) -> Result<(), Error> {
        let alone = !self.names()?.iter().any(|other| other != name);
        if alone && *name == self.base {
            self.mark(false)?;
            return self.forget_choice();
        }
        // The choice first: as long as the first account does not say that there are others, it is meant.
        let chosen = Chosen {
            session: name.to_string(),
        };
        self.file()
            .save(&self.base, &chosen)
            .map_err(Error::Storage)?;
        self.mark(true)
    }

    /// After a logout: forgets the choice where there is none any more.
    ///
    /// # Errors
    /// As [`activate`](Self::activate).
    pub fn settle(&self) -> Result<(), Error> {
        let Some(chosen) = self.chosen()? else {
            return Ok(());
        };
        let names = self.names()?;
        if names.is_empty() {
            return self.forget_choice();
        }
        if names == [chosen.clone()] && chosen == self.base {
            return self.activate(&chosen);
        }
        // Who is left is not meant until somebody says so.
        Ok(())
    }

    /// The names of the sessions there are, that of the first at the beginning.
    fn names(&self) -> Result<Vec<SessionName>, Error> {
        let mut names = self.context.session_names()?;
        names.retain(|name| self.has(name));
        Ok(names)
    }

    /// Whether a session of this name is one of ours.
    fn has(&self, name: &SessionName) -> bool {
        let rest = name.as_str().strip_prefix(self.base.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
    }

    fn mark(&self, has_others: bool) -> Result<(), Error> {
        // Nothing is written, nor waited for, where it is so already.
        let first = self.context.session(&self.base)?;
        if first.is_none_or(|first| first.has_others() == has_others) {
            return Ok(());
        }
        let _renewals = wait_for_lock(&self.context, &self.base, Purpose::Refresh, RENEWAL_LIMIT)?;
        let marked = self.context.store().mark(&self.base, has_others);
        marked.map(|_| ()).map_err(Error::Storage)
    }

    fn forget_choice(&self) -> Result<(), Error> {
        let removed = self.file().remove(&self.base);
        removed.map(|_| ()).map_err(Error::Storage)
    }

    fn file(&self) -> FileStore {
        FileStore::open(&self.context.directories().state().join("accounts"))
    }
}
