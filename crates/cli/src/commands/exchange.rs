//! `countersign token --exchange`: one token for another (RFC 8693).
//!
//! The token that is exchanged is one of the session, or comes from a file or through a pipe: never from
//! an argument, which others on this computer can read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use countersign_client::{
    Exchange, OtherToken, Secret, ShownToken, Subject, TokenSource, TokenTypeId,
};

use crate::app::App;
use crate::args::{Exchanged, TokenArgs};
use crate::error::CliError;

/// A token is a line; whoever names a larger file has named the wrong one.
const MAX_BYTES: u64 = 64 * 1024;

/// The token that the server gives for the one that was meant.
pub(super) fn run(
    app: &App,
    args: &TokenArgs,
    which: Exchanged,
    tokens: &TokenSource,
) -> Result<OtherToken, CliError> {
    let exchange = asked(args, which)?;
    let token = if args.force_refresh {
        tokens.newly_exchanged(&exchange)
    } else {
        tokens.exchanged(&exchange, app.settings.min_ttl.value)
    };
    token.map_err(|error| app.explain(error))
}

fn asked(args: &TokenArgs, which: Exchanged) -> Result<Exchange, CliError> {
    let given = &args.exchange;
    let subject = match (&given.subject_token_file, which) {
        (None, Exchanged::AccessToken) => Subject::AccessToken,
        (None, Exchanged::IdToken) => Subject::IdToken,
        (Some(_), Exchanged::IdToken) => {
            return Err(CliError::usage(
                "either the session's ID token is exchanged, or the one in the file",
            )
            .hint("for an ID token in the file: --exchange --subject-type id_token"));
        }
        (Some(file), Exchanged::AccessToken) => {
            let kind = given.subject_type.clone();
            Subject::Given(ShownToken {
                token: read(file)?,
                kind: kind.unwrap_or(TokenTypeId::ACCESS_TOKEN),
            })
        }
    };
    if given.actor && given.subject_token_file.is_none() {
        return Err(
            CliError::usage("nobody acts for somebody else with a token of their own")
                .hint("name whose it is with --subject-token-file"),
        );
    }
    let mut exchange = Exchange::of(subject);
    exchange.as_actor = given.actor;
    exchange.requested.clone_from(&given.requested_type);
    exchange.target = args.target.target()?;
    Ok(exchange)
}

/// Reads a token from its file, without the end of the line.
fn read(path: &Path) -> Result<Secret, CliError> {
    let is_stdin = path == Path::new("-");
    let what = || {
        let place = if is_stdin {
            "on standard input".to_owned()
        } else {
            format!("in {}", path.display())
        };
        CliError::usage(format!("there is no token to exchange {place}"))
    };
    let source: Result<Box<dyn Read>, io::Error> = if is_stdin {
        Ok(Box::new(io::stdin().lock()))
    } else {
        File::open(path).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let mut text = String::new();
    source
        .and_then(|source| source.take(MAX_BYTES).read_to_string(&mut text))
        .map_err(|error| what().why(error.to_string()))?;
    // Wiped when it goes, like what is made of it.
    let text = Secret::new(text);
    let token = text.expose().trim();
    if token.is_empty() {
        return Err(what().why("it is empty"));
    }
    Ok(Secret::new(token))
}
