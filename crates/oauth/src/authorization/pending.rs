//! A sign-in that is under way in a browser.

use std::fmt;
use std::time::Duration;

use countersign_jose::{CryptoProvider, Timestamp};
use url::Url;

use super::{AuthorizationCode, CallbackError, callback, pasted};
use crate::http::bare;
use crate::{Client, Issuer, Secret, TokenResponse, id_token};

/// An authorization request that has been made, waiting for its answer.
///
/// Open [`url`](Self::url) in a browser, and hand whatever comes back to [`accept`](Self::accept) or
/// [`accept_pasted`](Self::accept_pasted). Nothing is used up by an answer that is not for this request.
#[derive(Clone)]
pub struct PendingAuthorization {
    pub(super) url: Url,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) issuer: Issuer,
    /// Whether the server promises `iss` in every answer (RFC 9207, section 3).
    pub(super) promises_iss: bool,
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    pub(super) state: Secret,
    pub(super) nonce: Secret,
    pub(super) verifier: Secret,
    pub(super) asked: Asked,
    pub(super) provider: &'static CryptoProvider,
}

/// What of the request matters once the code is there.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) openid: bool,
    pub(super) resource: Option<String>,
    pub(super) acr_values: Vec<String>,
    pub(super) max_age: Option<Duration>,
}

impl PendingAuthorization {
    /// The address to open in a browser. It holds `state` and `nonce`, and is not for logs.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Until when the server remembers a request that was pushed (RFC 9126, section 2.2).
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Where the browser comes back to, exactly as it was sent.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// What the ID token has to repeat.
    pub fn nonce(&self) -> &Secret {
        &self.nonce
    }

    /// Reads the parameters of a request to the redirect URI: its query, without the question mark, as
    /// it was received (RFC 6749, sections 4.1.2 and 4.1.2.1).
    ///
    /// # Errors
    /// [`CallbackError`] says whether to go on waiting.
    pub fn accept(&self, parameters: &str) -> Result<AuthorizationCode, CallbackError> {
        callback::read(self, parameters)
    }

    /// Reads what a person pasted: the whole address the browser came back to, its parameters, or a bare
    /// code as a hosted page shows it.
    ///
    /// Whatever a terminal, a mail or a shell puts around it is taken off: white space, line breaks of a
    /// long line, quotes and angle brackets. An address must be the redirect URI, and its parameters are
    /// checked as those of a request are. A bare code carries neither `state` nor `iss`; what binds it to
    /// this sign-in is PKCE: a code that somebody else asked for does not go with our verifier, and the
    /// server refuses it (RFC 7636, section 1; RFC 9700, section 4.5.3). The nonce of the ID token says the
    /// same once more.
    ///
    /// # Errors
    /// [`CallbackError`] says whether to ask again.
    pub fn accept_pasted(&self, text: &str) -> Result<AuthorizationCode, CallbackError> {
        pasted::read(self, text)
    }

    /// What an ID token must say that comes with `tokens`: the nonce, and how the person was to
    /// authenticate.
    pub fn expected_id_token(&self, tokens: &TokenResponse) -> id_token::Expected {
        let client_id = self.client.client_id.as_str();
        let mut expected = id_token::Expected::new(self.issuer.clone(), client_id, self.provider);
        expected.nonce = Some(self.nonce.clone());
        expected.max_age = self.asked.max_age;
        expected.acr_values.clone_from(&self.asked.acr_values);
        expected.access_token = Some(tokens.access_token.clone());
        expected
    }
}

/// Shows neither the query of the address nor anything else that is secret.
impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("url", &bare(&self.url))
            .field("client", &self.client)
            .field("redirect_uri", &self.redirect_uri)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
