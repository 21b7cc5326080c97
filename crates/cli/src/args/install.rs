//! Writing the configuration of other programs, and taking it away again.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::With;
use crate::hosts::Host;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Program {
    /// git's configuration, for the hosts of the profile
    Git(With<InstallGit>),
    /// docker's configuration, and the link that it looks for
    Docker(With<InstallDocker>),
    /// A profile of the AWS programs
    Aws(With<InstallAws>),
    /// A user in the kubeconfig
    Kubernetes(With<InstallKubernetes>),
}

#[derive(Debug, Args)]
pub(crate) struct InstallGit {
    /// Hosts such as git.example.com; those that the profile names if not given
    #[arg(value_name = "HOST", value_parser = Host::parse)]
    pub(crate) hosts: Vec<Host>,

    /// Say what would be changed; change nothing
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallDocker {
    /// Registries such as registry.example.com; those that the profile names if not given
    #[arg(value_name = "HOST", value_parser = Host::parse)]
    pub(crate) hosts: Vec<Host>,

    /// Where docker-credential-countersign goes: a directory on the PATH
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) bin_dir: Option<PathBuf>,

    /// Say what would be changed; change nothing
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallAws {
    /// How the profile of the AWS programs is called
    #[arg(long, value_name = "NAME", default_value = "countersign")]
    #[arg(value_parser = plain)]
    pub(crate) aws_profile: String,

    /// The role, if it is not the one that the profile here names
    #[arg(long, value_name = "ARN", value_parser = plain)]
    pub(crate) role_arn: Option<String>,

    /// The region, for the AWS programs as well
    #[arg(long, value_name = "REGION", value_parser = plain)]
    pub(crate) region: Option<String>,

    /// Say what would be changed; change nothing
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallKubernetes {
    /// How the user in the kubeconfig is called
    #[arg(long, value_name = "NAME", default_value = "countersign")]
    #[arg(value_parser = plain)]
    pub(crate) user: String,

    /// Give the access token instead of the ID token
    #[arg(long)]
    pub(crate) access_token: bool,

    /// Say what would be changed; change nothing
    #[arg(long)]
    pub(crate) print: bool,
}

/// What stands for itself in a shell, in an INI file and in YAML.
fn plain(text: &str) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@+=,".contains(&byte);
    if text.is_empty() || text.starts_with('-') || !text.bytes().all(fits) {
        return Err("letters, digits and -._:/@+=, only");
    }
    Ok(text.to_owned())
}
