//! `[identity]`, `[limits]` and `[audit]`.

use std::time::Duration;

use countersign_console::Problem;
use countersign_console::settings::Span;
use http::HeaderName;

use super::super::{Audit, Identity, Limits, PlainNames, file};
use super::{Check, LONGEST_TIME};

impl Check<'_> {
    pub(super) fn identity(&self, identity: file::Identity) -> Result<Identity, Problem> {
        let header = identity
            .header
            .as_deref()
            .unwrap_or("x-countersign-identity");
        let header =
            HeaderName::from_bytes(header.to_ascii_lowercase().as_bytes()).map_err(|_| {
                self.source
                    .whole(format!("`{header}` is no name of a header"))
            })?;
        let prefix = identity
            .prefix
            .unwrap_or_else(|| "x-auth-".to_owned())
            .to_ascii_lowercase();
        // Removing what outsiders send goes by prefix, so it must not take the world away.
        let is_own = prefix.starts_with("x-") && prefix.len() > 3;
        let plain = plain_names(&prefix).filter(|_| is_own).ok_or_else(|| {
            let what = format!("`{prefix}` is no prefix for headers");
            self.source
                .whole(what)
                .hint("write it as prefix = \"x-auth-\"")
        })?;
        let lifetime = identity
            .lifetime
            .map_or(Duration::from_secs(60), |time| time.0);
        if lifetime < Duration::from_secs(5) || lifetime > Duration::from_secs(60) {
            return Err(self.source.whole("an assertion lasts from 5 to 60 seconds"));
        }
        Ok(Identity {
            key_file: identity.key_file.map(|path| self.path(path)),
            lifetime,
            header,
            prefix,
            plain,
        })
    }

    pub(super) fn limits(&self, limits: &file::Limits) -> Result<Limits, Problem> {
        let seconds = Duration::from_secs;
        let time = |given: Option<Span>, default| {
            given
                .map_or(default, |time| time.0)
                .clamp(Duration::from_millis(10), LONGEST_TIME)
        };
        let head_bytes = limits.head_bytes.map_or(32 * 1024, |bytes| bytes.0);
        let head_bytes = usize::try_from(head_bytes)
            .ok()
            .filter(|bytes| (8 * 1024..=1024 * 1024).contains(bytes))
            .ok_or_else(|| self.source.whole("head_bytes is from 8KiB to 1MiB"))?;
        Ok(Limits {
            connections: limits.connections.unwrap_or(10_000).max(1),
            handshake_time: time(limits.handshake_time, seconds(10)),
            head_time: time(limits.head_time, seconds(20)),
            head_bytes,
            headers: limits.headers.unwrap_or(100).clamp(1, 1000),
            body: limits.body.map_or(10 << 20, |bytes| bytes.0),
            body_idle_time: time(limits.body_idle_time, seconds(30)),
            body_rate: limits.body_rate.map_or(256, |bytes| bytes.0),
            streams: limits.streams.unwrap_or(100).clamp(1, 1000),
            token_cache: limits.token_cache.map_or(16 << 20, |bytes| {
                usize::try_from(bytes.0).unwrap_or(usize::MAX)
            }),
            leeway: limits.leeway.map_or(seconds(60), |leeway| leeway.0),
        })
    }

    pub(super) fn audit(&self, audit: Option<file::Audit>) -> Result<Option<Audit>, Problem> {
        let Some(audit) = audit else {
            return Ok(None);
        };
        if audit.file.is_some() == audit.stdout {
            return Err(self
                .source
                .whole("[audit] goes to one place")
                .hint("file = \"/var/log/countersign/audit.jsonl\", or stdout = true"));
        }
        Ok(Some(Audit {
            file: audit.file.map(|path| self.path(path)),
            query: audit.query,
            danger_lossy: audit.danger_lossy,
        }))
    }
}

fn plain_names(prefix: &str) -> Option<PlainNames> {
    let name = |fact| HeaderName::try_from(format!("{prefix}{fact}")).ok();
    Some(PlainNames {
        subject: name("subject")?,
        issuer: name("issuer")?,
        client_id: name("client-id")?,
        scope: name("scope")?,
    })
}
