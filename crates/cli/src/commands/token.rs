//! `countersign token`: an access token on standard output.
//!
//! The hot path of the program: with a token that is still good it reads two small files and writes
//! one line.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_client::{Secret, Session, TokenSource};
use serde_json::json;

use crate::app::{App, check_token, ready_made_token};
use crate::args::{TokenArgs, TokenFormat};
use crate::error::CliError;
use crate::{duration, output, time};

pub(crate) fn run(app: &App, args: &TokenArgs) -> Result<(), CliError> {
    if let Some(token) = ready_made_token()? {
        if args.id_token {
            return Err(CliError::usage(
                "COUNTERSIGN_TOKEN brings an access token, not an ID token",
            )
            .hint("unset COUNTERSIGN_TOKEN"));
        }
        app.voice
            .detail(1, || "the token is the one in COUNTERSIGN_TOKEN".to_owned());
        let (kind, token_type) = (Kind::Access, token_type(false));
        return output::artefact(&render(args.output, kind, &token, token_type, None));
    }
    let tokens = app.tokens()?;
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
            warn_if_short(app, &tokens.session());
        }
        if is_bound && args.output != TokenFormat::Json {
            app.voice.warn(
                "the token is bound to a key of this session; an API takes it with a\n\
                 proof for each request, which `countersign curl` makes",
            );
        }
    }
    // A copy of the session is made for those who look into it: this is the hot path.
    let session =
        matches!(args.output, TokenFormat::Json | TokenFormat::Env).then(|| tokens.session());
    let token_type = token_type(is_bound);
    output::artefact(&render(
        args.output,
        kind,
        &token,
        token_type,
        session.as_ref(),
    ))
}

pub(crate) fn id_token(app: &App, tokens: &TokenSource) -> Result<Secret, CliError> {
    let token = tokens.id_token(app.settings.min_ttl.value);
    token.map_err(|error| app.explain(error))?.ok_or_else(|| {
        CliError::new(
            countersign_client::ExitCategory::Failure,
            "no_id_token",
            "the session has no ID token",
        )
        .why("the server issued none; it does when the scope `openid` is asked for")
        .hint(app.command("login --scope openid"))
    })
}

/// Says so when a token is handed out that has less life left than was asked for in so many words,
/// which happens when the server is down or issues nothing longer.
fn warn_if_short(app: &App, session: &Session) {
    if let Some(left) = session.remaining(time::now())
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

/// The token in the format asked for, with the end of the line.
fn render(
    format: TokenFormat,
    kind: Kind,
    token: &Secret,
    token_type: &str,
    session: Option<&Session>,
) -> String {
    let text = token.expose();
    // When an ID token expires stands in the token itself.
    let expires_at = session
        .filter(|_| kind == Kind::Access)
        .and_then(Session::expires_at);
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
            if let (Some(at), Some(object)) = (expires_at, object.as_object_mut()) {
                let left = session.and_then(|session| session.remaining(time::now()));
                object.insert("expires_at".to_owned(), json!(time::rfc3339(at)));
                object.insert(
                    "expires_in".to_owned(),
                    json!(left.unwrap_or(Duration::ZERO).as_secs()),
                );
            }
            format!("{object:#}\n")
        }
    }
}

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
        let show = |format| render(format, Kind::Access, &token, "Bearer", None);
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
