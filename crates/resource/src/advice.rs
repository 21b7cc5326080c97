//! What an API tells callers about itself in every challenge.

use countersign_oauth::text::printable;
use url::Url;

use crate::Error;

/// What a challenge says beside the error: the same at every request, so it is configured once.
#[derive(Debug, Clone, Default)]
pub struct Advice {
    realm: Option<String>,
    resource_metadata: Option<String>,
    dpop_algorithms: Option<String>,
}

impl Advice {
    /// Nothing beside the error.
    pub fn none() -> Self {
        Self::default()
    }

    /// Names what is protected (RFC 9110, section 11.5).
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Says where the metadata of this API are (RFC 9728, section 5.1).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceMetadata`] when it is no URL over `http` or `https`, or has a fragment.
    pub fn resource_metadata(mut self, url: &str) -> Result<Self, Error> {
        let fits = Url::parse(url).ok().filter(|url| {
            matches!(url.scheme(), "https" | "http") && url.has_host() && url.fragment().is_none()
        });
        let url = fits.ok_or_else(|| Error::ResourceMetadata(printable(url)))?;
        self.resource_metadata = Some(url.into());
        Ok(self)
    }

    /// Offers DPoP with these algorithms, separated by spaces (RFC 9449, section 7.1).
    #[must_use]
    pub fn dpop_algorithms(mut self, algorithms: impl Into<String>) -> Self {
        self.dpop_algorithms = Some(algorithms.into());
        self
    }

    pub(crate) fn or_metadata_at(mut self, url: &str) -> Self {
        self.resource_metadata.get_or_insert_with(|| url.to_owned());
        self
    }

    pub(crate) fn offers_dpop(&self) -> Option<&str> {
        self.dpop_algorithms.as_deref()
    }

    pub(crate) fn realm_text(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    pub(crate) fn metadata_url(&self) -> Option<&str> {
        self.resource_metadata.as_deref()
    }
}
