//! `countersign credential git`: a credential helper for git (`gitcredentials`, `git-credential`).
//!
//! git says where it goes and what the server there offers; it gets the access token in the way that
//! fits: as a bearer token where the server offers that and git can send it (version 2.46 on), else as a
//! password. Only over HTTPS, and only to hosts that a profile names.
//!
//! Nothing is stored and nothing erased: the session is where the token comes from. That a server did
//! not take it is told, because git says no more than that authentication failed.

use std::fmt::Write as _;

use countersign_client::{ExitCategory, Secret, printable};

use super::asked::{Of, choose, question, warn_if_useless};
use super::{Bearer, Kind, bearer_for};
use crate::app::App;
use crate::args::GitArgs;
use crate::error::CliError;
use crate::hosts::Host;
use crate::output;

const GIT: Of = |layer| layer.git.as_ref();

pub(super) fn run(app: &mut App, args: &GitArgs) -> Result<(), CliError> {
    match args.operation.as_str() {
        "get" => get(app, args, &Question::read(&question()?)),
        "erase" => {
            erase(app, args, &Question::read(&question()?));
            Ok(())
        }
        // `store`, and what later versions may invent, "should be silently ignored".
        _ => Ok(()),
    }
}

fn get(app: &mut App, args: &GitArgs, question: &Question) -> Result<(), CliError> {
    let answer = answer(app, args, question);
    if answer.is_err() {
        // git would go on and ask the person for a password, which does not exist.
        output::artefact("quit=1\n")?;
    }
    match answer? {
        Some(text) => output::artefact(text.expose()),
        None => Ok(()),
    }
}

/// What to say to git, if anything.
fn answer(app: &mut App, args: &GitArgs, question: &Question) -> Result<Option<Secret>, CliError> {
    let Ok(host) = Host::parse(&question.host) else {
        return Ok(None);
    };
    let Some(hosts) = choose(app, &host, GIT)? else {
        warn_if_useless(app, "git", GIT);
        app.voice
            .detail(1, || format!("no profile names {host}; it gets nothing"));
        return Ok(None);
    };
    if question.protocol != "https" {
        let protocol = printable(&question.protocol);
        app.voice.warn(&format!(
            "the token is not sent to {protocol}://{host}, only over https"
        ));
        return Ok(None);
    }
    let scheme = question.scheme()?;
    let bearer = bearer_for(app, Kind::Access, &args.target)?;
    let username = match question.username.as_str() {
        "" => hosts.username(),
        given => given,
    };
    Ok(Some(render(scheme, username, &bearer)))
}

/// Says whose token it was that a server did not take.
fn erase(app: &mut App, args: &GitArgs, question: &Question) {
    let Ok(host) = Host::parse(&question.host) else {
        return;
    };
    if !matches!(choose(app, &host, GIT), Ok(Some(_))) {
        return;
    }
    let ours = bearer_for(app, Kind::Access, &args.target)
        .is_ok_and(|bearer| bearer.token == question.secret);
    if ours {
        app.voice.warn(&format!(
            "{host} did not take the token; to have another one:\n{}",
            app.command(&args.target.in_words("token --force-refresh >/dev/null"))
        ));
    }
}

/// How a token goes into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750, section 2.1.
    Bearer,
    /// RFC 7617, with the token as the password.
    Basic,
}

/// As much of git's question as concerns us.
#[derive(Debug)]
struct Question {
    protocol: String,
    host: String,
    username: String,
    /// What is to be erased.
    secret: Secret,
    /// Whether this git can send another scheme than Basic.
    knows_authtype: bool,
    /// The values of the `WWW-Authenticate` fields of the server's answer.
    challenges: Vec<String>,
}

impl Question {
    fn read(text: &str) -> Self {
        let mut question = Self {
            protocol: String::new(),
            host: String::new(),
            username: String::new(),
            secret: Secret::new(""),
            knows_authtype: false,
            challenges: Vec::new(),
        };
        let lines = text.lines().take_while(|line| !line.is_empty());
        for (name, value) in lines.filter_map(|line| line.split_once('=')) {
            match name {
                "protocol" => value.clone_into(&mut question.protocol),
                "host" => value.clone_into(&mut question.host),
                "username" => value.clone_into(&mut question.username),
                "password" | "credential" => question.secret = Secret::new(value),
                "capability[]" => question.knows_authtype |= value == "authtype",
                // An empty value empties the list.
                "wwwauth[]" if value.is_empty() => question.challenges.clear(),
                "wwwauth[]" => question.challenges.push(value.to_owned()),
                _ => {}
            }
        }
        question
    }

    /// The scheme that both git and the server know.
    fn scheme(&self) -> Result<Scheme, CliError> {
        let offers = |scheme: &str| self.challenges.iter().any(|it| is_offered(it, scheme));
        match (offers("bearer"), offers("basic"), self.knows_authtype) {
            (true, _, true) => Ok(Scheme::Bearer),
            (true, false, false) => Err(CliError::new(
                ExitCategory::Failure,
                "git_too_old",
                "this git cannot send a bearer token, and the server takes nothing else",
            )
            .hint("install git 2.46 or newer")),
            _ => Ok(Scheme::Basic),
        }
    }
}

/// Whether a `WWW-Authenticate` field offers a scheme (RFC 9110, section 11.6.1): several challenges can
/// stand in one field, between commas, as can their parameters.
fn is_offered(field: &str, scheme: &str) -> bool {
    // What stands between quotes is text.
    let outside: String = field.split('"').step_by(2).collect();
    outside
        .split(',')
        .filter_map(|part| part.split_ascii_whitespace().next())
        .any(|word| word.eq_ignore_ascii_case(scheme))
}

fn render(scheme: Scheme, username: &str, bearer: &Bearer) -> Secret {
    let token = bearer.token.expose();
    let mut text = match scheme {
        // `ephemeral` keeps other helpers from writing it down.
        Scheme::Bearer => {
            format!("capability[]=authtype\nauthtype=Bearer\ncredential={token}\nephemeral=1\n")
        }
        Scheme::Basic => format!("username={username}\npassword={token}\n"),
    };
    if let Some(at) = bearer.expires_at {
        let _ = writeln!(text, "password_expiry_utc={}", at.as_secs());
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use countersign_client::Timestamp;

    use super::*;

    #[test]
    fn a_question_is_read_up_to_its_end() {
        let question = Question::read(
            "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.example.com:8443\n\
             path=team/a=b.git\nwwwauth[]=Digest x\nwwwauth[]=\nwwwauth[]=Basic realm=\"r\"\n\
             password=a=b\n\nhost=evil.example\n",
        );
        assert_eq!(question.protocol, "https");
        assert_eq!(question.host, "git.example.com:8443");
        assert_eq!(question.secret.expose(), "a=b");
        assert_eq!(question.challenges, ["Basic realm=\"r\""]);
        assert!(question.knows_authtype);
    }

    #[test]
    fn the_scheme_is_one_that_both_sides_know() {
        let scheme = |lines: &str| Question::read(lines).scheme().ok();
        let git = "capability[]=authtype\n";
        let cases = [
            ("", None, Scheme::Basic),
            ("wwwauth[]=Basic realm=\"x\"\n", None, Scheme::Basic),
            ("wwwauth[]=Bearer realm=\"x\"\n", Some(git), Scheme::Bearer),
            (
                "wwwauth[]=Basic realm=\"a\", Bearer\n",
                Some(git),
                Scheme::Bearer,
            ),
            ("wwwauth[]=Basic realm=\"a\", Bearer\n", None, Scheme::Basic),
            (
                "wwwauth[]=Basic realm=\"a, Bearer b\"\n",
                Some(git),
                Scheme::Basic,
            ),
            ("wwwauth[]=Negotiate\n", Some(git), Scheme::Basic),
        ];
        for (challenge, capability, expected) in cases {
            let lines = format!("{}{challenge}", capability.unwrap_or_default());
            assert_eq!(scheme(&lines), Some(expected), "{lines}");
        }
        assert_eq!(scheme("wwwauth[]=Bearer\n"), None);
    }

    #[test]
    fn an_answer_says_until_when_it_is_good() {
        let bearer = Bearer {
            token: Secret::new("abc"),
            expires_at: Some(Timestamp::from_secs(1_794_735_000)),
        };
        assert_eq!(
            render(Scheme::Basic, "oauth2", &bearer).expose(),
            "username=oauth2\npassword=abc\npassword_expiry_utc=1794735000\n"
        );
        assert_eq!(
            render(Scheme::Bearer, "oauth2", &bearer).expose(),
            "capability[]=authtype\nauthtype=Bearer\ncredential=abc\nephemeral=1\n\
             password_expiry_utc=1794735000\n"
        );
    }
}
