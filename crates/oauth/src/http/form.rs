//! Parameters, on their way into a body or an address.

use url::Url;

use crate::Secret;

/// A form body in the making (`application/x-www-form-urlencoded`). It holds secrets.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, Secret)>);

impl Form {
    pub(crate) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), Secret::new(value)));
    }

    /// Adds everything that `other` holds.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// Adds everything to the query of `url`, after what is there (RFC 6749, section 3.1).
    pub(crate) fn append_to(&self, url: &mut Url) {
        if self.0.is_empty() {
            return;
        }
        let mut query = url.query_pairs_mut();
        for (name, value) in &self.0 {
            query.append_pair(name, value.expose());
        }
    }

    pub(super) fn encode(&self) -> Secret {
        let mut serializer = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            serializer.append_pair(name, value.expose());
        }
        Secret::new(serializer.finish())
    }
}
