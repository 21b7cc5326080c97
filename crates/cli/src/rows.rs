//! Settings as rows for a person: name, value, and where the value comes from.

use std::path::Path;
use std::time::Duration;

use crate::settings::{Origin, Setting, Settings};

/// Name, value and origin of each setting that has a value.
pub(crate) struct Rows<'a>(pub(crate) Vec<(&'static str, String, &'a Origin)>);

impl<'a> Rows<'a> {
    /// In the order in which a person would ask.
    pub(crate) fn of(settings: &'a Settings) -> Self {
        let mut rows = Self(Vec::new());
        rows.put("issuer", settings.issuer.as_ref(), String::clone);
        rows.put("client_id", Some(&settings.client_id), String::clone);
        rows.put(
            "client_secret_file",
            settings.client_secret_file.as_ref(),
            |file| path(file),
        );
        rows.put("scope", settings.scope.as_ref(), |scopes| scopes.join(" "));
        rows.put("audience", settings.audience.as_ref(), String::clone);
        rows.put("resource", settings.resource.as_ref(), |urls| {
            urls.join(" ")
        });
        rows.put("param", settings.param.as_ref(), |pairs| {
            join(pairs, |(name, value)| format!("{name}={value}"))
        });
        rows.endpoints(settings);
        rows.put("ca_cert", settings.ca_cert.as_ref(), |paths| {
            join(paths, |file| path(file))
        });
        rows.put("timeout", Some(&settings.timeout), seconds);
        rows.put("login_timeout", settings.login_timeout.as_ref(), seconds);
        rows.put("min_ttl", Some(&settings.min_ttl), seconds);
        rows.put("no_browser", Some(&settings.no_browser), bool::to_string);
        rows.put("qr", Some(&settings.qr), |when| when.word().to_owned());
        rows
    }

    fn put<T: 'a>(
        &mut self,
        name: &'static str,
        setting: impl Into<Option<&'a Setting<T>>>,
        text: impl Fn(&T) -> String,
    ) {
        if let Some(setting) = setting.into() {
            self.0.push((name, text(&setting.value), &setting.origin));
        }
    }

    fn endpoints(&mut self, settings: &'a Settings) {
        let Some(Setting { value, origin }) = &settings.endpoints else {
            return;
        };
        let urls = [
            ("endpoints.token_endpoint", &value.token_endpoint),
            ("endpoints.jwks_uri", &value.jwks_uri),
            ("endpoints.userinfo_endpoint", &value.userinfo_endpoint),
            ("endpoints.revocation_endpoint", &value.revocation_endpoint),
            (
                "endpoints.device_authorization_endpoint",
                &value.device_authorization_endpoint,
            ),
        ];
        let urls = urls
            .into_iter()
            .filter_map(|(name, url)| Some((name, url.as_ref()?.to_string(), origin)));
        self.0.extend(urls);
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
