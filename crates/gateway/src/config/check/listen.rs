//! `[listen]`: addresses, and the names by which callers know them.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use countersign_console::Problem;
use countersign_console::settings::OneOrMany;
use toml::Spanned;
use url::Url;

use super::super::{Listen, Origin, file};
use super::Check;

impl Check<'_> {
    pub(super) fn listen(
        &self,
        listen: file::Listen,
        has_tls: bool,
        has_forward_auth: bool,
    ) -> Result<Listen, Problem> {
        let mut span = 0..0;
        let mut addresses = Vec::new();
        if let Some(given) = listen.address {
            span = given.span();
            for text in given.into_inner().into_vec() {
                addresses.push(self.address(&span, &text)?);
            }
        }
        // A gateway that only answers other proxies needs none of its own.
        if addresses.is_empty() && !has_forward_auth {
            return Err(self
                .source
                .whole("there is no address to listen on")
                .hint("[listen] with address = \"127.0.0.1:8443\", or [[forward_auth]]"));
        }
        let admin = match listen.admin {
            None => None,
            Some(admin) => Some(self.address(&admin.span(), admin.get_ref())?),
        };
        let origins = match listen.origin {
            Some(origin) => self.origins(origin)?,
            None => Vec::new(),
        };
        let on_loopback = addresses.iter().all(|address| address.ip().is_loopback());
        if origins.is_empty() && !on_loopback {
            return Err(self
                .at(
                    &span,
                    "the gateway can be reached from other machines and has no name",
                )
                .hint("add the name that callers write: origin = \"https://api.example.com\""));
        }
        let secure = |origin: &Origin| origin.url.scheme() == "https";
        if has_tls && !origins.iter().all(secure) {
            return Err(self
                .at(&span, "with [tls], every origin begins with https://")
                .hint("origin = \"https://api.example.com\""));
        }
        let workers = match listen.workers {
            None => std::thread::available_parallelism().map_or(1, usize::from),
            Some(workers) if (1..=256).contains(workers.get_ref()) => workers.into_inner(),
            Some(workers) => return Err(self.at(&workers.span(), "workers is from 1 to 256")),
        };
        if listen.h2c && has_tls {
            return Err(self
                .at(&span, "h2c is HTTP/2 without TLS, and there is [tls]")
                .hint("take h2c out: over TLS, HTTP/2 is chosen by ALPN"));
        }
        Ok(Listen {
            addresses,
            admin,
            workers,
            h2c: listen.h2c,
            drain: listen
                .drain
                .map_or(Duration::from_secs(30), |drain| drain.0),
            origins,
        })
    }

    pub(super) fn address(&self, span: &Range<usize>, text: &str) -> Result<SocketAddr, Problem> {
        text.parse().map_err(|_| {
            self.at(span, format!("`{text}` is no address with a port"))
                .hint("write it as 127.0.0.1:8443, 0.0.0.0:443 or [::]:443")
        })
    }

    pub(super) fn origins(&self, origin: Spanned<OneOrMany>) -> Result<Vec<Origin>, Problem> {
        let span = origin.span();
        let mut origins: Vec<Origin> = Vec::new();
        for text in origin.into_inner().into_vec() {
            let wrong = || {
                self.at(&span, format!("`{text}` is no origin"))
                    .hint("write it as https://api.example.com, without a path")
            };
            let url = Url::parse(&text).map_err(|_| wrong())?;
            let host = url.host_str().ok_or_else(wrong)?;
            let is_bare = url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none();
            if !matches!(url.scheme(), "http" | "https") || !is_bare {
                return Err(wrong());
            }
            let authority = match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            origins.push(Origin { url, authority });
        }
        Ok(origins)
    }
}
