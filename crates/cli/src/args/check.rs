//! Setting a provider up.

use clap::Args;

use super::SignInArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Prints what to create there, step by step. On a terminal it then asks for what
only you know, checks it at the server, and writes the profile. Without a
provider it lists those there are.

Flags answer questions beforehand: countersign setup okta --org acme")]
pub(crate) struct SetupArgs {
    /// The provider; `oidc` stands for any that is not listed
    #[arg(value_name = "PROVIDER")]
    pub(crate) name: Option<String>,

    /// Print the steps only; ask nothing and write nothing
    #[arg(long)]
    pub(crate) print: bool,

    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}
