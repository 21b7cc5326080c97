//! What an administrator does about second factors: keys are imported, looked
//! at and removed, and whoever has lost everything begins anew.

use countersign_jose::Timestamp;
use countersign_otp::yubico::KeyRecord;

use super::sealing::FactorSecret;
use super::{Factor, FactorKind, Holder};
use crate::core::{Core, Error};

/// What became of the keys of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportedKeys {
    /// They can be claimed now.
    pub imported: usize,
    /// They are in use, and were left as they are.
    pub in_use: usize,
}

/// A key that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInStock {
    /// The letters that all of its passwords begin with.
    pub public_id: String,
    /// The user name of the account that has it or may claim it; `None` for a
    /// key that anybody may claim.
    pub username: Option<String>,
    /// Whether that account proves itself with it.
    pub is_enrolled: bool,
}

impl Core {
    /// Imports programmed Yubikeys, for one account or for whoever has them;
    /// `None` when there is no such account. A key that is in use stays as it
    /// is; one that nobody has claimed is replaced.
    pub async fn import_keys(
        &self,
        keys: Vec<KeyRecord>,
        reserved_for: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<ImportedKeys>, Error> {
        let holder = match reserved_for {
            None => Holder::Anyone,
            Some(username) => {
                let username = username.to_lowercase();
                let account = self
                    .store
                    .read(|records| records.account_named(&username))?;
                match account {
                    Some(account) => Holder::ReservedFor(account.id),
                    None => return Ok(None),
                }
            }
        };
        let mut factors = Vec::with_capacity(keys.len());
        for key in keys {
            let public_id = key.public_id.as_str().to_owned();
            let known = self.store.read(|records| records.key(&public_id))?;
            // The same key again keeps its place: its old passwords stay old.
            let same = known.filter(|known| match self.open_secret(known) {
                Ok(FactorSecret::Yubikey(secrets)) => secrets == key.secrets,
                _ => false,
            });
            let id = self.random_factor_id()?;
            let kind = FactorKind::Yubikey { public_id };
            let secret = FactorSecret::Yubikey(key.secrets);
            factors.push(Factor {
                secret: self.seal_secret(&id, &kind, &holder, &secret)?,
                id,
                kind,
                holder: holder.clone(),
                position: same.and_then(|known| known.position),
                since: now,
                used_at: None,
            });
        }
        let imported = self.store.write(move |records| {
            let mut imported = ImportedKeys::default();
            for factor in &factors {
                let public_id = factor.kind.public_id().unwrap_or_default();
                match records.key(public_id)? {
                    Some(known) if known.holder.is_enrolled() => {
                        imported.in_use += 1;
                        continue;
                    }
                    Some(known) => {
                        records.remove_factor(&known.id)?;
                    }
                    None => {}
                }
                records.put_factor(factor)?;
                imported.imported += 1;
            }
            Ok(imported)
        });
        Ok(Some(imported.await?))
    }

    /// All keys that were imported, by public id.
    pub fn keys_in_stock(&self) -> Result<Vec<KeyInStock>, Error> {
        let keys = self.store.read(|records| {
            let mut listed = Vec::new();
            for key in records.keys()? {
                let username = match key.holder.account_id() {
                    Some(id) => records.account(id)?.map(|account| account.username),
                    None => None,
                };
                listed.push(KeyInStock {
                    public_id: key.kind.public_id().unwrap_or_default().to_owned(),
                    username,
                    is_enrolled: key.holder.is_enrolled(),
                });
            }
            Ok(listed)
        });
        Ok(keys?)
    }

    /// Removes a key, whoever has it; whether it was there.
    pub async fn remove_key(&self, public_id: &str) -> Result<bool, Error> {
        let public_id = public_id.to_lowercase();
        let removed = self.store.write(move |records| {
            let Some(key) = records.key(&public_id)? else {
                return Ok(false);
            };
            records.remove_factor(&key.id)?;
            if let Some(account) = key.holder.account_id()
                && records.factors_of(account)?.is_empty()
            {
                records.set_recovery_codes(account, &[])?;
            }
            Ok(true)
        });
        Ok(removed.await?)
    }

    /// Takes all second factors from an account, with its recovery codes, and
    /// ends all its logins and sessions; whether there is such an account. Its
    /// Yubikeys stay reserved for it.
    pub async fn reset_factors(&self, username: &str) -> Result<bool, Error> {
        let username = username.to_lowercase();
        let account = self
            .store
            .read(|records| records.account_named(&username))?;
        let Some(account) = account else {
            return Ok(false);
        };
        let mut kept = Vec::new();
        for factor in self.factors(&account.id)? {
            if factor.kind == FactorKind::Totp {
                continue;
            }
            match self.held_by(&factor, Holder::ReservedFor(account.id.clone())) {
                Ok(factor) => kept.push(factor),
                // Sealed with a key that is gone: of no use to anybody.
                Err(Error::SealedFactor) => {}
                Err(error) => return Err(error),
            }
        }
        let reset = self.store.write(move |records| {
            if records.account(&account.id)?.is_none() {
                return Ok(false);
            }
            for factor in records.factors_of(&account.id)? {
                records.remove_factor(&factor.id)?;
                if let Some(kept) = kept.iter().find(|kept| kept.id == factor.id) {
                    records.put_factor(&Factor {
                        position: factor.position,
                        ..kept.clone()
                    })?;
                }
            }
            records.set_recovery_codes(&account.id, &[])?;
            records.end_logins_of(&account.id)?;
            Ok(true)
        });
        Ok(reset.await?)
    }
}
