//! The question to an issuer over HTTP; the messages and their rules are those
//! of `countersign-oauth`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_oauth::{
    Client, Discovery, Endpoint, EndpointOverrides, Error as OAuthError, Introspection,
    IntrospectionFlow, Issuer, Metadata, Secret, TokenTypeHint, TransportError,
};
use tokio::sync::Mutex;
use url::Url;

use super::IntrospectionPolicy;
use crate::http_client::{Connections, HttpClient};
use crate::{Clock, Error};

/// How long the issuer's metadata are believed to say where to ask.
const METADATA_LIFE: Duration = Duration::from_secs(60 * 60);

/// Everything together: each request has a shorter limit of its own.
const LIMIT: Duration = Duration::from_secs(15);

/// The future of [`IntrospectToken::introspect`].
pub type AnswerFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Introspection, OAuthError>> + Send + 'a>>;

/// Asks an issuer about a token (RFC 7662).
///
/// Most users never need this: the default asks over HTTP. It is there for tests
/// without sockets, and for issuers that are asked in another way.
pub trait IntrospectToken: Send + Sync + 'static {
    /// Asks once. The future must end by itself, in bounded time: requests wait
    /// for it.
    fn introspect<'a>(&'a self, token: &'a str) -> AnswerFuture<'a>;
}

pub(crate) struct AskIssuer {
    issuer: Issuer,
    client: Client,
    endpoint: Option<Url>,
    http: HttpClient,
    clock: Arc<dyn Clock>,
    metadata: Mutex<Option<(Arc<Metadata>, Duration)>>,
}

impl AskIssuer {
    /// Nothing is sent before the first question.
    pub(crate) fn new(
        issuer: Issuer,
        policy: &IntrospectionPolicy,
        added_ca_pem: &[Vec<u8>],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let endpoint = policy.endpoint.as_ref();
        let endpoint = endpoint
            .map(|url| {
                let url = Url::parse(url).ok().filter(|url| issuer.may_publish(url));
                url.ok_or(Error::IntrospectionEndpoint)
            })
            .transpose()?;
        Ok(Self {
            http: HttpClient::new(&issuer, added_ca_pem, Connections::Kept)?,
            issuer,
            client: policy.client.clone(),
            endpoint,
            clock,
            metadata: Mutex::default(),
        })
    }

    async fn ask(&self, token: &str) -> Result<Introspection, OAuthError> {
        let metadata = self.metadata().await?;
        let token = Secret::new(token.to_owned());
        let hint = Some(TokenTypeHint::AccessToken);
        let flow = IntrospectionFlow::new(&metadata, &self.client, &token, hint)?;
        self.http.drive(flow).await
    }

    /// Where to ask. Whoever comes while it is being found out waits.
    async fn metadata(&self) -> Result<Arc<Metadata>, OAuthError> {
        let mut known = self.metadata.lock().await;
        let now = self.clock.monotonic();
        if let Some((metadata, since)) = &*known
            && now.saturating_sub(*since) < METADATA_LIFE
        {
            return Ok(Arc::clone(metadata));
        }
        let metadata = match &self.endpoint {
            Some(endpoint) => {
                let mut metadata = Metadata::new(self.issuer.clone());
                metadata.apply(&EndpointOverrides {
                    introspection_endpoint: Some(endpoint.clone()),
                    ..EndpointOverrides::default()
                })?;
                metadata
            }
            None => match (self.http.drive(Discovery::new(&self.issuer)).await, &*known) {
                (Ok(metadata), _) => metadata,
                // Where to ask seldom changes; the question itself will tell.
                (Err(_), Some((metadata, _))) => return Ok(Arc::clone(metadata)),
                (Err(error), None) => return Err(error),
            },
        };
        let metadata = Arc::new(metadata);
        *known = Some((Arc::clone(&metadata), now));
        Ok(metadata)
    }
}

impl IntrospectToken for AskIssuer {
    fn introspect<'a>(&'a self, token: &'a str) -> AnswerFuture<'a> {
        Box::pin(async move {
            tokio::time::timeout(LIMIT, self.ask(token))
                .await
                .unwrap_or(Err(OAuthError::Transport {
                    endpoint: Endpoint::Introspection,
                    source: TransportError::Timeout,
                }))
        })
    }
}
