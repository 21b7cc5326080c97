//! What a sign-in has to be, said ahead of time.

use std::time::Duration;

use clap::Args;

use super::TargetArgs;
use crate::duration;

#[derive(Debug, Args)]
#[command(after_help = "\
For what is about to be done with an API that asks for a stronger or fresher
sign-in (RFC 9470). `countersign curl` answers such an API by itself; this is for
programs that cannot be asked, and does nothing where the sign-in there is does.
With neither --acr nor --max-age, signs in now.")]
pub(crate) struct StepUpArgs {
    /// How strongly, as the API calls it; several, best first (repeatable)
    #[arg(id = "wanted_acr", long = "acr", value_name = "VALUES")]
    pub(crate) acr: Vec<String>,

    /// How long ago at most, such as 5m
    #[arg(id = "wanted_age", long = "max-age", value_name = "TIME")]
    #[arg(value_parser = duration::parse)]
    pub(crate) max_age: Option<Duration>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}
