//! Passwords, by Argon2id.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash as Phc};
use countersign_jose::CryptoProvider;
use countersign_oauth::Secret;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{AccountRejected, Error, PasswordHash};

/// The shortest password, in characters. No other rule: length is what helps.
const SHORTEST: usize = 10;
/// The longest, in bytes; a bound on work, not on imagination.
const LONGEST: usize = 1_024;
/// How many hashes are made at once. Each takes 19 MiB and some 20 ms of one
/// core: this bounds both whatever arrives.
const AT_ONCE: usize = 2;

/// Hashes and verifies off the async threads.
#[derive(Debug)]
pub(super) struct Hasher {
    permits: Arc<Semaphore>,
}

/// Whether a password can be accepted as a new one.
pub(super) fn check(password: &Secret) -> Result<(), AccountRejected> {
    if password.expose().len() > LONGEST {
        return Err(AccountRejected::PasswordTooLong);
    }
    if password.expose().chars().count() < SHORTEST {
        return Err(AccountRejected::PasswordTooShort);
    }
    Ok(())
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Hashes a new password with a random salt.
    pub(super) async fn hash(
        &self,
        password: &Secret,
        provider: &'static CryptoProvider,
    ) -> Result<PasswordHash, Error> {
        let mut salt = [0_u8; 16];
        provider.fill_random(&mut salt)?;
        let password = password.clone();
        self.run(move || hash(&password, &salt)).await?
    }

    /// Whether `password` is the one of `hash`. Without a hash the answer is
    /// no and takes as long.
    pub(super) async fn verify(
        &self,
        password: &Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, Error> {
        if password.expose().len() > LONGEST {
            return Ok(false);
        }
        let password = password.clone();
        let hash = hash.cloned();
        self.run(move || {
            let Some(PasswordHash(phc)) = hash else {
                // The time of a verification is the time of a hash.
                let _ = self::hash(&password, &[0; 16]);
                return false;
            };
            Phc::new(&phc).is_ok_and(|phc| {
                Argon2::default()
                    .verify_password(password.expose().as_bytes(), &phc)
                    .is_ok()
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| Error::Password)?;
        spawn_blocking(move || {
            // Given back when the work is done, not when the requester stops
            // waiting: nothing stops the work.
            let _permit = permit;
            work()
        })
        .await
        .map_err(|_| Error::Password)
    }
}

fn hash(password: &Secret, salt: &[u8]) -> Result<PasswordHash, Error> {
    let phc: Phc = Argon2::default()
        .hash_password_with_salt(password.expose().as_bytes(), salt)
        .map_err(|_| Error::Password)?;
    Ok(PasswordHash(phc.to_string()))
}

#[cfg(test)]
mod tests {
    use countersign_jose::crypto::aws_lc;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hasher = Hasher::new();
        let hash = hasher
            .hash(&secret("correct horse"), aws_lc::provider())
            .await
            .unwrap();
        assert!(
            hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.0
        );
        assert!(
            hasher
                .verify(&secret("correct horse"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify(&secret("correct house"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(!hasher.verify(&secret("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn the_same_password_never_rests_the_same_way_twice() {
        let hasher = Hasher::new();
        let first = hasher
            .hash(&secret("correct horse"), aws_lc::provider())
            .await
            .unwrap();
        let second = hasher
            .hash(&secret("correct horse"), aws_lc::provider())
            .await
            .unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn length_is_counted_in_characters_and_bounded_in_bytes() {
        assert_eq!(
            check(&secret("123456789")),
            Err(AccountRejected::PasswordTooShort)
        );
        assert_eq!(check(&secret("äöüäöüäöüä")), Ok(()));
        assert_eq!(
            check(&secret(&"x".repeat(1_025))),
            Err(AccountRejected::PasswordTooLong)
        );
    }
}
