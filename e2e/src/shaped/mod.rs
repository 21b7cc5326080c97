//! Servers in the shape of the providers people have, with what they do differently switched on:
//! names, paths, members of the metadata, keys, claims, errors.
//!
//! They were written from the providers' documentation and from what clients of others ran into, and
//! know nothing of how Countersign deals with it.

mod auth0;
mod cognito;
mod entra;
mod github;
mod google;
mod keycloak;
mod okta;

use countersign_testkit::{Browser, Endpoint, Key, Page, Provider, Reply};
use serde_json::{Map, Value, json};

use crate::Internet;

/// A server in the shape of a provider, at that provider's own address.
#[derive(Debug)]
pub struct Shaped {
    /// The server.
    pub provider: Provider,
    /// The way to it.
    pub internet: Internet,
    /// What has to be said on the command line: who the provider is, and nothing of how it is.
    pub flags: &'static str,
    /// How it says that somebody has not decided yet.
    pub pending: Reply,
}

impl Shaped {
    fn new(
        flags: &'static str,
        issuer: &str,
        hosts: &[&str],
        elsewhere: &[(Endpoint, &str)],
        metadata: Value,
    ) -> Self {
        let provider = Provider::start_as(issuer, elsewhere);
        let internet = Internet::new();
        internet.host(hosts, &provider);
        provider.edit(Endpoint::OpenIdConfiguration, move |document| {
            *document = metadata.clone();
        });
        provider.always(Endpoint::OauthMetadata, Reply::new(404));
        // Nobody's JWKS says more than it has to; everybody signs with RSA.
        provider.set_keys(vec![Key::rsa("rsa-1")]);
        Self {
            provider,
            internet,
            flags,
            pending: Reply::json(400, &json!({ "error": "authorization_pending" })),
        }
    }

    /// The person opens the address, and the server finds them signed in and content.
    pub fn visit(&self, address: &str) -> Page {
        self.internet.browser().get(address)
    }

    /// A browser that finds the server.
    pub fn browser(&self) -> Browser {
        self.internet.browser()
    }

    /// Sends nobody anywhere but to these addresses: registered redirect URIs are compared as a whole.
    fn registered(&self, uris: &[&str], refusal: &Reply) {
        let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
        let refusal = refusal.clone();
        self.provider
            .check(Endpoint::Authorization, move |request| {
                let asked = request.query_value("redirect_uri").unwrap_or_default();
                (!uris.contains(&asked)).then(|| refusal.clone())
            });
    }

    /// Changes the claims of each ID token.
    fn claims<F>(&self, mut edit: F)
    where
        F: FnMut(&mut Map<String, Value>) + Send,
        F: 'static,
    {
        self.provider.edit_id_token(move |_, claims| {
            if let Some(claims) = claims.as_object_mut() {
                edit(claims);
            }
        });
    }

    /// Changes the members of each good answer of an endpoint.
    fn members<F>(&self, endpoint: Endpoint, mut edit: F)
    where
        F: FnMut(&mut Map<String, Value>) + Send,
        F: 'static,
    {
        self.provider.edit(endpoint, move |answer| {
            if let Some(answer) = answer.as_object_mut() {
                edit(answer);
            }
        });
    }

    /// None of them sends `iss` back with the code (RFC 9207).
    fn without_iss(&self) {
        self.provider
            .edit_authorization_response(|answer| answer.retain(|(name, _)| name != "iss"));
    }
}

/// A page as a person sees it.
fn page(status: u16, title: &str) -> Reply {
    Reply::text(
        status,
        "text/html; charset=utf-8",
        format!("<!doctype html><title>{title}</title><h1>{title}</h1>"),
    )
}
