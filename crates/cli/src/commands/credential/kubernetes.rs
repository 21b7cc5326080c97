//! `countersign credential kubernetes`: the exec plugin of Kubernetes clients.
//!
//! What is asked stands in `KUBERNETES_EXEC_INFO`, what is answered is an `ExecCredential` of the same
//! version (Kubernetes documentation, "Client authentication (v1)"). The client keeps it in memory
//! until `expirationTimestamp`.
//!
//! An API server that was given an issuer checks ID tokens: their audience is this client. That is why
//! the ID token is what it gets unless something else was said.
//!
//! `spec.interactive` says whether a plugin may use the terminal. This one never does, so it is honoured
//! whatever it says, and `kubectl apply -f -` keeps its standard input.

use countersign_client::{ExitCategory, printable};
use serde::Deserialize;
use serde_json::json;

use super::{Bearer, Kind, bearer_for};
use crate::app::App;
use crate::args::KubernetesArgs;
use crate::error::CliError;
use crate::{output, time};

const VARIABLE: &str = "KUBERNETES_EXEC_INFO";
/// The newest first, which is what a person gets who tries it by hand.
const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

pub(super) fn run(app: &App, args: &KubernetesArgs) -> Result<(), CliError> {
    let asked = std::env::var_os(VARIABLE).map(|text| text.to_string_lossy().into_owned());
    let version = version(asked.as_deref())?;
    let bearer = bearer_for(
        app,
        Kind::access_if(args.access_token || !args.target.is_empty()),
        &args.target,
    )?;
    output::artefact(&render(version, &bearer))
}

/// As much of the question as concerns us.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecInfo {
    api_version: String,
    kind: String,
}

/// The version to answer in: the client takes no other than the one it asked in.
fn version(asked: Option<&str>) -> Result<&'static str, CliError> {
    let Some(text) = asked.filter(|text| !text.is_empty()) else {
        return Ok(VERSIONS[0]);
    };
    let not_ours = |why: String| {
        CliError::new(
            ExitCategory::Configuration,
            "exec_info",
            format!("{VARIABLE} asks for something that is not known here"),
        )
        .why(why)
    };
    let info: ExecInfo = serde_json::from_str(text).map_err(|error| not_ours(error.to_string()))?;
    if info.kind != "ExecCredential" {
        let kind = printable(&info.kind);
        return Err(not_ours(format!("it is a `{kind}`, not an ExecCredential")));
    }
    let known = VERSIONS
        .into_iter()
        .find(|known| *known == info.api_version);
    known.ok_or_else(|| {
        let version = printable(&info.api_version);
        not_ours(format!("its version is `{version}`")).hint(format!(
            "in the kubeconfig, say `apiVersion: {}`",
            VERSIONS[0]
        ))
    })
}

/// The answer, with the end of the line.
fn render(version: &str, bearer: &Bearer) -> String {
    let mut status = json!({ "token": bearer.token.expose() });
    if let (Some(at), Some(status)) = (bearer.expires_at, status.as_object_mut()) {
        status.insert("expirationTimestamp".to_owned(), json!(time::rfc3339(at)));
    }
    let credential = json!({
        "apiVersion": version,
        "kind": "ExecCredential",
        "status": status,
    });
    format!("{credential}\n")
}

#[cfg(test)]
mod tests {
    use countersign_client::{Secret, Timestamp};

    use super::*;

    #[test]
    fn the_answer_is_in_the_version_of_the_question() {
        for version in VERSIONS {
            let asked = json!({
                "apiVersion": version, "kind": "ExecCredential",
                "spec": { "interactive": true, "cluster": { "server": "https://k.example" } },
            });
            assert_eq!(super::version(Some(&asked.to_string())).unwrap(), version);
        }
        assert_eq!(version(None).unwrap(), VERSIONS[0]);
        assert_eq!(version(Some("")).unwrap(), VERSIONS[0]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "{}",
            "[",
            r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"Other"}"#,
            r#"{"apiVersion":"client.authentication.k8s.io/v1alpha1","kind":"ExecCredential"}"#,
            r#"{"apiVersion":"client.authentication.k8s.io/v2","kind":"ExecCredential"}"#,
        ] {
            assert_eq!(
                version(Some(text)).unwrap_err().code(),
                "exec_info",
                "{text}"
            );
        }
    }

    #[test]
    fn an_expiry_that_is_not_known_is_left_out() {
        let mut bearer = Bearer {
            token: Secret::new("abc"),
            expires_at: None,
        };
        let status = |bearer: &Bearer| {
            let text = render(VERSIONS[1], bearer);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["apiVersion"], VERSIONS[1]);
            value["status"].clone()
        };
        assert_eq!(status(&bearer), json!({ "token": "abc" }));
        bearer.expires_at = Some(Timestamp::from_secs(1_794_735_000));
        assert_eq!(
            status(&bearer),
            json!({ "token": "abc", "expirationTimestamp": "2026-11-15T09:30:00Z" })
        );
    }
}
