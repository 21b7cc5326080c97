//! `countersign inspect`: what a token says, and whether to believe it.
//!
//! Prints the header and the claims, never the token or its signature: what it prints can be put into
//! a ticket. The claims of a token whose signature was not checked are shown as what they are, a
//! stranger's word.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use countersign_client::{Error, ExitCategory, Provider, Secret, Timestamp, printable};
use serde_json::{Map, Value, json};

use crate::app::{App, ready_made_token};
use crate::args::InspectArgs;
use crate::error::CliError;
use crate::jwt::Decoded;
use crate::{duration, output, time};

/// No token that a server takes is larger.
const MAX_BYTES: u64 = 64 * 1024;

/// What became of checking the signature.
enum Verdict {
    Good,
    /// Refused, with the reason.
    Bad(String),
    /// Not checked, with the reason.
    Unknown(String),
}

pub(crate) fn run(app: &App, args: &InspectArgs) -> Result<ExitCode, CliError> {
    let token = token(app, args)?;
    let Some(decoded) = Decoded::parse(token.expose()) else {
        let what = "the token cannot be read";
        return Err(CliError::new(ExitCategory::Failure, "not_a_jwt", what)
            .why("it is not a signed JWT (RFC 7519); many access tokens are for the server's eyes only")
            .hint(app.command("status --verify")));
    };
    let verdict = if args.offline {
        Verdict::Unknown("not checked: --offline".to_owned())
    } else {
        verdict(app, &token)
    };
    let in_time = Time::of(&decoded.claims);
    if args.json {
        output::json(&json(&decoded, &verdict, in_time))?;
    } else {
        output::artefact(&text(&decoded, &verdict, in_time))?;
    }
    Ok(match (&verdict, in_time) {
        (Verdict::Good, Time::Good(_) | Time::NotSaid) => ExitCode::SUCCESS,
        (Verdict::Unknown(_), _) if args.offline => ExitCode::SUCCESS,
        (Verdict::Unknown(_), _) => ExitCategory::Unreachable.exit_code().into(),
        _ => ExitCategory::Failure.exit_code().into(),
    })
}

fn token(app: &App, args: &InspectArgs) -> Result<Secret, CliError> {
    match args.source.as_deref() {
        Some("-") => from_stdin(),
        // Whatever it is, it may be a token: it is not repeated.
        Some(_) => Err(CliError::usage("a token is not taken as an argument")
            .why("other people on this computer can read the arguments of a program")
            .hint("countersign inspect -, and give it on standard input")),
        None if args.id_token => {
            let token = app.tokens()?.session().id_token().cloned();
            token.ok_or_else(|| {
                let what = "the session has no ID token";
                CliError::new(ExitCategory::Failure, "no_id_token", what)
            })
        }
        None => match ready_made_token()? {
            Some(token) => Ok(token),
            None => Ok(app.tokens()?.session().access_token().clone()),
        },
    }
}

fn from_stdin() -> Result<Secret, CliError> {
    if io::stdin().is_terminal() {
        output::message("Paste the token and press Ctrl-D:\n");
    }
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text);
    read.map_err(|error| {
        CliError::usage("there is no token on standard input").why(error.to_string())
    })?;
    // Wiped when it goes, like what is made of it.
    let text = Secret::new(text);
    let text = text.expose().trim();
    // As it is often copied: with the header's name, or its scheme.
    let text = text
        .strip_prefix("Authorization:")
        .map_or(text, str::trim_start);
    Ok(Secret::new(
        text.strip_prefix("Bearer ").unwrap_or(text).trim(),
    ))
}

/// Checks the signature with the keys of the profile's server.
fn verdict(app: &App, token: &Secret) -> Verdict {
    let Some(issuer) = app.settings.server.issuer.as_ref() else {
        return Verdict::Unknown(
            "not checked: there is no profile whose server's keys would do".to_owned(),
        );
    };
    let overrides = app
        .settings
        .endpoints
        .as_ref()
        .map(|setting| setting.value.clone());
    let checked = app
        .context()
        .map_err(|error| error.summary())
        .and_then(|context| {
            let provider =
                Provider::discover(&context, &issuer.value, &overrides.unwrap_or_default());
            let provider = provider.map_err(|error| chain(&error))?;
            match provider.verify(&context, token.expose()) {
                Ok(_) => Ok(Verdict::Good),
                // These two speak about the token, the others about the way to the keys.
                Err(error @ (Error::Token(_) | Error::ForeignToken { .. })) => {
                    Ok(Verdict::Bad(chain(&error)))
                }
                Err(error) => Err(chain(&error)),
            }
        });
    checked.unwrap_or_else(|why| Verdict::Unknown(format!("not checked: {why}")))
}

/// An error and its causes in one line.
fn chain(error: &Error) -> String {
    CliError::from_client(error).summary()
}

/// Whether the token is in its time, by this computer's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Good(Timestamp),
    Over(Timestamp),
    NotYet(Timestamp),
    NotSaid,
}

impl Time {
    fn of(claims: &Map<String, Value>) -> Self {
        let at = |name: &str| {
            claims
                .get(name)
                .and_then(Value::as_i64)
                .map(Timestamp::from_secs)
        };
        let now = time::now();
        match (at("nbf"), at("exp")) {
            (Some(from), _) if now < from => Self::NotYet(from),
            (_, Some(until)) if now >= until => Self::Over(until),
            (_, Some(until)) => Self::Good(until),
            (_, None) => Self::NotSaid,
        }
    }

    fn text(self) -> String {
        let now = time::now();
        match self {
            Self::Good(at) => format!(
                "good for {} (until {})",
                duration::text(at.since(now)),
                time::text(at)
            ),
            Self::Over(at) => format!(
                "expired {} ago ({})",
                duration::text(now.since(at)),
                time::text(at)
            ),
            Self::NotYet(at) => format!("not good before {}", time::text(at)),
            Self::NotSaid => "the token does not say when it expires".to_owned(),
        }
    }
}

fn text(decoded: &Decoded, verdict: &Verdict, in_time: Time) -> String {
    let mut text = String::new();
    for (title, members) in [("Header", &decoded.header), ("Claims", &decoded.claims)] {
        text.push_str(title);
        text.push('\n');
        let width = members.keys().map(String::len).max().unwrap_or(0).min(30);
        for (name, value) in members {
            // JSON's own escapes keep control characters away from the terminal; the filter keeps the
            // others away, and lines short.
            let value = printable(&value.to_string());
            let _ = writeln!(text, "  {:width$}  {value}", printable(name));
        }
    }
    let (word, believe) = match verdict {
        Verdict::Good => ("good".to_owned(), ""),
        Verdict::Bad(why) => (format!("BAD: {why}"), ": do not believe the claims"),
        Verdict::Unknown(why) => (why.clone(), ""),
    };
    let _ = writeln!(text, "Signature  {word}{believe}");
    let _ = writeln!(text, "Time       {}", in_time.text());
    text
}

fn json(decoded: &Decoded, verdict: &Verdict, in_time: Time) -> Value {
    let (signature, why) = match verdict {
        Verdict::Good => ("good", None),
        Verdict::Bad(why) => ("bad", Some(why)),
        Verdict::Unknown(why) => ("unknown", Some(why)),
    };
    json!({
        "header": decoded.header,
        "claims": decoded.claims,
        "signature": signature,
        "why": why,
        "time": match in_time {
            Time::Good(_) => "good",
            Time::Over(_) => "expired",
            Time::NotYet(_) => "not-yet",
            Time::NotSaid => "not-said",
        },
    })
}
