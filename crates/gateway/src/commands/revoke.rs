//! `revoke`: what is not to be taken any more, although it has not expired.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use countersign_gateway::{Config, Problem, Revoked};

use super::print;

/// More than any token.
const LONGEST_INPUT: u64 = 64 * 1024;

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
    let mut token = String::new();
    let revoked = match (&what.subject, &what.session, &what.jti) {
        (Some(subject), ..) => Revoked::Subject(subject),
        (_, Some(session), _) => Revoked::Session(session),
        (.., Some(jti)) => Revoked::JwtId(jti),
        _ => {
            std::io::stdin()
                .take(LONGEST_INPUT)
                .read_to_string(&mut token)
                .map_err(Problem::unreadable_token)?;
            if token.trim().is_empty() {
                return Err(Problem::no_token_to_revoke());
            }
            Revoked::Token(token.trim())
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::no_runtime)?;
    let time = Duration::from_secs(u64::from(hours) * 60 * 60);
    let revoking = countersign_gateway::revoke(config, issuer, &revoked, time);
    print(&runtime.block_on(revoking)?);
    Ok(ExitCode::SUCCESS)
}
