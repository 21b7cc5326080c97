//! `[[upstream]]`: where requests go, and how long anything there may take.

use std::ops::Range;
use std::time::Duration;

use countersign_console::Problem;
use countersign_console::settings::Span;
use http::Uri;
use toml::Spanned;

use super::super::{Health, HostHeader, Protocol, Target, Upstream, file};
use super::{Check, LONGEST_TIME};
use crate::route::canonical;

impl Check<'_> {
    pub(super) fn upstreams(
        &self,
        upstreams: Vec<Spanned<file::Upstream>>,
    ) -> Result<Vec<Upstream>, Problem> {
        let mut checked: Vec<Upstream> = Vec::new();
        for upstream in upstreams {
            let span = upstream.span();
            let upstream = self.upstream(&span, upstream.into_inner())?;
            if checked.iter().any(|other| other.name == upstream.name) {
                return Err(self.at(
                    &span,
                    format!("the upstream `{}` stands here twice", upstream.name),
                ));
            }
            checked.push(upstream);
        }
        Ok(checked)
    }

    fn upstream(&self, span: &Range<usize>, upstream: file::Upstream) -> Result<Upstream, Problem> {
        let name = upstream.name;
        if !is_name(&name) {
            return Err(self.at(
                span,
                format!("`{name}` is no name: letters, digits, - _ . only"),
            ));
        }
        let mut targets = Vec::new();
        for text in upstream.address.into_vec() {
            targets.push(self.target(span, &text)?);
        }
        let Some(tls) = targets.first().map(|target| target.tls) else {
            return Err(self.at(span, format!("the upstream `{name}` has no address")));
        };
        if targets.iter().any(|target| target.tls != tls) {
            return Err(self.at(
                span,
                format!("the addresses of `{name}` are to be all http or all https"),
            ));
        }
        let protocol = match (upstream.protocol, tls) {
            (file::Protocol::Auto, true) => Protocol::Negotiated,
            (file::Protocol::Auto | file::Protocol::Http1, _) => Protocol::Http1,
            (file::Protocol::Http2, _) => Protocol::Http2,
        };
        let time = |given: Option<Span>, default: u64| {
            given
                .map_or(Duration::from_secs(default), |time| time.0)
                .clamp(Duration::from_millis(1), LONGEST_TIME)
        };
        let health = match upstream.health {
            None => None,
            Some(health) => {
                if !canonical(&health.path).is_ok_and(|path| path == health.path) {
                    return Err(self.at(span, format!("`{}` is no path", health.path)));
                }
                Some(Health {
                    path: health.path,
                    interval: time(health.interval, 10).max(Duration::from_millis(100)),
                })
            }
        };
        Ok(Upstream {
            audience: upstream.audience.unwrap_or_else(|| name.clone()),
            name: name.into(),
            targets,
            protocol,
            host: match upstream.host {
                file::Host::Caller => HostHeader::Caller,
                file::Host::Upstream => HostHeader::Upstream,
            },
            ca_file: upstream.ca_file.map(|path| self.path(path)),
            connect_time: time(upstream.connect_time, 3),
            answer_time: time(upstream.answer_time, 60),
            idle_time: time(upstream.idle_time, 60),
            total_time: upstream.total_time.map(|time| time.0),
            keep: upstream.keep.unwrap_or(64),
            keep_time: time(upstream.keep_time, 60),
            health,
        })
    }

    fn target(&self, span: &Range<usize>, text: &str) -> Result<Target, Problem> {
        let wrong = || {
            self.at(span, format!("`{text}` is no address of an upstream"))
                .hint("write it as http://127.0.0.1:8080 or https://service.internal")
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.path_and_query().is_some_and(|path| path != "/") || authority.as_str().contains('@')
        {
            return Err(wrong().why("the path of a request is passed on as it was matched"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Target {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.clone(),
        })
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
