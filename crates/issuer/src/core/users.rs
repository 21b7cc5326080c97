//! Accounts: who there is, who may sign in, and how the first one is made.

use std::net::IpAddr;

use countersign_jose::{Timestamp, base64url, constant_time_eq};
use countersign_oauth::{Secret, text};

use super::limits::{Counter, Limited};
use super::{
    Account, AccountChange, AccountRejected, Core, Error, NewAccount, PasswordHash, Setup,
    SetupLink, SignIn, password,
};
use crate::storage::{Records, StorageError};

/// The longest user name, name or e-mail address, in characters.
const LONGEST_USERNAME: usize = 64;
const LONGEST_NAME: usize = 200;

impl Core {
    /// Checks a password and begins a browser session. Takes as long for an
    /// unknown name as for a known one.
    pub async fn sign_in(
        &self,
        username: &str,
        password: &Secret,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<SignIn, Error> {
        let Ok(username) = username_from(username) else {
            return Ok(SignIn::Refused);
        };
        let attempt = self.limiter.take(
            [
                Counter::SignInsToFrom(username.clone(), peer),
                Counter::SignInsFrom(peer),
                Counter::SignInsTo(username.clone()),
            ],
            now,
        );
        let attempt = match attempt {
            Ok(attempt) => attempt,
            Err(Limited { retry_after }) => return Ok(SignIn::Limited { retry_after }),
        };
        let account = self
            .store
            .read(|records| records.account_named(&username))?;
        let hash = account.as_ref().map(|account| &account.password);
        let matches = self.hasher.verify(password, hash).await?;
        match account {
            Some(account) if matches && !account.disabled => {
                attempt.give_back();
                Ok(SignIn::Accepted(
                    self.begin_session(&account.id, now).await?,
                ))
            }
            _ => Ok(SignIn::Refused),
        }
    }

    /// Adds an account.
    pub async fn add_account(
        &self,
        new: NewAccount,
        groups: Vec<String>,
        now: Timestamp,
    ) -> Result<Result<Account, AccountRejected>, Error> {
        let account = match self.account_from(new, groups, now).await? {
            Ok(account) => account,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let added = account.clone();
        match self
            .store
            .write(move |records| records.put_account(&added))
            .await
        {
            Ok(()) => Ok(Ok(account)),
            Err(StorageError::Exists(_)) => Ok(Err(AccountRejected::UsernameTaken)),
            Err(error) => Err(error.into()),
        }
    }

    /// All accounts, by user name.
    pub fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(self.store.read(|records| records.accounts())?)
    }

    /// Disables an account, which ends all its logins and sessions at once, or
    /// enables it again; whether there is such an account.
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<bool, Error> {
        let username = username.to_lowercase();
        let changed = self.store.write(move |records| {
            let Some(account) = records.account_named(&username)? else {
                return Ok(false);
            };
            if disabled {
                records.end_logins_of(&account.id)?;
            }
            records.put_account(&Account {
                disabled,
                ..account
            })?;
            Ok(true)
        });
        Ok(changed.await?)
    }

    /// Changes what tokens say about somebody. Logins go on: from their next renewal on they say it.
    /// Whether there is such an account.
    pub async fn change_account(
        &self,
        username: &str,
        change: AccountChange,
    ) -> Result<Result<bool, AccountRejected>, Error> {
        let checked = change.join.iter().try_for_each(|group| check_group(group));
        let name = change.name.map(|name| name_from(Some(name))).transpose();
        let email = change.email.map(|email| name_from(Some(email))).transpose();
        let (name, email) = match checked.and_then(|()| Ok((name?, email?))) {
            Ok(checked) => checked,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let (join, leave) = (change.join, change.leave);
        let username = username.to_lowercase();
        let changed = self.store.write(move |records| {
            let Some(mut account) = records.account_named(&username)? else {
                return Ok(Ok(false));
            };
            if !leave.iter().all(|group| account.groups.contains(group)) {
                return Ok(Err(AccountRejected::NotInGroup));
            }
            account.groups.retain(|group| !leave.contains(group));
            for group in join {
                if !account.groups.contains(&group) {
                    account.groups.push(group);
                }
            }
            account.name = name.unwrap_or(account.name);
            account.email = email.unwrap_or(account.email);
            records.put_account(&account)?;
            Ok(Ok(true))
        });
        Ok(changed.await?)
    }

    /// Gives an account another password and ends all its logins and sessions;
    /// whether there is such an account.
    pub async fn set_password(
        &self,
        username: &str,
        password: &Secret,
    ) -> Result<Result<bool, AccountRejected>, Error> {
        if let Err(rejected) = password::check(password) {
            return Ok(Err(rejected));
        }
        let hash = self.hasher.hash(password, self.provider).await?;
        let username = username.to_lowercase();
        let changed = self.store.write(move |records| {
            let Some(account) = records.account_named(&username)? else {
                return Ok(false);
            };
            records.end_logins_of(&account.id)?;
            records.put_account(&Account {
                password: hash,
                ..account
            })?;
            Ok(true)
        });
        Ok(Ok(changed.await?))
    }

    /// Removes an account with its logins and sessions; whether it was there.
    pub async fn remove_account(&self, username: &str) -> Result<bool, Error> {
        let username = username.to_lowercase();
        let removed = self
            .store
            .write(move |records| match records.account_named(&username)? {
                Some(account) => records.remove_account(&account.id),
                None => Ok(false),
            });
        Ok(removed.await?)
    }

    /// The token of a one-time link that makes the first account, or `None`
    /// when there is an account. A new link ends the one before.
    pub async fn offer_setup_link(&self, now: Timestamp) -> Result<Option<Secret>, Error> {
        let token = self.random_secret()?;
        let link = SetupLink {
            token: self.digest(token.expose()),
            expires_at: now + self.lifetimes.setup_link,
        };
        let offered = self.store.write(move |records| {
            if !records.accounts()?.is_empty() {
                return Ok(false);
            }
            records.set_setup_link(Some(&link))?;
            Ok(true)
        });
        Ok(offered.await?.then_some(token))
    }

    /// Whether a set-up link can still be used; it is not used up by asking.
    pub fn setup_link_is_valid(&self, token: &Secret, now: Timestamp) -> Result<bool, Error> {
        let digest = self.digest(token.expose());
        Ok(self
            .store
            .read(|records| setup_is_open(records, &digest, now))?)
    }

    /// Creates the first account and uses the link up, both or neither.
    pub async fn create_first_account(
        &self,
        token: &Secret,
        account: NewAccount,
        now: Timestamp,
    ) -> Result<Setup, Error> {
        // Looked at before, so that without a link nobody has passwords hashed.
        if !self.setup_link_is_valid(token, now)? {
            return Ok(Setup::LinkInvalid);
        }
        let account = match self.account_from(account, Vec::new(), now).await? {
            Ok(account) => account,
            Err(rejected) => return Ok(Setup::Rejected(rejected)),
        };
        let digest = self.digest(token.expose());
        let id = account.id.clone();
        let created = self.store.write(move |records| {
            if !setup_is_open(records, &digest, now)? {
                return Ok(false);
            }
            records.set_setup_link(None)?;
            records.put_account(&account)?;
            Ok(true)
        });
        if !created.await? {
            return Ok(Setup::LinkInvalid);
        }
        Ok(Setup::Created(self.begin_session(&id, now).await?))
    }

    async fn account_from(
        &self,
        new: NewAccount,
        groups: Vec<String>,
        now: Timestamp,
    ) -> Result<Result<Account, AccountRejected>, Error> {
        let checked = username_from(&new.username).and_then(|username| {
            let name = name_from(new.name)?;
            let email = name_from(new.email)?;
            password::check(&new.password)?;
            groups.iter().try_for_each(|group| check_group(group))?;
            Ok((username, name, email))
        });
        let (username, name, email) = match checked {
            Ok(checked) => checked,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let mut id = [0_u8; 16];
        self.provider.fill_random(&mut id)?;
        let password: PasswordHash = self.hasher.hash(&new.password, self.provider).await?;
        Ok(Ok(Account {
            id: base64url::encode(&id),
            username,
            name,
            email,
            groups,
            password,
            disabled: false,
            created_at: now,
        }))
    }
}

fn setup_is_open(
    records: &(impl Records + ?Sized),
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<bool, StorageError> {
    let Some(link) = records.setup_link()? else {
        return Ok(false);
    };
    let valid = constant_time_eq(&link.token, digest) && now < link.expires_at;
    Ok(valid && records.accounts()?.is_empty())
}

/// A user name as it rests: ASCII, lower case.
fn username_from(typed: &str) -> Result<String, AccountRejected> {
    let username = typed.trim().to_ascii_lowercase();
    let begins_well = username.starts_with(|c: char| c.is_ascii_alphanumeric());
    let fits = username.len() <= LONGEST_USERNAME
        && username
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
    if begins_well && fits {
        Ok(username)
    } else {
        Err(AccountRejected::UsernameMalformed)
    }
}

/// A name or address for people; empty is none.
fn name_from(typed: Option<String>) -> Result<Option<String>, AccountRejected> {
    let Some(typed) = typed else {
        return Ok(None);
    };
    let name = typed.trim();
    if name.chars().count() > LONGEST_NAME || text::printable(name) != name {
        return Err(AccountRejected::NameMalformed);
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// Lists of groups are written with commas.
fn check_group(group: &str) -> Result<(), AccountRejected> {
    let fits = (1..=LONGEST_NAME).contains(&group.chars().count())
        && text::printable(group) == group
        && !group.contains(',');
    fits.then_some(()).ok_or(AccountRejected::GroupMalformed)
}
