//! What an API says about itself to clients that do not know it (RFC 9728).
//!
//! Not responsible for serving it: [`path`](ResourceMetadata::path) says where, and
//! [`response`](ResourceMetadata::response) what. It is public, so it stands beside the layer and
//! not behind it.

use countersign_oauth::text::printable;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};
use url::Url;

use crate::Error;

/// Where the metadata are, between host and path of the resource (RFC 9728, section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata document of one API, made when the validator is built; see
/// [`ValidatorBuilder::resource`](crate::ValidatorBuilder::resource).
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceMetadata {
    url: String,
    path: String,
    members: Map<String, Value>,
}

impl ResourceMetadata {
    /// The metadata of the API with this identifier: the URL that callers know it by.
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] when it is no URL over `https` (or `http` on loopback), or has a query or
    /// a fragment.
    pub(crate) fn new(resource: &str) -> Result<Self, Error> {
        let unfit = || Error::Resource(printable(resource));
        let mut url = Url::parse(resource).map_err(|_| unfit())?;
        let is_loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        if !(is_safe && is_plain && url.username().is_empty() && url.password().is_none()) {
            return Err(unfit());
        }
        // Section 3.1: a terminating slash is removed before the string is inserted.
        let path = match url.path() {
            "/" => WELL_KNOWN.to_owned(),
            path => format!("{WELL_KNOWN}{path}"),
        };
        url.set_path(&path);
        let mut metadata = Self {
            url: url.into(),
            path,
            members: Map::new(),
        };
        // As it is written in `aud`, to the letter: clients compare it so (section 3.3).
        metadata.set("resource", resource.into());
        metadata.set("bearer_methods_supported", json!(["header"]));
        Ok(metadata)
    }

    fn set(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    pub(crate) fn issuers(&mut self, issuers: &[&str]) {
        self.set("authorization_servers", json!(issuers));
    }

    pub(crate) fn dpop_algorithms(&mut self, algorithms: &str) {
        let algorithms: Vec<&str> = algorithms.split(' ').collect();
        self.set("dpop_signing_alg_values_supported", json!(algorithms));
    }

    /// Names the scopes that this API knows (section 2).
    #[must_use]
    pub fn scopes_supported<S: Into<String>>(
        mut self,
        scopes: impl IntoIterator<Item = S>,
    ) -> Self {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        self.set("scopes_supported", json!(scopes));
        self
    }

    /// Names the API for people.
    #[must_use]
    pub fn resource_name(mut self, name: &str) -> Self {
        self.set("resource_name", name.into());
        self
    }

    /// Where people read about the API.
    #[must_use]
    pub fn resource_documentation(mut self, url: &Url) -> Self {
        self.set("resource_documentation", url.as_str().into());
        self
    }

    /// The address of the document, as challenges name it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path at which to serve it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The document itself.
    pub fn to_json(&self) -> String {
        Value::Object(self.members.clone()).to_string()
    }

    /// The answer to a request for it.
    pub fn response<B: From<String>>(&self) -> Response<B> {
        let mut response = Response::new(self.to_json().into());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9728, section 3.1.
    #[test]
    fn the_well_known_part_stands_between_host_and_path() {
        for (resource, url, path) in [
            (
                "https://api.example.com",
                "https://api.example.com/.well-known/oauth-protected-resource",
                "/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example.com/",
                "https://api.example.com/.well-known/oauth-protected-resource",
                "/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example.com:8443/v1/stock",
                "https://api.example.com:8443/.well-known/oauth-protected-resource/v1/stock",
                "/.well-known/oauth-protected-resource/v1/stock",
            ),
            (
                "http://127.0.0.1:3000",
                "http://127.0.0.1:3000/.well-known/oauth-protected-resource",
                "/.well-known/oauth-protected-resource",
            ),
        ] {
            let metadata = ResourceMetadata::new(resource).unwrap();
            assert_eq!((metadata.url(), metadata.path()), (url, path));
            let document: Value = serde_json::from_str(&metadata.to_json()).unwrap();
            assert_eq!(document["resource"], resource);
        }
    }

    #[test]
    fn what_is_no_identifier_of_a_resource_is_refused() {
        for resource in [
            "api",
            "urn:example:api",
            "http://api.example.com",
            "https://api.example.com?x",
            "https://api.example.com#x",
            "https://ada@api.example.com",
        ] {
            let error = ResourceMetadata::new(resource).unwrap_err();
            assert_eq!(error.code(), "invalid_resource", "{resource}");
        }
    }

    #[test]
    fn the_answer_is_json_that_may_be_kept() {
        let metadata = ResourceMetadata::new("https://api.example.com").unwrap();
        let mut metadata = metadata.scopes_supported(["stock:read"]);
        metadata.issuers(&["https://id.example.com"]);
        let response: Response<String> = metadata.response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let document: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(
            document,
            json!({
                "resource": "https://api.example.com",
                "authorization_servers": ["https://id.example.com"],
                "scopes_supported": ["stock:read"],
                "bearer_methods_supported": ["header"],
            })
        );
    }
}
