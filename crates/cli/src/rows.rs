//! Settings as rows for a person: name, value, and where the value comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::SignIn;
use serde::Serialize;
use serde_json::{Value, json};

use crate::settings::{Origin, Setting, Settings};

/// One setting that has a value.
pub(crate) struct Row {
    /// As it is called in a file, with dots: `aws.role_arn`.
    pub(crate) name: String,
    /// The value for a person.
    pub(crate) text: String,
    /// The value for a program, as it would stand in a file.
    pub(crate) value: Value,
    pub(crate) said: Said,
    /// The files that limit what it may be.
    pub(crate) limits: Vec<PathBuf>,
}

/// By whom.
pub(crate) enum Said {
    /// Whoever won.
    By(Origin),
    /// All of these files: it is a limit.
    Limit(Vec<PathBuf>),
}

/// Every setting that has a value.
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Rows {
    /// In the order in which a person would ask.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut rows = Self(Vec::new());
        let s = settings;
        let url = |urls: &Vec<String>| urls.join(" ");
        rows.put("profile", s.profile.as_ref(), String::clone);
        rows.put("account", s.account.as_ref(), String::clone);
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
        rows.put_time("max_age", s.max_age.as_ref());
        rows.put("param", s.param.as_ref(), |pairs| {
            join(pairs, |(name, value)| format!("{name}={value}"))
        });
        rows.put_table("endpoints", s.endpoints.as_ref());
        rows.put_table("git", s.git.as_ref());
        rows.put_table("docker", s.docker.as_ref());
        rows.put_table("aws", s.aws.as_ref());
        rows.put("dpop", &s.dpop, |dpop| dpop.word().to_owned());
        rows.put("flow", &s.flow, SignIn::to_string);
        if let Some(allowed) = &s.allowed_flows {
            rows.limit("allowed_flows", &allowed.words(), allowed.files());
        }
        rows.put("redirect_uri", s.redirect_uri.as_ref(), String::clone);
        rows.put("port", s.port.as_ref(), |ports| join(ports, u16::to_string));
        rows.put("browser", s.browser.as_ref(), String::clone);
        rows.put("no_browser", &s.no_browser, bool::to_string);
        rows.put("qr", &s.qr, |when| when.word().to_owned());
        rows.put("store", &s.store, |keep| keep.word().to_owned());
        if let Some(allowed) = &s.allowed_stores {
            rows.limit("allowed_stores", &allowed.words(), allowed.files());
        }
        rows.put("end_session", s.end_session.as_ref(), bool::to_string);
        rows.put_time("login_timeout", s.login_timeout.as_ref());
        rows.put_time("timeout", &s.timeout);
        rows.put_time("min_ttl", &s.min_ttl);
        rows.put("ca_cert", s.ca_cert.as_ref(), |paths| {
            join(paths, |file| path(file))
        });
        rows
    }

    fn put<'a, T: Serialize + 'a>(
        &mut self,
        name: &str,
        setting: impl Into<Option<&'a Setting<T>>>,
        text: impl Fn(&T) -> String,
    ) {
        if let Some(Setting { value, origin }) = setting.into() {
            let text = text(value);
            let value = serde_json::to_value(value).unwrap_or_default();
            self.add(name, text, value, Said::By(origin.clone()));
        }
    }

    /// As `put`, written as in a file.
    fn put_time<'a>(&mut self, name: &str, setting: impl Into<Option<&'a Setting<Duration>>>) {
        if let Some(Setting { value, origin }) = setting.into() {
            let text = format!("{}s", value.as_secs());
            self.add(name, text.clone(), json!(text), Said::By(origin.clone()));
        }
    }

    /// As `put`, for a table: each of its members that has a value.
    fn put_table<T: Serialize>(&mut self, name: &str, setting: Option<&Setting<T>>) {
        let Some(Setting { value, origin }) = setting else {
            return;
        };
        // Under the names that they have in the file.
        let Ok(Value::Object(members)) = serde_json::to_value(value) else {
            return;
        };
        for (member, value) in members {
            let text = match &value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Array(list) => join(list, |one| {
                    one.as_str().map_or_else(|| one.to_string(), str::to_owned)
                }),
                other => other.to_string(),
            };
            let name = format!("{name}.{member}");
            self.add(&name, text, value, Said::By(origin.clone()));
        }
    }

    /// A limit, which every file can narrow, and the setting above it that it limits.
    fn limit<'a>(&mut self, name: &str, words: &str, files: impl Iterator<Item = &'a Path>) {
        let files: Vec<PathBuf> = files.map(Path::to_owned).collect();
        if let Some(limited) = self.0.last_mut() {
            limited.limits.clone_from(&files);
        }
        let value = words.split(", ").filter(|word| *word != "none");
        let value = json!(value.collect::<Vec<_>>());
        self.add(name, words.to_owned(), value, Said::Limit(files));
    }

    fn add(&mut self, name: &str, text: String, value: Value, said: Said) {
        self.0.push(Row {
            name: name.to_owned(),
            text,
            value,
            said,
            limits: Vec::new(),
        });
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn join<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(" ")
}
