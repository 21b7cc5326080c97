//! What can be set in a profile, or for all of them: the names are those of the flags.
//!
//! Flags and environment fill a layer as files do, and a profile is written from the one that the
//! flags filled: one list of names serves all four.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use countersign_client::{EndpointOverrides, SignIn};
use serde::{Deserialize, Serialize};
use toml_edit::Table;

use crate::args::{Dpop, Keep, When};
use crate::aws::AwsSettings;
use crate::duration;
use crate::error::CliError;
use crate::hosts::Hosts;
use crate::server::Provider;

/// What one place says. Absent means that it says nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) provider: Option<Provider>,
    pub(crate) org: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret_file: Option<PathBuf>,
    pub(crate) client_key_file: Option<PathBuf>,
    pub(crate) client_key_id: Option<String>,
    pub(crate) scope: Option<Vec<String>>,
    pub(crate) audience: Option<String>,
    pub(crate) resource: Option<Vec<String>>,
    pub(crate) connection: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) login_hint: Option<String>,
    pub(crate) acr: Option<Vec<String>>,
    #[serde(default, with = "duration::setting")]
    pub(crate) max_age: Option<Duration>,
    pub(crate) dpop: Option<Dpop>,
    pub(crate) flow: Option<SignIn>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) port: Option<Vec<u16>>,
    pub(crate) browser: Option<String>,
    pub(crate) no_browser: Option<bool>,
    pub(crate) qr: Option<When>,
    pub(crate) store: Option<Keep>,
    pub(crate) end_session: Option<bool>,
    #[serde(default, with = "duration::setting")]
    pub(crate) login_timeout: Option<Duration>,
    #[serde(default, with = "duration::setting")]
    pub(crate) timeout: Option<Duration>,
    #[serde(default, with = "duration::setting")]
    pub(crate) min_ttl: Option<Duration>,
    pub(crate) ca_cert: Option<Vec<PathBuf>>,
    pub(crate) param: Option<BTreeMap<String, String>>,
    pub(crate) endpoints: Option<EndpointOverrides>,
    pub(crate) git: Option<Hosts>,
    pub(crate) docker: Option<Hosts>,
    pub(crate) aws: Option<AwsSettings>,
}

impl Layer {
    /// What of it describes the server, the client and what is asked for, and so holds next time as
    /// well. How one login was made (how long it might take, as whom, with which browser) does not.
    pub(crate) fn lasting(&self) -> Self {
        Self {
            prompt: None,
            login_hint: None,
            max_age: None,
            browser: None,
            no_browser: None,
            qr: None,
            login_timeout: None,
            timeout: None,
            min_ttl: None,
            ..self.clone()
        }
    }

    /// As a table of the configuration file.
    ///
    /// A path in a file is meant from where the file is, one on the command line from where the
    /// person is: only an absolute one means the same in both places.
    ///
    /// # Errors
    /// When a path in it is not text.
    pub(crate) fn to_table(&self) -> Result<Table, CliError> {
        let mut layer = self.clone();
        let files = [&mut layer.client_secret_file, &mut layer.client_key_file];
        let lists = layer.ca_cert.iter_mut().flatten();
        for path in files.into_iter().flatten().chain(lists) {
            *path = absolute(path)?;
        }
        let table = layer
            .serialize(toml_edit::ser::ValueSerializer::new())
            .map_err(|error| {
                CliError::usage("this cannot stand in a TOML file").why(error.to_string())
            })?;
        match table {
            toml_edit::Value::InlineTable(table) => Ok(table.into_table()),
            _ => Ok(Table::new()),
        }
    }
}

fn absolute(path: &std::path::Path) -> Result<PathBuf, CliError> {
    let shown = path.display();
    let path = std::path::absolute(path).map_err(|error| {
        CliError::usage(format!("{shown} is not a path")).why(error.to_string())
    })?;
    if path.to_str().is_none() {
        return Err(CliError::usage(format!(
            "{shown} cannot stand in a TOML file: it is not UTF-8"
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key, with a value.
    const FULL: &str = r#"
provider = "okta"
org = "acme"
server = "default"
host = "acme.okta-emea.com"
issuer = "https://login.example.com"
client_id = "cli"
client_secret_file = "/run/secret"
client_key_file = "/run/key.pem"
client_key_id = "2026"
scope = ["openid", 'a"b']
audience = "api"
resource = ["https://api.example"]
connection = "staff"
prompt = "login"
login_hint = "ada"
acr = ["strong"]
max_age = "8h"
dpop = "preferred"
flow = "client-credentials"
redirect_uri = "https://login.example.com/done"
port = [6363, 6364]
browser = "firefox -P work"
no_browser = true
qr = "never"
store = "keyring-key"
end_session = true
login_timeout = "5m"
timeout = "90s"
min_ttl = "1h"
ca_cert = ["/etc/ca.pem"]
param = { tenant = "blue" }
endpoints = { jwks_uri = "https://login.example.com/keys" }
git = { hosts = ["git.example.com"], username = "token" }
docker = { hosts = ["registry.example.com:5000"] }
aws = { role_arn = "arn:aws:iam::123456789012:role/a", region = "eu-central-1", sts_endpoint = "https://sts.example", session_name = "ada", duration = "1h" }
"#;

    #[test]
    fn what_is_written_is_what_was_read() {
        let layer: Layer = toml::from_str(FULL).unwrap();
        let mut text = layer.to_table().unwrap().to_string();
        text.insert(0, '\n');
        assert_eq!(text, FULL);
    }

    #[test]
    fn paths_are_made_absolute() {
        let layer = Layer {
            client_key_file: Some("key.pem".into()),
            ca_cert: Some(vec!["ca.pem".into()]),
            ..Layer::default()
        };
        let layer: Layer = toml::from_str(&layer.to_table().unwrap().to_string()).unwrap();
        assert!(layer.client_key_file.unwrap().is_absolute());
        assert!(layer.ca_cert.unwrap()[0].is_absolute());
    }

    #[test]
    fn how_one_login_was_made_is_not_kept() {
        let layer: Layer = toml::from_str(FULL).unwrap();
        let kept = layer.lasting().to_table().unwrap();
        let names: Vec<&str> = kept.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "provider",
                "org",
                "server",
                "host",
                "issuer",
                "client_id",
                "client_secret_file",
                "client_key_file",
                "client_key_id",
                "scope",
                "audience",
                "resource",
                "connection",
                "acr",
                "dpop",
                "flow",
                "redirect_uri",
                "port",
                "store",
                "end_session",
                "ca_cert",
                "param",
                "endpoints",
                "git",
                "docker",
                "aws"
            ]
        );
    }
}
