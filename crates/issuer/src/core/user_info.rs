//! What an access token says about its person, to whoever holds it (`OpenID`
//! Connect Core 1.0, section 5.3).

use countersign_jose::Timestamp;
use countersign_oauth::ScopeSet;
use serde::Serialize;

use super::access_token::{AccessToken, Holder};
use super::dpop::ProofRefused;
use super::token::PersonClaims;
use super::{Account, Core, DpopProof, Error};

/// Why an access token does not open the userinfo endpoint (RFC 6750,
/// section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProblem {
    /// It is malformed, expired, revoked, or not ours.
    #[error("the access token is malformed, expired or revoked")]
    Invalid,
    /// It lacks the scope `openid`.
    #[error("the access token lacks the scope openid")]
    InsufficientScope,
    /// It is bound to a key (RFC 9449, section 7.1) and came without a proof or
    /// with that of another one.
    #[error("the access token is bound to a key that was not proved")]
    KeyNotProved,
    /// The `DPoP` proof beside it is not good; the text says why.
    #[error("{0}")]
    InvalidDpopProof(&'static str),
    /// The `DPoP` proof has to be made again, with a nonce of ours.
    #[error("the DPoP proof needs a nonce")]
    UseDpopNonce,
}

impl From<ProofRefused> for TokenProblem {
    fn from(refused: ProofRefused) -> Self {
        match refused {
            ProofRefused::Invalid(why) => Self::InvalidDpopProof(why),
            ProofRefused::NonceNeeded => Self::UseDpopNonce,
        }
    }
}

/// The answer of the userinfo endpoint (`OpenID` Connect Core 1.0, section 5.3.2).
#[derive(Debug)]
pub struct UserInfo {
    account: Account,
    scopes: ScopeSet,
}

impl Serialize for UserInfo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            sub: &'a str,
            #[serde(flatten)]
            person: PersonClaims<'a>,
        }
        let person = PersonClaims::new(&self.account, &self.scopes);
        Wire {
            sub: &self.account.id,
            person,
        }
        .serialize(serializer)
    }
}

impl Core {
    /// What an access token says about its person. Good for any of our access
    /// tokens with `openid`, whatever its audience: the issuer is a party to
    /// all of them. One that is bound to a key is good with a `proof` only.
    pub fn user_info(
        &self,
        access_token: &str,
        proof: Option<&DpopProof>,
        now: Timestamp,
    ) -> Result<Result<UserInfo, TokenProblem>, Error> {
        let Some(token) = self.read_access_token(access_token, now) else {
            return Ok(Err(TokenProblem::Invalid));
        };
        let Some(holder) = self.store.read(|records| token.holder(records, now))? else {
            return Ok(Err(TokenProblem::Invalid));
        };
        if let Err(problem) = self.holds_key(&token, access_token, proof, now) {
            return Ok(Err(problem));
        }
        Ok(match holder {
            Holder::Person(_, account) if token.scopes.contains("openid") => Ok(UserInfo {
                account,
                scopes: token.scopes,
            }),
            // A client's own token never has the scope: it is about nobody.
            _ => Err(TokenProblem::InsufficientScope),
        })
    }

    /// Whether a token comes from the holder of the key that it is bound to
    /// (RFC 9449, section 7.1); uses the proof up.
    fn holds_key(
        &self,
        token: &AccessToken,
        access_token: &str,
        proof: Option<&DpopProof>,
        now: Timestamp,
    ) -> Result<(), TokenProblem> {
        match (&token.key, proof) {
            (None, None) => Ok(()),
            // Whoever proves a key believes the token to be bound to it.
            (None, Some(_)) => Err(TokenProblem::Invalid),
            (Some(_), None) => Err(TokenProblem::KeyNotProved),
            (Some(key), Some(proof)) => {
                let proven = self.check_proof(proof, Some(access_token), now)?;
                if !proven.is(key) {
                    return Err(TokenProblem::KeyNotProved);
                }
                self.use_proof(proven, now)?;
                Ok(())
            }
        }
    }
}
