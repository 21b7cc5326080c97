//! What is kept of a sign-in by a program that forgets everything else until the browser comes back: a
//! server with many visitors, of which another replica may take the answer.
//!
//! Not responsible for: hiding it. Whoever has it can redeem the code.

use countersign_jose::CryptoProvider;
use serde::{Deserialize, Serialize};

use super::pending::Asked;
use super::{AuthorizationRequest, PendingAuthorization};
use crate::error::Endpoint;
use crate::{Client, Error, Metadata, Secret, secret};

/// The secrets of an authorization request that is under way. They are written in the clear, and belong
/// into something sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAuthorization {
    #[serde(with = "secret::exposed")]
    state: Secret,
    #[serde(with = "secret::exposed")]
    nonce: Secret,
    #[serde(with = "secret::exposed")]
    verifier: Secret,
}

impl KeptAuthorization {
    /// `state`: what the answer names the request by.
    pub fn state(&self) -> &Secret {
        &self.state
    }
}

impl PendingAuthorization {
    /// What [`AuthorizationRequest::resume`] needs to go on with it.
    pub fn keep(&self) -> KeptAuthorization {
        KeptAuthorization {
            state: self.state.clone(),
            nonce: self.nonce.clone(),
            verifier: self.verifier.clone(),
        }
    }
}

impl AuthorizationRequest {
    /// The request that was under way, for its answer: this request must be the one that was made then,
    /// and so must be the client and the redirect URI. There is nothing more to open in a browser.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server no longer names an authorization endpoint.
    pub fn resume(
        &self,
        metadata: &Metadata,
        client: &Client,
        redirect_uri: &str,
        kept: KeptAuthorization,
        provider: &'static CryptoProvider,
    ) -> Result<PendingAuthorization, Error> {
        Ok(PendingAuthorization {
            url: metadata.endpoint(Endpoint::Authorization)?.clone(),
            expires_at: None,
            issuer: metadata.issuer.clone(),
            promises_iss: metadata.authorization_response_iss_parameter_supported == Some(true),
            client: client.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state: kept.state,
            nonce: kept.nonce,
            verifier: kept.verifier,
            asked: Asked::of(self),
            provider,
        })
    }
}

#[cfg(test)]
mod tests {
    use countersign_jose::Timestamp;
    use countersign_jose::crypto::ring;
    use url::Url;

    use super::*;
    use crate::{CodeFlow, Flow as _, Issuer, ScopeSet, Step};

    #[test]
    fn what_was_kept_takes_the_answer_and_redeems_the_code() {
        let mut metadata = Metadata::new(Issuer::parse("https://id.example").unwrap());
        metadata.token_endpoint = Url::parse("https://id.example/token").ok();
        metadata.authorization_endpoint = Url::parse("https://id.example/authorize").ok();
        let (client, back) = (Client::public("web"), "https://app.example/callback");
        let request = AuthorizationRequest::new(ScopeSet::parse("openid").unwrap());
        let begin = || {
            let now = Timestamp::from_secs(1_000);
            let mut flow = request
                .start_code(&metadata, &client, back, ring::provider())
                .unwrap();
            match flow.poll(now).unwrap() {
                Step::Done(pending) => pending,
                other => panic!("{other:?}"),
            }
        };
        let (pending, other) = (begin(), begin());
        let text = serde_json::to_string(&pending.keep()).unwrap();
        let kept: KeptAuthorization = serde_json::from_str(&text).unwrap();
        assert!(!format!("{kept:?}").contains(kept.state().expose()));
        let answer = format!("code=c&state={}", kept.state().expose());
        let resumed = request
            .resume(&metadata, &client, back, kept, ring::provider())
            .unwrap();
        assert_eq!(resumed.nonce(), pending.nonce());
        assert!(other.accept(&answer).is_err());
        let code = resumed.accept(&answer).unwrap();
        let redeem = |pending| {
            let mut flow = CodeFlow::new(&metadata, &client, pending, &code).unwrap();
            match flow.poll(Timestamp::from_secs(1_001)).unwrap() {
                Step::Send(request) => request.body.unwrap(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(redeem(&resumed), redeem(&pending));
    }
}
