//! The network as the client crate has it, with a smaller limit for what is read.
//!
//! Not responsible for redirects and plain http, which that transport refuses by itself.

use std::path::PathBuf;
use std::time::Duration;

use countersign_client::{
    HttpOptions, HttpRequest, HttpResponse, HttpTransport, Transport, TransportError,
};

/// No honest answer of those that are asked for here is longer.
pub(super) const MAX_BODY: usize = 64 * 1024;

const USER_AGENT: &str = concat!("countersign-pamd/", env!("CARGO_PKG_VERSION"));

/// Sends requests, and takes short answers only.
#[derive(Debug)]
pub(super) struct Strict(HttpTransport);

impl Strict {
    /// Waits at most `timeout` for a whole answer.
    pub(super) fn new(ca_file: Option<PathBuf>, timeout: Duration) -> Self {
        let mut options = HttpOptions::default();
        options.connect_limit = timeout;
        options.overall_limit = timeout;
        options.ca_files = ca_file.into_iter().collect();
        options.user_agent = USER_AGENT.into();
        Self(HttpTransport::new(options))
    }
}

impl Transport for Strict {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        let answer = self.0.send(request, limit)?;
        if answer.body.len() > MAX_BODY {
            return Err(TransportError::TooLarge);
        }
        Ok(answer)
    }
}
