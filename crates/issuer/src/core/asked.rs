//! What an authorization request asks for, parameter by parameter (RFC 6749,
//! section 4.1.1; RFC 7636, section 4.3; `OpenID` Connect Core 1.0, section
//! 3.1.2.1).
//!
//! The same rules for a request that comes through a browser and for one that
//! is pushed.

use countersign_jose::base64url;
use countersign_oauth::{ScopeSet, text};

use super::authentication::{Demands, essential_acr};
use super::device::scopes_of_request;
use super::{AuthorizationParameters, Client, Core, Digest, GrantType, Refusal, redirect};

/// The longest `state` and `nonce`, in bytes.
const LONGEST_VALUE: usize = 1_024;
/// The longest `login_hint` that is shown again, in characters.
const LONGEST_HINT: usize = 256;

/// What is asked for, once it is known that it may be asked.
pub(super) struct Asked {
    pub(super) code_challenge: Digest,
    pub(super) nonce: Option<String>,
    pub(super) scopes: ScopeSet,
    pub(super) audiences: Vec<String>,
    pub(super) dpop_jkt: Option<String>,
    pub(super) prompt: Prompt,
    /// What is asked of the sign-in.
    pub(super) demands: Demands,
    pub(super) login_hint: Option<String>,
    /// The account that an `id_token_hint` is about.
    pub(super) hinted_account: Option<String>,
}

/// How far `prompt` goes (`OpenID` Connect Core 1.0, section 3.1.2.1).
///
/// `consent` and `select_account` are not among these: the page that asks for
/// consent is always shown, with the account on it and a way to take another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    None,
    Login,
    AsNeeded,
}

impl Core {
    /// What a client asks for, if it may: the rules for a request that comes
    /// through a browser and for one that is pushed.
    pub(super) fn asked(
        &self,
        client: &Client,
        parameters: &AuthorizationParameters,
        pushed: bool,
    ) -> Result<Asked, Refusal> {
        for (name, refusal) in [
            ("request", Refusal::RequestNotSupported),
            ("request_uri", Refusal::RequestUriNotSupported),
            ("registration", Refusal::RegistrationNotSupported),
        ] {
            if parameters.one(name)?.is_some() {
                return Err(refusal);
            }
        }
        client.may_use(GrantType::AuthorizationCode)?;
        if (self.require_par || client.require_par) && !pushed {
            return Err(Refusal::InvalidRequest(
                "authorization requests of this client have to be pushed",
            ));
        }
        match parameters.one("response_type")? {
            Some("code") => {}
            Some(_) => return Err(Refusal::UnsupportedResponseType),
            None => return Err(Refusal::InvalidRequest("response_type is missing")),
        }
        if parameters
            .one("response_mode")?
            .is_some_and(|mode| mode != "query")
        {
            return Err(Refusal::InvalidRequest("response_mode can only be query"));
        }
        let prompt = prompt(parameters)?;
        // What is essential is asked for; what `acr_values` prefers beside it is
        // not.
        let essential = match parameters.one("claims")? {
            Some(claims) => essential_acr(claims)?,
            None => None,
        };
        let acr_values = match &essential {
            Some(essential) => Some(essential.as_str()),
            None => parameters.one("acr_values")?,
        };
        let demands = self.demands(
            acr_values,
            parameters.one("max_age")?,
            prompt == Prompt::Login,
        )?;
        Ok(Asked {
            code_challenge: code_challenge(parameters)?,
            nonce: value(parameters, "nonce", "nonce is malformed or too long")?,
            scopes: scopes_of_request(parameters.one("scope")?, client)?,
            audiences: client
                .audiences_of_request(&parameters.all("resource"), &parameters.all("audience"))?,
            dpop_jkt: dpop_jkt(parameters)?,
            prompt,
            demands,
            login_hint: parameters
                .one("login_hint")?
                .filter(|hint| hint.chars().count() <= LONGEST_HINT)
                .map(text::printable),
            hinted_account: match parameters.one("id_token_hint")? {
                None => None,
                Some(hint) => {
                    let hint = self
                        .read_id_token_hint(hint)
                        .ok_or(Refusal::InvalidRequest("id_token_hint is not one of ours"))?;
                    Some(hint.account_id)
                }
            },
        })
    }
}

impl Client {
    /// The address of a request, if it is the client's.
    pub(super) fn redirect_uri_of<'a>(
        &self,
        parameters: &'a AuthorizationParameters,
    ) -> Result<&'a str, Refusal> {
        parameters
            .one("redirect_uri")?
            .filter(|uri| {
                self.redirect_uris
                    .iter()
                    .any(|registered| redirect::matches(registered, uri))
            })
            .ok_or(Refusal::InvalidRequest(
                "redirect_uri is missing or not registered for this client",
            ))
    }
}

impl AuthorizationParameters {
    /// The `state`, if it is one (RFC 6749, appendix A.5).
    pub(super) fn state(&self) -> Result<Option<String>, Refusal> {
        value(self, "state", "state is malformed or too long")
    }
}

/// A value that the client gets back as it was: visible ASCII and spaces.
fn value(
    parameters: &AuthorizationParameters,
    name: &str,
    malformed: &'static str,
) -> Result<Option<String>, Refusal> {
    let Some(value) = parameters.one(name)? else {
        return Ok(None);
    };
    let sound =
        value.len() <= LONGEST_VALUE && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if sound {
        Ok(Some(value.to_owned()))
    } else {
        Err(Refusal::InvalidRequest(malformed))
    }
}

/// The SHA-256 of the verifier (RFC 7636, section 4.3). `plain`, which is what
/// an absent method means, would show the verifier to whoever sees the request.
fn code_challenge(parameters: &AuthorizationParameters) -> Result<Digest, Refusal> {
    let Some(challenge) = parameters.one("code_challenge")? else {
        return Err(Refusal::InvalidRequest("code_challenge is missing"));
    };
    if parameters.one("code_challenge_method")? != Some("S256") {
        return Err(Refusal::InvalidRequest(
            "code_challenge_method has to be S256",
        ));
    }
    thumbprint(challenge).ok_or(Refusal::InvalidRequest("code_challenge is malformed"))
}

/// The key that alone may redeem the code (RFC 9449, section 10).
fn dpop_jkt(parameters: &AuthorizationParameters) -> Result<Option<String>, Refusal> {
    let Some(jkt) = parameters.one("dpop_jkt")? else {
        return Ok(None);
    };
    thumbprint(jkt).ok_or(Refusal::InvalidRequest("dpop_jkt is malformed"))?;
    Ok(Some(jkt.to_owned()))
}

/// A SHA-256 in base64url.
fn thumbprint(encoded: &str) -> Option<Digest> {
    base64url::decode(encoded).ok()?.try_into().ok()
}

fn prompt(parameters: &AuthorizationParameters) -> Result<Prompt, Refusal> {
    let values: Vec<&str> = parameters
        .one("prompt")?
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect();
    let known = ["none", "login", "consent", "select_account"];
    if !values.iter().all(|value| known.contains(value)) {
        return Err(Refusal::InvalidRequest("prompt has an unknown value"));
    }
    match values.as_slice() {
        ["none"] => Ok(Prompt::None),
        values if values.contains(&"none") => Err(Refusal::InvalidRequest(
            "prompt has none and something else",
        )),
        values if values.contains(&"login") => Ok(Prompt::Login),
        _ => Ok(Prompt::AsNeeded),
    }
}
