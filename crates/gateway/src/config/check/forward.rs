//! `[[forward_auth]]`: other proxies that ask, how they ask, and what makes them believed.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;

use countersign_console::Problem;
use http::HeaderName;
use toml::Spanned;

use super::super::{Asked, ForwardAuth, Listen, Place, Preset, file};
use super::Check;

/// Who may connect to a unix socket: its owner and its group.
const MODE: u32 = 0o660;

impl Check<'_> {
    pub(super) fn forward_auth(
        &self,
        tables: Vec<Spanned<file::ForwardAuth>>,
        listen: &Listen,
    ) -> Result<Vec<ForwardAuth>, Problem> {
        let mut checked: Vec<ForwardAuth> = Vec::new();
        for table in tables {
            let span = table.span();
            let one = self.one(&span, table.into_inner(), listen)?;
            if checked
                .iter()
                .any(|other| is_same(&other.place, &one.place))
            {
                return Err(self.at(
                    &span,
                    format!("another [[forward_auth]] listens on {} already", one.place),
                ));
            }
            checked.push(one);
        }
        Ok(checked)
    }

    fn one(
        &self,
        span: &Range<usize>,
        table: file::ForwardAuth,
        listen: &Listen,
    ) -> Result<ForwardAuth, Problem> {
        let asked = self.asked(span, &table)?;
        if table.body && matches!(asked, Asked::Headers { .. }) {
            return Err(self
                .at(span, "only Envoy hands the bodies of requests over")
                .hint("take out body = true"));
        }
        let place = self.place(span, &table.address, table.mode.as_deref())?;
        let mut trust = Vec::new();
        for text in &table.trust {
            trust.push(self.network(span, text)?);
        }
        if matches!(place, Place::Unix(..)) && !(trust.is_empty() && table.tls.is_none()) {
            return Err(self
                .at(
                    span,
                    "on a unix socket nobody has an address or a certificate",
                )
                .hint("take out trust and tls: who may connect is said by mode = \"0660\""));
        }
        let origins = match table.origin {
            Some(origin) => self.origins(origin)?,
            None => listen.origins.clone(),
        };
        let Some(own) = origins.first() else {
            return Err(self
                .at(span, "the proxy that asks has no name")
                .hint("add the name that callers write: origin = \"https://api.example.com\""));
        };
        let audience = match table.audience {
            Some(audience) if audience.is_empty() => {
                return Err(self.at(span, "an assertion for nobody is for nobody"));
            }
            Some(audience) => audience,
            None => own.url.origin().ascii_serialization(),
        };
        Ok(ForwardAuth {
            preset: preset(table.preset),
            place,
            trust,
            tls: table.tls.map(|tls| self.tls(tls)),
            audience,
            origins,
            asked,
            body: table.body,
            line: self.source.line(span),
        })
    }

    /// Which headers say what is asked about: as each proxy does it when nobody tells it otherwise.
    fn asked(&self, span: &Range<usize>, table: &file::ForwardAuth) -> Result<Asked, Problem> {
        let name = |given: &Option<String>, usual: &str| {
            let text = given.as_deref().unwrap_or(usual);
            HeaderName::from_bytes(text.as_bytes())
                .ok()
                // A proxy that folds `_` and `-` would send one for the other.
                .filter(|name| !name.as_str().contains('_'))
                .ok_or_else(|| self.at(span, format!("`{text}` is no name of a header here")))
        };
        let usual = match table.preset {
            file::Preset::Nginx => "x-original",
            file::Preset::Traefik | file::Preset::Caddy => "x-forwarded",
            file::Preset::Envoy | file::Preset::EnvoyGrpc => {
                let given = [&table.method_header, &table.uri_header, &table.host_header];
                let is_message = table.preset == file::Preset::EnvoyGrpc;
                if given.iter().any(|given| given.is_some())
                    || (is_message && table.client_header.is_some())
                {
                    return Err(self
                        .at(span, "Envoy says what it asks about in no header")
                        .hint("take out method_header, uri_header and host_header"));
                }
                if is_message {
                    return Ok(Asked::Message);
                }
                let client = table.client_header.as_ref();
                return Ok(Asked::Request {
                    client: match client {
                        None => None,
                        Some(_) => Some(name(&table.client_header, "")?),
                    },
                });
            }
        };
        let method = name(&table.method_header, &format!("{usual}-method"))?;
        let uri = name(&table.uri_header, &format!("{usual}-uri"))?;
        let host = name(&table.host_header, &format!("{usual}-host"))?;
        let client = name(&table.client_header, "x-forwarded-for")?;
        if HashSet::from([&method, &uri, &host, &client]).len() < 4 {
            return Err(self.at(span, "one header cannot say two things"));
        }
        Ok(Asked::Headers {
            method,
            uri,
            host,
            client,
        })
    }

    fn place(
        &self,
        span: &Range<usize>,
        address: &str,
        mode: Option<&str>,
    ) -> Result<Place, Problem> {
        let Some(path) = address.strip_prefix("unix:") else {
            if mode.is_some() {
                return Err(self.at(span, "mode is of unix sockets: address = \"unix:PATH\""));
            }
            return self.address(span, address).map(Place::Tcp);
        };
        if path.is_empty() {
            return Err(self
                .at(span, "the unix socket has no path")
                .hint("address = \"unix:/run/countersign/forward.sock\""));
        }
        let mode = match mode {
            None => MODE,
            Some(digits) => u32::from_str_radix(digits, 8)
                .ok()
                .filter(|mode| *mode <= 0o777)
                .ok_or_else(|| {
                    self.at(span, format!("`{digits}` is no mode"))
                        .hint("mode = \"0660\"")
                })?,
        };
        Ok(Place::Unix(self.path(PathBuf::from(path)), mode))
    }
}

fn preset(preset: file::Preset) -> Preset {
    match preset {
        file::Preset::Nginx => Preset::Nginx,
        file::Preset::Traefik => Preset::Traefik,
        file::Preset::Caddy => Preset::Caddy,
        file::Preset::Envoy => Preset::Envoy,
        file::Preset::EnvoyGrpc => Preset::EnvoyGrpc,
    }
}

/// Two ports that the system chooses are two places.
fn is_same(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Tcp(one), Place::Tcp(other)) => one == other && one.port() != 0,
        (Place::Unix(one, _), Place::Unix(other, _)) => one == other,
        _ => false,
    }
}
