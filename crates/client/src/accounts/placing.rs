//! Where a login is kept, which is known when it is known who it was.

use std::sync::{Arc, OnceLock};

use super::label::{self, Sameness, compare, fits};
use super::{Account, Accounts, Found};
use crate::{
    Error, Identity, InvalidSessionName, Login, Prompt, Session, SessionName, SignIn, printable,
};

/// What comes of a login among several accounts.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// The name it is kept under.
    pub name: SessionName,
    /// What the account is called.
    pub label: String,
    /// Whether somebody else was signed in, and still is.
    pub beside: bool,
}

/// Somebody else has signed in than was to. Nothing is kept, and the tokens were taken back as far as the
/// server lets them be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtherPerson {
    /// The account is somebody else's.
    #[error("{who} has signed in, and `{account}` is the account of {owner}")]
    NotTheirs {
        /// Who signed in, fit to print.
        who: String,
        /// The account that was named.
        account: String,
        /// Whose it is, fit to print.
        owner: String,
    },
    /// The account is an address, and it is not theirs.
    #[error("{who} has signed in, and not `{account}`")]
    NotCalledSo {
        /// Who signed in, fit to print.
        who: String,
        /// The account that was named.
        account: String,
    },
    /// They have an account of another name already.
    #[error("{who} has signed in, whose account is `{known}` and not `{account}`")]
    KnownAs {
        /// Who signed in, fit to print.
        who: String,
        /// The account that was named.
        account: String,
        /// The one they have.
        known: String,
    },
    /// The server did not say who signed in, and the account is somebody's.
    #[error("the server did not say who signed in, and `{account}` is the account of {owner}")]
    Nameless {
        /// The account that was named.
        account: String,
        /// Whose it is, fit to print.
        owner: String,
    },
}

impl OtherPerson {
    /// The account that was named.
    pub fn account(&self) -> &str {
        match self {
            Self::NotTheirs { account, .. }
            | Self::NotCalledSo { account, .. }
            | Self::KnownAs { account, .. }
            | Self::Nameless { account, .. } => account,
        }
    }
}

impl Accounts {
    /// Signs a person in as `login` says, keeps the session as one of these accounts, and makes it the one
    /// that is meant.
    ///
    /// With a name, that account is signed in or made, and nobody else's login is taken for it. Without one,
    /// it depends on who signs in: who has an account keeps it, the first gets the name of them all, and
    /// everybody else gets an account beside that, called as the server calls them.
    ///
    /// A `login_hint` goes to the server for an account that is known, and a new account asks it for
    /// somebody else than who is signed in there, unless `login` says otherwise.
    ///
    /// # Errors
    /// As [`Login::run`]; [`Error::OtherPerson`] when somebody else has signed in than was named, and
    /// [`Error::Configuration`] when the name cannot be one.
    pub fn sign_in(
        &self,
        login: &Login,
        named: Option<&str>,
        prompt: &mut dyn Prompt,
    ) -> Result<SignedIn, Error> {
        let (target, login) = self.prepared(login, named)?;
        let kept = Arc::new(OnceLock::new());
        let session = login
            .session_name(target.clone())
            .placed_by(Placing::Among(Among {
                accounts: self.clone(),
                target: target.clone(),
                named: named.map(str::to_ascii_lowercase),
                kept: Arc::clone(&kept),
            }))
            .run(prompt)?;
        // Where it was another process that signed in, it did so under the name that both meant.
        let name = kept.get().unwrap_or(&target).clone();
        self.activate(&name)?;
        let accounts = self.list()?;
        let own = accounts.iter().find(|account| account.name == name);
        Ok(SignedIn {
            label: own.map_or_else(|| name.to_string(), |own| own.label.clone()),
            beside: accounts.iter().any(|account| account.name != name),
            session,
            name,
        })
    }

    /// The session that a login is for, as far as that can be said before, and what the server is told.
    fn prepared(&self, login: &Login, named: Option<&str>) -> Result<(SessionName, Login), Error> {
        let accounts = self.list()?;
        let login = login.clone();
        let hinted = |login: Login, account: &Account| {
            let session = account.session.as_ref();
            let here = session.filter(|session| session.issuer() == login.issuer().as_str());
            let hint = here.and_then(|session| call(session.identity()));
            login.hinted(hint)
        };
        let Some(word) = named else {
            let target = self.active()?.unwrap_or_else(|| self.base.clone());
            // Where there is one account, the server has no need to be told which.
            let known = accounts.iter().find(|account| account.active);
            return Ok(match known.filter(|_| accounts.len() > 1) {
                Some(account) => (target, hinted(login, account)),
                None => (target, login),
            });
        };
        let word = word.to_ascii_lowercase();
        match self.find(&word)? {
            Found::One(account) => Ok((account.name.clone(), hinted(login, &account))),
            Found::Several(labels) => Err(Error::Configuration {
                what: "account",
                why: format!("`{word}` could be {}", labels.join(" or ")),
            }),
            Found::Nobody => {
                let name = self.name_of(&word).map_err(not_a_name)?;
                let login = login.hinted(Some(word.as_str()).filter(|word| word.contains('@')));
                Ok((name, login.beside_another(!accounts.is_empty())))
            }
        }
    }
}

/// How the server knows a person by name.
pub(crate) fn call(identity: &Identity) -> Option<&str> {
    let name = identity.preferred_username.as_deref();
    name.or(identity.email.as_deref())
}

fn not_a_name(error: InvalidSessionName) -> Error {
    Error::Configuration {
        what: "account",
        why: error.to_string(),
    }
}

/// What decides where a login is kept.
#[derive(Debug, Clone)]
pub(crate) enum Placing {
    /// As one of several accounts.
    Among(Among),
    /// In the place of a session of the same person, and of nobody else.
    Instead(Box<Session>, SessionName),
}

impl Placing {
    /// The name for a login that is finished but for that.
    ///
    /// # Errors
    /// [`Error::OtherPerson`] when somebody else has signed in than was to.
    pub(crate) fn place(&self, session: &Session) -> Result<SessionName, Error> {
        match self {
            Self::Among(among) => among.place(session),
            Self::Instead(known, name) => {
                check_owner(name.to_string(), known, session).map_err(Box::new)?;
                Ok(name.clone())
            }
        }
    }
}

/// An account among others.
#[derive(Debug, Clone)]
pub(crate) struct Among {
    accounts: Accounts,
    target: SessionName,
    /// In lower case.
    named: Option<String>,
    kept: Arc<OnceLock<SessionName>>,
}

impl Among {
    fn place(&self, session: &Session) -> Result<SessionName, Error> {
        // As they are now: somebody else may have signed in meanwhile.
        let accounts = self.accounts.list()?;
        let name = match &self.named {
            Some(named) => {
                check(named, &self.target, session, &accounts).map_err(Box::new)?;
                self.target.clone()
            }
            None => self.choose(session, &accounts)?,
        };
        let _ = self.kept.set(name.clone());
        Ok(name)
    }

    fn choose(&self, session: &Session, accounts: &[Account]) -> Result<SessionName, Error> {
        let compared = |account: &Account| account.session.as_ref().map(|s| compare(s, session));
        let own = accounts
            .iter()
            .find(|account| compared(account) == Some(Sameness::Same));
        if let Some(own) = own {
            return Ok(own.name.clone());
        }
        let target = accounts.iter().find(|account| account.name == self.target);
        let free = match target {
            // Where no server says who it was, there is one account, whoever signs in.
            Some(target) => compared(target) != Some(Sameness::Other),
            None => self.target == *self.accounts.base(),
        };
        if free {
            return Ok(self.target.clone());
        }
        self.new_name(session, accounts)
    }

    /// A name that no account has, made of what the server calls the person.
    fn new_name(&self, session: &Session, accounts: &[Account]) -> Result<SessionName, Error> {
        let base = self.accounts.base().as_str();
        let label = label::of(session).unwrap_or_else(|| "account".to_owned());
        // For the `@`, and for a number.
        let room = SessionName::MAX_LENGTH.saturating_sub(base.len() + 4);
        let label: String = label.chars().take(room).collect();
        let numbered = (2..100).map(|number| format!("{label}-{number}"));
        let taken = |label: &String| {
            let name = format!("{base}@{label}");
            let is = |account: &Account| account.label == *label || account.name.as_str() == name;
            accounts.iter().any(is)
        };
        let mut labels = std::iter::once(label.clone()).chain(numbered);
        let free = labels.find(|label| !taken(label)).unwrap_or(label);
        self.accounts.name_of(&free).map_err(not_a_name)
    }
}

/// Whether a login may take the place of `known`, which is called `account`.
fn check_owner(account: String, known: &Session, session: &Session) -> Result<(), OtherPerson> {
    let owner = who(known);
    match compare(known, session) {
        Sameness::Same | Sameness::Elsewhere => Ok(()),
        Sameness::Unknown if known.identity().subject.is_none() => Ok(()),
        Sameness::Unknown => Err(OtherPerson::Nameless { account, owner }),
        Sameness::Other => Err(OtherPerson::NotTheirs {
            who: who(session),
            account,
            owner,
        }),
    }
}

/// Whether a login may be kept as the account that was named.
fn check(
    named: &str,
    target: &SessionName,
    session: &Session,
    accounts: &[Account],
) -> Result<(), OtherPerson> {
    let account = named.to_owned();
    let of = |account: &Account| account.session.clone();
    let owner = accounts.iter().find(|account| account.name == *target);
    if let Some(known) = owner.and_then(of) {
        return check_owner(account, &known, session);
    }
    let is_theirs = |other: &&Account| {
        let same = of(other).map(|other| compare(&other, session));
        same == Some(Sameness::Same)
    };
    if let Some(known) = accounts.iter().find(is_theirs) {
        return Err(OtherPerson::KnownAs {
            who: who(session),
            account,
            known: known.label.clone(),
        });
    }
    let has_name = call(session.identity()).is_some();
    if named.contains('@') && has_name && !fits(session, named) {
        return Err(OtherPerson::NotCalledSo {
            who: who(session),
            account,
        });
    }
    Ok(())
}

/// Somebody in a few words, fit to print.
fn who(session: &Session) -> String {
    if session.flow() == Some(SignIn::ClientCredentials) {
        return format!("the client {}", printable(session.client_id()));
    }
    let identity = session.identity();
    let known = [
        &identity.email,
        &identity.preferred_username,
        &identity.name,
        &identity.subject,
    ];
    let text = known.into_iter().flatten().map(|text| printable(text));
    text.into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "somebody".to_owned())
}
