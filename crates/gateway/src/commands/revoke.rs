//! `revoke`: what is not to be taken any more, although it has not expired.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use countersign_gateway::{Config, Problem, Revoked};

use super::print;

/// What is meant. Without any of these, the token that is read from stdin.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct What {
    /// Every token of this subject that was issued until now
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// Every token of this session
    #[arg(long, value_name = "SID")]
    session: Option<String>,
    /// The token with this id
    #[arg(long, value_name = "JTI")]
    jti: Option<String>,
}

pub(crate) fn revoke(
    file: &Path,
    issuer: Option<&str>,
    what: &What,
    hours: u32,
) -> Result<ExitCode, Problem> {
    let config = Config::load(file)?;
    let token;
    let revoked = match (&what.subject, &what.session, &what.jti) {
        (Some(subject), ..) => Revoked::Subject(subject),
        (_, Some(session), _) => Revoked::Session(session),
        (.., Some(jti)) => Revoked::JwtId(jti),
        _ => {
            token = super::token()?.ok_or_else(|| {
                Problem::new("there is no token on stdin")
                    .hint("give one, or say --subject SUB, --session SID or --jti JTI")
            })?;
            Revoked::Token(&token)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::no_runtime(&error))?;
    let time = Duration::from_secs(u64::from(hours) * 60 * 60);
    let revoking = countersign_gateway::revoke(config, issuer, &revoked, time);
    print(&runtime.block_on(revoking)?);
    Ok(ExitCode::SUCCESS)
}
