//! One request to the server, and what its answer asks to be repeated with.
//!
//! A request is made when it is sent: proofs and assertions are dated, and a proof holds the nonce that
//! the server gave last. Not responsible for: what the answer means.

use std::fmt;

use countersign_jose::Timestamp;
use url::Url;

use crate::challenge::BearerChallenge;
use crate::error::Endpoint;
use crate::http::{Form, HeaderValue, bare};
use crate::{
    Client, DpopKey, Error, ErrorCode, HttpRequest, HttpResponse, Issuer, Metadata, PeerMisbehaved,
    Secret, answer,
};

/// What is asked, of whom, and in whose name.
pub(crate) struct Exchange {
    endpoint: Endpoint,
    url: Url,
    question: Question,
    /// What the request holds that no error message may repeat.
    secrets: Vec<Secret>,
    /// Whether this request has already been repeated with a nonce: it is repeated once.
    repeated: bool,
}

enum Question {
    /// What anybody may read, unless it is still what this entity-tag stands for.
    Document { known_as: Option<String> },
    /// What only this client may ask.
    Form {
        client: Client,
        issuer: Issuer,
        form: Form,
    },
    /// What only the holder of this access token may read.
    Protected {
        access_token: Secret,
        dpop: Option<DpopKey>,
    },
}

impl Exchange {
    /// A `GET` without credentials.
    pub(crate) fn document(metadata: &Metadata, endpoint: Endpoint) -> Result<Self, Error> {
        let question = Question::Document { known_as: None };
        Self::new(metadata, endpoint, question, Vec::new())
    }

    /// A `POST` of `form` as `client`. `own` are the secrets in the form.
    pub(crate) fn form(
        metadata: &Metadata,
        endpoint: Endpoint,
        client: &Client,
        form: Form,
        own: &[&Secret],
    ) -> Result<Self, Error> {
        let question = Question::Form {
            client: client.clone(),
            issuer: metadata.issuer.clone(),
            form,
        };
        Self::new(metadata, endpoint, question, client.secrets(own))
    }

    /// A `GET` with an access token.
    pub(crate) fn protected(
        metadata: &Metadata,
        endpoint: Endpoint,
        access_token: &Secret,
    ) -> Result<Self, Error> {
        let question = Question::Protected {
            access_token: access_token.clone(),
            dpop: None,
        };
        Self::new(metadata, endpoint, question, vec![access_token.clone()])
    }

    fn new(
        metadata: &Metadata,
        endpoint: Endpoint,
        question: Question,
        secrets: Vec<Secret>,
    ) -> Result<Self, Error> {
        Ok(Self {
            endpoint,
            url: metadata.endpoint(endpoint)?.clone(),
            question,
            secrets,
            repeated: false,
        })
    }

    /// Sends the access token as one that is bound to `key` (RFC 9449, section 7.1).
    pub(crate) fn bind(&mut self, key: &DpopKey) {
        if let Question::Protected { dpop, .. } = &mut self.question {
            *dpop = Some(key.clone());
        }
    }

    /// Asks for a document only if it is no longer the one with this entity-tag.
    pub(crate) fn unless_matches(&mut self, etag: &str) {
        if let Question::Document { known_as } = &mut self.question {
            *known_as = Some(etag.to_owned());
        }
    }

    /// Adds a parameter to a form.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<String>) {
        if let Question::Form { form, .. } = &mut self.question {
            form.add(name, value);
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The request as it is sent now.
    pub(crate) fn request(&self, now: Timestamp) -> Result<HttpRequest, Error> {
        match &self.question {
            Question::Document { known_as } => {
                let mut request = HttpRequest::get(self.url.clone());
                if let Some(etag) = known_as {
                    let value = HeaderValue::Plain(etag.clone());
                    request.headers.push(("if-none-match", value));
                }
                Ok(request)
            }
            Question::Form {
                client,
                issuer,
                form,
            } => client.post(issuer, &self.url, form.clone(), now),
            Question::Protected {
                access_token,
                dpop: None,
            } => Ok(HttpRequest::get(self.url.clone()).bearer(access_token)),
            Question::Protected {
                access_token,
                dpop: Some(key),
            } => HttpRequest::get(self.url.clone()).dpop(access_token, key, now),
        }
    }

    fn dpop(&self) -> Option<&DpopKey> {
        match &self.question {
            Question::Document { .. } => None,
            Question::Form { client, .. } => client.dpop.as_ref(),
            Question::Protected { dpop, .. } => dpop.as_ref(),
        }
    }

    /// Keeps the nonce of an answer, and says whether the answer is no more than the demand for one
    /// (RFC 9449, sections 8 and 9): then the same request is sent again, once.
    pub(crate) fn wants_repeat(&mut self, response: &HttpResponse) -> Result<bool, Error> {
        let Some(key) = self.dpop() else {
            return Ok(false);
        };
        let nonce = key.learn(&self.url, response);
        if self.repeated || !demands_nonce(response) {
            self.repeated = false;
            return Ok(false);
        }
        if !nonce {
            return Err(Error::peer(self.endpoint, PeerMisbehaved::DpopNonceMissing));
        }
        self.repeated = true;
        Ok(true)
    }

    /// Forgets that the request was repeated: the next one is a new one.
    pub(crate) fn lost(&mut self) {
        self.repeated = false;
    }

    /// Takes out of the server's words whatever of ours they repeat.
    pub(crate) fn redacted(&self, error: Error) -> Error {
        error.redacted(&self.secrets)
    }
}

/// Whether the answer says `use_dpop_nonce`: in the body at the token endpoint (RFC 9449, section 8), in
/// the challenge at a resource (section 9).
fn demands_nonce(response: &HttpResponse) -> bool {
    if !(400..500).contains(&response.status) {
        return false;
    }
    let said = |code: &str| ErrorCode::from_name(code) == ErrorCode::UseDpopNonce;
    let values = response.headers_named("www-authenticate");
    BearerChallenge::find_of("DPoP", values)
        .is_some_and(|c| c.error == Some(ErrorCode::UseDpopNonce))
        || answer::members(response)
            .is_ok_and(|members| members.str("error").ok().flatten().is_some_and(said))
}

/// Shows where to, and nothing of what.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("endpoint", &self.endpoint)
            .field("url", &bare(&self.url))
            .finish_non_exhaustive()
    }
}
