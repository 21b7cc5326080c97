//! Setting a provider up, and looking whether that was done.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::SignInArgs;
use crate::server::Provider;

#[derive(Debug, Args)]
#[command(after_help = "\
Prints what to create there, step by step. On a terminal it then asks for what
only you know, checks it at the server, and writes the profile. Without a
provider it lists those there are.

Flags answer questions beforehand: countersign setup okta --org acme")]
pub(crate) struct SetupArgs {
    /// The provider; `oidc` stands for any that is not listed
    #[arg(value_name = "PROVIDER", id = "of", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(Provider::names()).try_map(|n| Provider::by_name(&n)))]
    pub(crate) of: Option<Provider>,

    /// Print the steps only; ask nothing and write nothing
    #[arg(long)]
    pub(crate) print: bool,

    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}
#[derive(Debug, Args)]
#[command(after_help = "\
Signs nobody in, and changes nothing here. At the server it asks for a device
code and for an authorization, and lets both run out. Every finding has a code
that stays the same, and says what to do.

Exit codes: 0 nothing is wrong, 1 something is, 3 the server cannot be reached,
7 the configuration cannot be used.")]
pub(crate) struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Look at this computer only; send nothing
    #[arg(long)]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}
