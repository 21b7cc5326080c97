//! What a sign-in has to be, said ahead of time.

use std::time::Duration;

use clap::{Args, ValueHint};

use super::TargetArgs;
use crate::duration;

#[derive(Debug, Args)]
#[command(after_help = "\
For what is about to be done with an API that asks for a stronger or fresher
sign-in (RFC 9470). `countersign curl` answers such an API by itself; this is for
programs that cannot be asked, and does nothing where the sign-in there is does.
With neither --acr nor --max-age, signs in now.

With a URL, asks for the one-time password that the API wants there, where it is
good for a while (`per = \"5m\"`): the request is HEAD, which changes nothing.")]
pub(crate) struct StepUpArgs {
    /// Where an API asks for a one-time password
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: Option<String>,

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
