//! The same HTTPS request as `bare_tls`, through the transport that `countersign` uses.
//!
//! Argument: URL. The trusted certificate comes from `SSL_CERT_FILE`, as for a person behind a
//! company's own authority.

use std::error::Error;
use std::time::Duration;

use countersign_client::{HttpOptions, HttpTransport, Transport as _};
use countersign_oauth::HttpRequest;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: client_tls URL")?;
    let request = HttpRequest::get(url.parse()?);
    let answer =
        HttpTransport::new(HttpOptions::default()).send(&request, Duration::from_secs(5))?;
    if answer.status == 200 {
        Ok(())
    } else {
        Err("not 200".into())
    }
}
