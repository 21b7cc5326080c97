//! Credentials in the shapes that other programs ask for.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::With;
use crate::duration;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Credential {
    /// For kubectl and other Kubernetes clients, as their exec plugin
    Kubernetes(With<KubernetesArgs>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Prints an ExecCredential of the version that KUBERNETES_EXEC_INFO asks for
(client.authentication.k8s.io/v1 and v1beta1). It never asks anything and never
opens a browser, so `interactiveMode: Never` suits it.

The ID token is what the API server's --oidc-issuer-url checks. --access-token is
for clusters whose authenticator, or the proxy before it, takes access tokens.")]
pub(crate) struct KubernetesArgs {
    /// Give the access token instead of the ID token
    #[arg(long)]
    pub(crate) access_token: bool,

    /// At least this much life left, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) min_ttl: Option<Duration>,
}
