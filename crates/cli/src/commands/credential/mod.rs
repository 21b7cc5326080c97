//! `countersign credential`: what a session has, in the shapes that other programs ask for.
//!
//! Each of these is run by another program, in the middle of its own work: they ask nothing, open no
//! browser and wait for nobody. Who is not signed in gets the command to type, on standard error.
//!
//! Not responsible for when a token is renewed: that is the client's.

mod asked;
mod aws;
mod docker;
mod git;
mod kubernetes;

use countersign_client::{ExitCategory, Secret, Timestamp};

use crate::app::{App, check_token, ready_made_token};
use crate::args::{Credential, TargetArgs};
use crate::commands::install::{self, Direction};
use crate::commands::token::id_token;
use crate::error::CliError;
use crate::{other_api, time};

pub(crate) fn run(app: &mut App, command: &Credential) -> Result<(), CliError> {
    // Whoever runs this has the terminal for itself, even for a passphrase.
    app.no_input = true;
    match command {
        Credential::Kubernetes(args) => kubernetes::run(app, &args.own),
        Credential::Git(args) => git::run(app, &args.own),
        Credential::Docker(args) => docker::run(app, &args.own),
        Credential::Aws(args) => aws::run(app, &args.own),
        Credential::Install(program) => install::run(app, Direction::Install, program),
        Credential::Uninstall(program) => install::run(app, Direction::Uninstall, program),
    }
}

/// Which of the two tokens a program is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Id,
}

impl Kind {
    pub(super) fn access_if(access: bool) -> Self {
        if access { Self::Access } else { Self::Id }
    }
}

/// A token that whoever holds it may use, and when it expires, where that is known.
pub(super) struct Bearer {
    pub(super) token: Secret,
    expires_at: Option<Timestamp>,
}

/// The token of this kind, from the file when it is still good.
///
/// # Errors
/// When there is none, when nobody is signed in, and when it is of no use without a proof: none of the
/// programs that ask can make one.
pub(super) fn bearer(app: &App, kind: Kind) -> Result<Bearer, CliError> {
    bearer_for(app, kind, &TargetArgs::default())
}

/// The same for another API, where one was named.
pub(super) fn bearer_for(app: &App, kind: Kind, target: &TargetArgs) -> Result<Bearer, CliError> {
    if let Some(token) = ready_made_token()? {
        if kind == Kind::Id {
            return Err(CliError::usage(
                "COUNTERSIGN_TOKEN brings an access token, and an ID token is wanted",
            )
            .hint("unset COUNTERSIGN_TOKEN")
            .hint("or add --access-token, if that is what is checked there"));
        }
        target.refuse_ready_made()?;
        return Ok(Bearer {
            token,
            expires_at: None,
        });
    }
    let tokens = app.tokens()?;
    if let Some(target) = target.other(&tokens)? {
        let token = other_api::token(app, &tokens, &target)?;
        check_token(token.token.expose())?;
        refuse_bound(token.is_bound())?;
        return Ok(Bearer {
            token: token.token,
            expires_at: token.expires_at,
        });
    }
    let token = match kind {
        Kind::Access => tokens.access_token(app.settings.min_ttl.value),
        Kind::Id => return id_bearer(app, &tokens),
    };
    let token = token.map_err(|error| app.explain(error))?;
    check_token(token.expose())?;
    let session = tokens.session();
    refuse_bound(session.is_bound())?;
    Ok(Bearer {
        token,
        expires_at: session.expires_at(),
    })
}

fn refuse_bound(is_bound: bool) -> Result<(), CliError> {
    if !is_bound {
        return Ok(());
    }
    Err(CliError::new(
        ExitCategory::Failure,
        "bound_token",
        "the access token cannot be handed to another program",
    )
    .why("it is bound to a key of this session (RFC 9449)")
    .hint("let the program go through `countersign proxy`, which makes the proofs")
    .hint("or sign in without --dpop, under another profile"))
}

fn id_bearer(app: &App, tokens: &countersign_client::TokenSource) -> Result<Bearer, CliError> {
    let token = id_token(app, tokens)?;
    check_token(token.expose())?;
    let now = time::now();
    // By this computer's clock, as whoever waits for it will see it.
    let left = tokens.session().id_token_remaining(now);
    Ok(Bearer {
        token,
        expires_at: left.map(|left| now + left),
    })
}
