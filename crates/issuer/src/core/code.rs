//! An authorization code is redeemed (RFC 6749, section 4.1.3).
//!
//! A code is bound to the client that asked, to the address it was sent to, to
//! the verifier whose hash came with the request (RFC 7636, section 4.6) and, if
//! the request named one, to a key (RFC 9449, section 10). It
//! works once. Presented a second time it is in two hands, and nobody can say
//! whose the first was: the login that it was redeemed for ends (RFC 6749,
//! section 4.1.2; RFC 9700, section 4.5). What is refused for another reason
//! leaves the code as it was.

use countersign_jose::{Timestamp, constant_time_eq};
use countersign_oauth::Secret;

use super::device::narrowed;
use super::dpop::{bound_to, same_key};
use super::token::Subject;
use super::{
    AuthorizationCode, Client, ClientCredentials, Core, Digest, Failure, Grant, GrantType, Refusal,
    Rotation, Tokens,
};

const UNKNOWN: Refusal = Refusal::InvalidGrant("this code is unknown or too old");
const REUSED: Refusal =
    Refusal::InvalidGrant("this code was used before; the login has been ended");
const OTHER_ADDRESS: Refusal =
    Refusal::InvalidGrant("redirect_uri is not the one that the code was sent to");
const OTHER_VERIFIER: Refusal =
    Refusal::InvalidGrant("code_verifier is not the one that the code was asked for with");
const OTHER_KEY: Refusal = Refusal::InvalidGrant("this code is bound to another key");
const ACCOUNT_GONE: Refusal = Refusal::InvalidGrant("the account may no longer sign in");

/// An access token request with a code.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    /// Who asks.
    pub credentials: ClientCredentials,
    /// The `code`.
    pub code: Secret,
    /// The `redirect_uri`, as in the authorization request.
    pub redirect_uri: String,
    /// The `code_verifier`.
    pub code_verifier: Secret,
    /// The `resource` parameters (RFC 8707, section 2.2).
    pub resources: Vec<String>,
}

/// What a code has to be redeemed with, on its way into a transaction.
struct Redemption {
    client: Client,
    key: Option<String>,
    code: Digest,
    redirect_uri: String,
    verifier: Digest,
    resources: Vec<String>,
}

impl Core {
    /// Redeems a code: the tokens, once.
    pub async fn redeem_code(
        &self,
        request: CodeRequest,
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let client = self.authenticated(&request.credentials, now).await?;
        client.may_use(GrantType::AuthorizationCode)?;
        self.can_sign_for(&client)?;
        let verifier = request.code_verifier.expose();
        if !is_verifier(verifier) {
            return Err(Refusal::InvalidRequest("code_verifier is malformed").into());
        }
        let proof = self.proven_key(&client, &request.credentials, now)?;
        let code = self.digest(request.code.expose());
        let known = self.store.read(|records| records.code(&code))?;
        if known.is_none_or(|code| code.client_id != client.id) {
            return Err(UNKNOWN.into());
        }
        let redemption = Redemption {
            client,
            key: self.use_key(proof, now)?,
            code,
            redirect_uri: request.redirect_uri,
            verifier: self.digest(verifier),
            resources: request.resources,
        };
        let mut grant_id = [0_u8; 16];
        self.provider.fill_random(&mut grant_id)?;
        let lifetimes = self.lifetimes.clone();
        let redeemed = self.store.write(move |records| {
            let code = records.code(&redemption.code)?;
            let Some(code) = code.filter(|code| code.client_id == redemption.client.id) else {
                return Ok(Err(UNKNOWN));
            };
            if let Some(grant) = code.redeemed_as {
                records.remove_grant(&grant)?;
                return Ok(Err(REUSED));
            }
            if let Err(refusal) = redemption.fits(&code, now) {
                return Ok(Err(refusal));
            }
            let account = records.account(&code.account_id)?;
            let Some(account) = account.filter(|account| !account.disabled) else {
                return Ok(Err(ACCOUNT_GONE));
            };
            let Some(audiences) = narrowed(&code.audiences, &redemption.resources) else {
                return Ok(Err(Refusal::InvalidTarget));
            };
            let renewable = code.scopes.contains("offline_access");
            let lifetime = if renewable {
                lifetimes.login_idle
            } else {
                lifetimes.access_token
            };
            let grant = Grant {
                id: grant_id,
                account_id: account.id.clone(),
                client_id: redemption.client.id.clone(),
                scopes: code.scopes.clone(),
                audiences: code.audiences,
                authentication: code.authentication,
                created_at: now,
                expires_at: now + lifetime,
                rotation: renewable.then_some(Rotation {
                    generation: 0,
                    rotated_at: now,
                }),
                dpop_jkt: bound_to(&redemption.client, redemption.key.as_ref()),
            };
            records.redeem_code(&code.code, &grant.id)?;
            records.add_grant(&grant)?;
            Ok(Ok(Subject {
                grant,
                account,
                client: redemption.client,
                scopes: code.scopes,
                audiences,
                nonce: code.nonce,
                key: redemption.key,
            }))
        });
        Ok(self.issue(&redeemed.await??, now)?)
    }
}

impl Redemption {
    /// Whether this is who the code was made for.
    fn fits(&self, code: &AuthorizationCode, now: Timestamp) -> Result<(), Refusal> {
        if now >= code.expires_at {
            return Err(UNKNOWN);
        }
        if self.redirect_uri != code.redirect_uri {
            return Err(OTHER_ADDRESS);
        }
        if !constant_time_eq(&self.verifier, &code.code_challenge) {
            return Err(OTHER_VERIFIER);
        }
        same_key(code.dpop_jkt.as_ref(), self.key.as_ref(), OTHER_KEY)
    }
}

/// RFC 7636, section 4.1.
fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}
