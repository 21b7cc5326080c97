//! Settings as rows for a person: name, value, and where the value comes from.

use std::path::Path;
use std::time::Duration;

use countersign_client::SignIn;

use crate::hosts::{Host, Hosts};
use crate::settings::{Setting, Settings};

/// Name, value and origin of each setting that has a value.
pub(crate) struct Rows(pub(crate) Vec<(String, String, String)>);

impl Rows {
    /// In the order in which a person would ask.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut rows = Self(Vec::new());
        let s = settings;
        let url = |urls: &Vec<String>| urls.join(" ");
        rows.put("provider", s.server.provider.as_ref(), |provider| {
            provider.0.name.to_owned()
        });
        rows.put("org", s.server.org.as_ref(), String::clone);
        rows.put("server", s.server.server.as_ref(), String::clone);
        rows.put("host", s.server.host.as_ref(), String::clone);
        rows.put("issuer", s.server.issuer.as_ref(), String::clone);
        rows.put("client_id", &s.server.client_id, String::clone);
        rows.put(
            "client_secret_file",
            s.client_secret_file.as_ref(),
            |file| path(file),
        );
        rows.put("client_key_file", s.client_key_file.as_ref(), |file| {
            path(file)
        });
        rows.put("client_key_id", s.client_key_id.as_ref(), String::clone);
        rows.put("scope", s.scope.as_ref(), url);
        rows.put("audience", s.audience.as_ref(), String::clone);
        rows.put("resource", s.resource.as_ref(), url);
        rows.put("connection", s.connection.as_ref(), String::clone);
        rows.put("prompt", s.prompt.as_ref(), String::clone);
        rows.put("login_hint", s.login_hint.as_ref(), String::clone);
        rows.put("acr", s.acr.as_ref(), url);
        rows.put("max_age", s.max_age.as_ref(), seconds);
        rows.put("param", s.param.as_ref(), |pairs| {
            join(pairs, |(name, value)| format!("{name}={value}"))
        });
        rows.endpoints(s);
        let hosts = |named: &Hosts| join(&named.hosts, Host::to_string);
        rows.put("git.hosts", s.git.as_ref(), hosts);
        rows.put("docker.hosts", s.docker.as_ref(), hosts);
        rows.put("aws.role_arn", s.aws.as_ref(), |aws| {
            aws.role_arn.clone().unwrap_or_default()
        });
        rows.put("dpop", &s.dpop, |dpop| dpop.word().to_owned());
        rows.put("flow", &s.flow, SignIn::to_string);
        rows.limit(s);
        rows.put("redirect_uri", s.redirect_uri.as_ref(), String::clone);
        rows.put("port", s.port.as_ref(), |ports| join(ports, u16::to_string));
        rows.put("browser", s.browser.as_ref(), String::clone);
        rows.put("no_browser", &s.no_browser, bool::to_string);
        rows.put("qr", &s.qr, |when| when.word().to_owned());
        rows.put("store", &s.store, |keep| keep.word().to_owned());
        rows.stores(s);
        rows.put("end_session", s.end_session.as_ref(), bool::to_string);
        rows.put("login_timeout", s.login_timeout.as_ref(), seconds);
        rows.put("timeout", &s.timeout, seconds);
        rows.put("min_ttl", &s.min_ttl, seconds);
        rows.put("ca_cert", s.ca_cert.as_ref(), |paths| {
            join(paths, |file| path(file))
        });
        rows
    }

    fn put<'a, T: 'a>(
        &mut self,
        name: &str,
        setting: impl Into<Option<&'a Setting<T>>>,
        text: impl Fn(&T) -> String,
    ) {
        if let Some(Setting { value, origin }) = setting.into() {
            self.0
                .push((name.to_owned(), text(value), origin.to_string()));
        }
    }

    fn endpoints(&mut self, settings: &Settings) {
        let Some(Setting { value, origin }) = &settings.endpoints else {
            return;
        };
        // Under the names that they have in the file.
        if let Ok(serde_json::Value::Object(urls)) = serde_json::to_value(value) {
            self.0.extend(urls.into_iter().map(|(name, url)| {
                let url = url.as_str().unwrap_or_default().to_owned();
                (format!("endpoints.{name}"), url, origin.to_string())
            }));
        }
    }

    fn limit(&mut self, settings: &Settings) {
        if let Some(allowed) = &settings.allowed_flows {
            let files = join(allowed.files(), path);
            let row = (
                "allowed_flows",
                allowed.words(),
                format!("limit in {files}"),
            );
            self.0.push((row.0.to_owned(), row.1, row.2));
        }
    }
}

impl Rows {
    fn stores(&mut self, settings: &Settings) {
        if let Some(allowed) = &settings.allowed_stores {
            let files = join(allowed.files(), path);
            let name = "allowed_stores".to_owned();
            self.0
                .push((name, allowed.words(), format!("limit in {files}")));
        }
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn join<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(" ")
}
