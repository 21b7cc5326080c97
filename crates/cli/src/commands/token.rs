//! `countersign token`: an access token on standard output.
//!
//! The hot path of the program: with a token that is still good it reads two small files and writes
//! one line.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_client::{ExitCategory, OtherToken, Secret, Timestamp, TokenSource, TokenTypeId};
use serde_json::json;

use crate::app::{App, check_token, ready_made_token};
use crate::args::{TokenArgs, TokenFormat};
use crate::commands::exchange;
use crate::error::CliError;
use crate::{duration, other_api, output, time};

pub(crate) fn run(app: &App, args: &TokenArgs) -> Result<(), CliError> {
    if let Some(token) = ready_made_token()? {
        return ready_made(app, args, &token);
    }
    let tokens = app.tokens()?;
    if let Some(which) = args.exchange.exchange {
        return other(app, args, &exchange::run(app, args, which, &tokens)?);
    }
    if let Some(target) = args.target.other(&tokens)? {
        let token = if args.force_refresh {
            let token = tokens.new_token_for(&target);
            token.map_err(|error| other_api::explain(app, error, &tokens, &target))?
        } else {
            other_api::token(app, &tokens, &target)?
        };
        return other(app, args, &token);
    }
    if args.force_refresh {
        tokens.refresh().map_err(|error| app.explain(error))?;
    }
    let (kind, token) = if args.id_token {
        (Kind::Id, id_token(app, &tokens)?)
    } else {
        let token = tokens.access_token(app.settings.min_ttl.value);
        (Kind::Access, token.map_err(|error| app.explain(error))?)
    };
    check_token(token.expose())?;
    let is_bound = tokens.is_bound();
    if kind == Kind::Access {
        if app.settings.min_ttl.origin.is_typed() {
            warn_if_short(app, tokens.session().remaining(time::now()));
        }
        warn_if_bound(app, args, is_bound);
    }
    let mut shown = Shown::new(kind, &token, token_type(is_bound));
    // A copy of the session is made for those who look into it: this is the hot path. When an ID token
    // expires stands in the token itself.
    if kind == Kind::Access && matches!(args.output, TokenFormat::Json | TokenFormat::Env) {
        let session = tokens.session();
        shown.expires_at = session.expires_at();
        shown.left = session.remaining(time::now());
    }
    output::artefact(&render(args.output, &shown))
}

fn ready_made(app: &App, args: &TokenArgs, token: &Secret) -> Result<(), CliError> {
    if args.id_token {
        return Err(
            CliError::usage("COUNTERSIGN_TOKEN brings an access token, not an ID token")
                .hint("unset COUNTERSIGN_TOKEN"),
        );
    }
    args.target.refuse_ready_made()?;
    if args.exchange.exchange.is_some() {
        return Err(
            CliError::usage("a session exchanges tokens, and COUNTERSIGN_TOKEN is none")
                .hint("unset COUNTERSIGN_TOKEN"),
        );
    }
    app.voice
        .detail(1, || "the token is the one in COUNTERSIGN_TOKEN".to_owned());
    let shown = Shown::new(Kind::Access, token, token_type(false));
    output::artefact(&render(args.output, &shown))
}

/// Hands out a token that is not the session's own.
fn other(app: &App, args: &TokenArgs, token: &OtherToken) -> Result<(), CliError> {
    check_token(token.token.expose())?;
    let is_access_token = token.token_type.is_some();
    if !is_access_token && matches!(args.output, TokenFormat::Header | TokenFormat::Env) {
        return Err(CliError::new(
            ExitCategory::Failure,
            "no_access_token",
            "what the server has issued is no access token",
        )
        .hint("print it with -o raw, or with -o json, which says what it is"));
    }
    let left = token.remaining(time::now());
    if app.settings.min_ttl.origin.is_typed() {
        warn_if_short(app, left);
    }
    warn_if_bound(app, args, token.is_bound());
    let kind = if is_access_token {
        token_type(token.is_bound())
    } else {
        NOT_APPLICABLE
    };
    let shown = Shown {
        expires_at: token.expires_at,
        left,
        issued: token.issued.as_ref(),
        ..Shown::new(Kind::Access, &token.token, kind)
    };
    output::artefact(&render(args.output, &shown))
}

fn warn_if_bound(app: &App, args: &TokenArgs, is_bound: bool) {
    if is_bound && args.output != TokenFormat::Json {
        app.voice.warn(
            "the token is bound to a key of this session; an API takes it with a\n\
             proof for each request, which `countersign curl` makes",
        );
    }
}

pub(crate) fn id_token(app: &App, tokens: &TokenSource) -> Result<Secret, CliError> {
    let token = tokens.id_token(app.settings.min_ttl.value);
    token.map_err(|error| app.explain(error))?.ok_or_else(|| {
        CliError::new(
            ExitCategory::Failure,
            "no_id_token",
            "the session has no ID token",
        )
        .why("the server issued none; it does when the scope `openid` is asked for")
        .hint(app.command("login --scope openid"))
    })
}

/// Says so when a token is handed out that has less life left than was asked for in so many words,
/// which happens when the server is down or issues nothing longer.
fn warn_if_short(app: &App, left: Option<Duration>) {
    if let Some(left) = left
        && left < app.settings.min_ttl.value
    {
        let left = duration::text(left);
        app.voice
            .warn(&format!("the token is good for {left} only"));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Access,
    Id,
}

/// A token, and what is said about it.
struct Shown<'a> {
    kind: Kind,
    token: &'a Secret,
    token_type: &'static str,
    expires_at: Option<Timestamp>,
    left: Option<Duration>,
    issued: Option<&'a TokenTypeId>,
}

impl<'a> Shown<'a> {
    fn new(kind: Kind, token: &'a Secret, token_type: &'static str) -> Self {
        Self {
            kind,
            token,
            token_type,
            expires_at: None,
            left: None,
            issued: None,
        }
    }
}

/// The token in the format asked for, with the end of the line.
fn render(format: TokenFormat, shown: &Shown<'_>) -> String {
    let Shown {
        kind,
        token_type,
        expires_at,
        ..
    } = *shown;
    let text = shown.token.expose();
    match format {
        TokenFormat::Raw => format!("{text}\n"),
        TokenFormat::Header => format!("Authorization: {token_type} {text}\n"),
        TokenFormat::Env => {
            let name = match kind {
                Kind::Access => "COUNTERSIGN_ACCESS_TOKEN",
                Kind::Id => "COUNTERSIGN_ID_TOKEN",
            };
            let mut lines = format!("export {name}={}\n", output::shell_word(text));
            if kind == Kind::Access {
                let _ = writeln!(lines, "export COUNTERSIGN_TOKEN_TYPE={token_type}");
            }
            if let Some(at) = expires_at {
                let _ = writeln!(lines, "export COUNTERSIGN_EXPIRES_AT={}", at.as_secs());
            }
            lines
        }
        TokenFormat::Json => {
            let mut object = match kind {
                Kind::Access => json!({ "access_token": text, "token_type": token_type }),
                Kind::Id => json!({ "id_token": text }),
            };
            let mut put = |name: &str, value| {
                if let Some(object) = object.as_object_mut() {
                    object.insert(name.to_owned(), value);
                }
            };
            if let Some(at) = expires_at {
                put("expires_at", json!(time::rfc3339(at)));
                let left = shown.left.unwrap_or(Duration::ZERO);
                put("expires_in", json!(left.as_secs()));
            }
            if let Some(issued) = shown.issued {
                put("issued_token_type", json!(issued.as_str()));
            }
            format!("{object:#}\n")
        }
    }
}

/// What stands in the place of the type of a token that is no access token (RFC 8693, section 2.2.1).
const NOT_APPLICABLE: &str = "N_A";

/// How the token goes into a request (RFC 6750, section 2.1; RFC 9449, section 7.1).
pub(crate) fn token_type(is_bound: bool) -> &'static str {
    if is_bound { "DPoP" } else { "Bearer" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_one_thing_for_one_reader() {
        let token = Secret::new("abc.def");
        let show = |format| render(format, &Shown::new(Kind::Access, &token, "Bearer"));
        assert_eq!(show(TokenFormat::Raw), "abc.def\n");
        assert_eq!(show(TokenFormat::Header), "Authorization: Bearer abc.def\n");
        assert_eq!(
            show(TokenFormat::Env),
            "export COUNTERSIGN_ACCESS_TOKEN=abc.def\nexport COUNTERSIGN_TOKEN_TYPE=Bearer\n"
        );
        let json: serde_json::Value = serde_json::from_str(&show(TokenFormat::Json)).unwrap();
        assert_eq!(
            json,
            json!({ "access_token": "abc.def", "token_type": "Bearer" })
        );
    }
}
