//! The request that another proxy asks about, however it was told.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Method};

/// A request that another proxy has.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) method: Method,
    /// Path and query as the caller wrote them.
    pub(super) target: String,
    pub(super) host: HeaderValue,
    /// The caller's headers, without those that the proxy has put in to ask.
    pub(super) headers: HeaderMap,
    pub(super) client: Option<IpAddr>,
    /// Its body, where the proxy hands that over.
    pub(super) body: Option<Vec<u8>>,
}
