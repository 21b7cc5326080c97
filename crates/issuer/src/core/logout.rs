//! A client asks that its person be signed out here (`OpenID` Connect
//! RP-Initiated Logout 1.0).
//!
//! What ends is the browser's session, once the person has confirmed it. The
//! logins of terminals go on: they were approved one by one, and each is ended
//! by its own client (RFC 7009), or all at once from the start page.

use std::fmt;

use countersign_jose::{Algorithm, Claims, Timestamp, Unverified};
use url::form_urlencoded;

use super::redirect::{self, Destination};
use super::token::ID_TOKEN_TYPE;
use super::{Client, Core, Error, sealed};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];
const DOMAIN: &[u8] = b"countersign logout request v1\0";

/// Whom an ID token of ours was about, and whom it was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdTokenHint {
    pub(super) account_id: String,
    pub(super) client_id: String,
}

/// The parameters of a logout request (RP-Initiated Logout 1.0, section 2).
#[derive(Clone, Default)]
pub struct LogoutParameters {
    /// An ID token of the login that is to end.
    pub id_token_hint: Option<String>,
    /// The client that asks.
    pub client_id: Option<String>,
    /// Where the browser is to go afterwards.
    pub post_logout_redirect_uri: Option<String>,
    /// What the client gets back there.
    pub state: Option<String>,
}

impl fmt::Debug for LogoutParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutParameters").finish_non_exhaustive()
    }
}

/// Why a logout request is not put before the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLogout {
    /// The hint is no ID token of this issuer.
    #[error("id_token_hint is not an ID token of this issuer")]
    IdTokenHint,
    /// There is no such client, or the hint was given to another one.
    #[error("client_id names no client, or another one than id_token_hint")]
    Client,
    /// The address is not registered for the client.
    #[error("post_logout_redirect_uri is not registered for the client")]
    RedirectUri,
    /// The page was open for too long, or what the browser carried was altered.
    #[error("the request has expired")]
    Expired,
}

/// A logout request that can be put before the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutRequest {
    client: Option<Client>,
    account_id: Option<String>,
    redirect_uri: Option<String>,
    state: Option<String>,
}

impl LogoutRequest {
    /// The client's identifier, if the client is known.
    pub fn client_id(&self) -> Option<&str> {
        self.client.as_ref().map(|client| client.id.as_str())
    }

    /// The client's name for people, if the client is known.
    pub fn client_name(&self) -> Option<&str> {
        self.client.as_ref().map(|client| client.name.as_str())
    }

    /// The account that the client's login was for, if it says so.
    pub fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }

    /// Where the browser goes afterwards, for people.
    pub fn destination(&self) -> Option<Destination> {
        self.redirect_uri.as_deref().map(redirect::destination)
    }

    /// The whole address that the browser goes to afterwards.
    pub fn url(&self) -> Option<String> {
        let uri = self.redirect_uri.as_deref()?;
        Some(match &self.state {
            Some(state) => redirect::with_answer(uri, &[("state", state)]),
            None => uri.to_owned(),
        })
    }
}

impl Core {
    /// Examines a logout request that has just arrived.
    pub fn begin_logout(
        &self,
        parameters: LogoutParameters,
    ) -> Result<Result<LogoutRequest, InvalidLogout>, Error> {
        let hint = match &parameters.id_token_hint {
            None => None,
            Some(hint) => match self.read_id_token_hint(hint) {
                Some(hint) => Some(hint),
                None => return Ok(Err(InvalidLogout::IdTokenHint)),
            },
        };
        let hinted_client = hint.as_ref().map(|hint| hint.client_id.as_str());
        let named = match (parameters.client_id.as_deref(), hinted_client) {
            (Some(named), Some(hinted)) if named != hinted => {
                return Ok(Err(InvalidLogout::Client));
            }
            (named, hinted) => named.or(hinted),
        };
        let client = match named {
            None => None,
            Some(id) => match self.client(id)? {
                Some(client) => Some(client),
                None => return Ok(Err(InvalidLogout::Client)),
            },
        };
        let redirect_uri = match (parameters.post_logout_redirect_uri, &client) {
            (Some(uri), Some(client)) => {
                // As it is written, ports included (section 3).
                if !client.post_logout_redirect_uris.contains(&uri) {
                    return Ok(Err(InvalidLogout::RedirectUri));
                }
                Some(uri)
            }
            // An address that could be anybody's leads nobody anywhere.
            _ => None,
        };
        Ok(Ok(LogoutRequest {
            client,
            account_id: hint.map(|hint| hint.account_id),
            redirect_uri,
            state: parameters.state,
        }))
    }

    /// The request as the browser is to carry it from the page that asks to
    /// the answer: base64url. The hint itself stays behind.
    pub fn seal_logout(&self, request: &LogoutRequest, now: Timestamp) -> String {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        fields.append_pair("at", &now.as_millis().to_string());
        for (name, value) in [
            ("client", request.client_id()),
            ("account", request.account_id()),
            ("uri", request.redirect_uri.as_deref()),
            ("state", request.state.as_deref()),
        ] {
            if let Some(value) = value {
                fields.append_pair(name, value);
            }
        }
        let value = fields.finish();
        sealed::seal(
            DOMAIN,
            value.as_bytes(),
            self.keys().token_key(),
            self.provider,
        )
    }

    /// The request that a browser has carried, examined again.
    pub fn resume_logout(
        &self,
        sealed: &str,
        now: Timestamp,
    ) -> Result<Result<LogoutRequest, InvalidLogout>, Error> {
        let opened = sealed::open(DOMAIN, sealed, self.keys().token_key(), self.provider);
        let Some(value) = opened else {
            return Ok(Err(InvalidLogout::Expired));
        };
        let field = |name: &str| {
            form_urlencoded::parse(&value)
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.into_owned())
        };
        let at = field("at")
            .and_then(|millis| millis.parse().ok())
            .map(Timestamp::from_millis);
        if at.is_none_or(|at| now >= at + self.lifetimes.authorization_request) {
            return Ok(Err(InvalidLogout::Expired));
        }
        let parameters = LogoutParameters {
            id_token_hint: None,
            client_id: field("client"),
            post_logout_redirect_uri: field("uri"),
            state: field("state"),
        };
        let request = self.begin_logout(parameters)?;
        Ok(request.map(|request| LogoutRequest {
            account_id: field("account"),
            ..request
        }))
    }

    /// Reads an ID token that comes back as a hint. An expired one is as good
    /// (RP-Initiated Logout 1.0, section 2; `OpenID` Connect Core 1.0, section
    /// 3.1.2.2); anything that we have not signed as an ID token is none.
    pub(super) fn read_id_token_hint(&self, hint: &str) -> Option<IdTokenHint> {
        let unverified = Unverified::<Claims>::parse(hint).ok()?;
        if !unverified.header().is_type(ID_TOKEN_TYPE) {
            return None;
        }
        let claims = unverified
            .verify(self.keys().verifying(), &ALGORITHMS)
            .ok()?;
        let text = |name: &str| claims.str(name).ok().flatten();
        if text("iss")? != self.issuer.as_str() {
            return None;
        }
        Some(IdTokenHint {
            account_id: text("sub")?.to_owned(),
            client_id: text("aud")?.to_owned(),
        })
    }
}
