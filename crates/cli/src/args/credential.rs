//! Credentials in the shapes that other programs ask for.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::{InstallProgram, TargetArgs, With};
use crate::duration;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Credential {
    /// For kubectl and other Kubernetes clients, as their exec plugin
    Kubernetes(With<KubernetesArgs>),
    /// For git, as a credential helper
    Git(With<GitArgs>),
    /// For docker, as a credential helper
    Docker(With<DockerArgs>),
    /// For aws and everything built on its SDKs, as their credential process
    Aws(With<AwsArgs>),
    /// Write the configuration of one of these programs
    #[command(subcommand)]
    Install(InstallProgram),
    /// Take that configuration away again
    #[command(subcommand)]
    Uninstall(InstallProgram),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Prints an ExecCredential of the version that KUBERNETES_EXEC_INFO asks for
(client.authentication.k8s.io/v1 and v1beta1). It never asks anything and never
opens a browser, so `interactiveMode: Never` suits it.

The ID token is what the API server's --oidc-issuer-url checks. --access-token is
for clusters whose authenticator, or the proxy before it, takes access tokens.")]
pub(crate) struct KubernetesArgs {
    /// Give the access token instead of the ID token; so does naming an API
    #[arg(long)]
    pub(crate) access_token: bool,

    /// At least this much life left, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) min_ttl: Option<Duration>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
For the hosts that the profile names, and over https only:

  [profile.work.git]
  hosts = [\"git.example.com\"]

The token goes as a bearer token where the server offers that and git can send it
(2.46 or newer), else as a password.")]
pub(crate) struct GitArgs {
    /// What git asks for: get, store or erase
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: String,

    /// At least this much life left, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) min_ttl: Option<Duration>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
docker runs this as `docker-credential-countersign`, which is a link to
countersign, for the registries that the profile names:

  [profile.work.docker]
  hosts = [\"registry.example.com\"]")]
pub(crate) struct DockerArgs {
    /// What docker asks for
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: DockerOperation,

    /// At least this much life left, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) min_ttl: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DockerOperation {
    // A name and a secret for the server on standard input.
    Get,
    // All servers, with their names.
    List,
    // Keep what is on standard input.
    Store,
    // Forget the server on standard input.
    Erase,
}

#[derive(Debug, Args)]
#[command(after_help = "\
In ~/.aws/config: credential_process = countersign credential aws

Exchanges the ID token at STS (AssumeRoleWithWebIdentity) for credentials of the
role, and keeps them with the session until a quarter of an hour before they
expire. Flags win over the profile:

  [profile.work.aws]
  role_arn = \"arn:aws:iam::123456789012:role/developer\"
  region = \"eu-central-1\"")]
pub(crate) struct AwsArgs {
    /// The role to take on
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: Option<String>,

    /// Whose STS to ask; as for the AWS programs if not said, else the global one
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// The address of STS, instead of a region's
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) sts_endpoint: Option<String>,

    /// How AWS's records call this; your e-mail address if not said
    #[arg(long, value_name = "NAME")]
    pub(crate) session_name: Option<String>,

    /// How long the credentials are to be good, such as 1h
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) duration: Option<Duration>,

    /// Exchange the access token instead of the ID token
    #[arg(long)]
    pub(crate) access_token: bool,

    /// Ask STS, even if the credentials kept are still good
    #[arg(long)]
    pub(crate) force_refresh: bool,
}
