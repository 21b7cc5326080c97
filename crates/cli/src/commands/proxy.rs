//! `countersign proxy`: an address on this computer that leads to an API, token included.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_client::{
    ExitCategory, Forwarder, OtpDemand, Secret, StepUp, Target, TokenSource, TransportError,
    printable,
};
use url::Url;

use crate::app::{App, check_token, ready_made_token};
use crate::args::ProxyArgs;
use crate::error::CliError;
use crate::output::{self, Voice, shell_word};
use crate::proxy::{Authorize, IDLE, Proxy};
use crate::{other_api, step_up};

/// What is asked for again and again is not said more often.
const SAY_AGAIN: Duration = Duration::from_secs(60);

pub(crate) fn run(app: &mut App, args: &ProxyArgs) -> Result<(), CliError> {
    // Requests come at any time, and nobody sits there to be asked.
    app.no_input = true;
    let base = server(&args.url)?;
    let authorize = authorize(app, args)?;
    let forwarder = Forwarder::new(&app.http(), &base, IDLE).map_err(|error| unusable(&error))?;
    let voice = app.voice;
    let tell = Box::new(move |line: &str| voice.detail(1, || line.to_owned()));
    let secret = secret().map_err(|error| not_started(&error))?;
    let shown = printable(base.as_str());
    let proxy = Proxy::bind(args.listen, secret, base, forwarder, authorize, tell)
        .map_err(|error| not_started(&error))?;
    let address = Secret::new(format!("{}\n", proxy.address().expose()));
    proxy.start().map_err(|error| not_started(&error))?;
    output::artefact(address.expose())?;
    if args.until_stdin_ends {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        return Ok(());
    }
    app.voice
        .say(&format!("Passing requests on to {shown} until Ctrl-C."));
    loop {
        std::thread::park();
    }
}

/// The one server, and the path that all paths begin with.
pub(crate) fn server(text: &str) -> Result<Url, CliError> {
    let refused = |why: &str| {
        let what = format!("there is no proxy to {}", shell_word(&printable(text)));
        Err(CliError::usage(what).why(why))
    };
    let Ok(url) = Url::parse(text) else {
        return refused("it is not an address; one is https://api.example.com");
    };
    if url.scheme() != "https" {
        return refused("the token goes over https only");
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Which is not repeated.
        let what = "there is no proxy to an address with a user name in it";
        return Err(CliError::usage(what).why("there can be only one credential"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("it has more than a host and a path");
    }
    Ok(url)
}

/// What to put into each request. Whoever cannot sign one now is told at once.
fn authorize(app: &App, args: &ProxyArgs) -> Result<Box<dyn Authorize>, CliError> {
    if let Some(token) = ready_made_token()? {
        args.target.refuse_ready_made()?;
        return Ok(Box::new(ReadyMade(token)));
    }
    let tokens = app.tokens()?;
    let session = Session {
        target: args.target.other(&tokens)?,
        tokens,
        min_ttl: app.settings.min_ttl.value,
        login: app.command("login"),
        stepup: app.command("stepup"),
        voice: app.voice,
        said: Mutex::new(None),
    };
    let token = if let Some(target) = &session.target {
        other_api::token(app, &session.tokens, target)?.token
    } else {
        let token = session.tokens.access_token(session.min_ttl);
        token.map_err(|error| app.explain(error))?
    };
    check_token(token.expose())?;
    Ok(Box::new(session))
}

struct ReadyMade(Secret);

impl Authorize for ReadyMade {
    fn headers(&self, _: &str, _: &Url) -> Result<Vec<(&'static str, Secret)>, String> {
        let value = Secret::new(format!("Bearer {}", self.0.expose()));
        Ok(vec![("authorization", value)])
    }

    fn learn(&self, _: &Url, _: &str) -> bool {
        false
    }

    fn hear(&self, _: &Url, _: u16, _: &[&str]) {
        // Nobody can sign in for a token that somebody else brought.
    }
}

struct Session {
    tokens: TokenSource,
    /// The API that the token is for, if it is not the session's own.
    target: Option<Target>,
    min_ttl: Duration,
    login: String,
    stepup: String,
    voice: Voice,
    /// What was last said of a server that wants more, and when.
    said: Mutex<Option<(String, Instant)>>,
}

impl Authorize for Session {
    fn headers(&self, method: &str, url: &Url) -> Result<Vec<(&'static str, Secret)>, String> {
        let authorization = match &self.target {
            None => self.tokens.authorization(method, url, self.min_ttl),
            Some(target) => self
                .tokens
                .token_for(target, self.min_ttl)
                .and_then(|token| self.tokens.authorization_with(&token, method, url)),
        };
        let authorization = authorization.map_err(|error| {
            let error = CliError::from(error);
            match error.exit() {
                ExitCategory::LoginRequired => format!("{}; {}", error.summary(), self.login),
                _ => error.summary(),
            }
        })?;
        Ok(authorization.headers)
    }

    fn learn(&self, url: &Url, nonce: &str) -> bool {
        self.tokens.take_dpop_nonce(url, nonce).unwrap_or(false)
    }

    fn hear(&self, url: &Url, status: u16, www_authenticate: &[&str]) {
        let api = step_up::origin(url);
        let values = || www_authenticate.iter().copied();
        let what = if let Ok(Some(wanted)) = StepUp::find(status, values()) {
            let flags = step_up::flags(&wanted);
            format!("{api} asks for {wanted}: {}{flags}", self.stepup)
        } else if let Ok(Some(OtpDemand::Password(_))) = OtpDemand::find(status, values(), None) {
            format!(
                "{api} asks for a one-time password, and through a proxy nobody is asked for it: use \
                 `countersign curl`; or, where one is good for a while: {} {}",
                self.stepup,
                shell_word(&printable(url.as_str()))
            )
        } else {
            return;
        };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // A program may ask many times before a person has read it once.
        if said
            .as_ref()
            .is_some_and(|(known, when)| *known == what && when.elapsed() < SAY_AGAIN)
        {
            return;
        }
        self.voice.warn(&what);
        *said = Some((what, Instant::now()));
    }
}

/// 256 bits that nobody can guess, as a part of a path.
fn secret() -> io::Result<Secret> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

fn unusable(error: &TransportError) -> CliError {
    CliError::configuration("the server could not be prepared for")
        .why(printable(&error.to_string()))
}

fn not_started(error: &io::Error) -> CliError {
    let failed = CliError::new(
        ExitCategory::Failure,
        "proxy_not_started",
        "the proxy could not be started",
    )
    .why(error.to_string());
    match error.kind() {
        io::ErrorKind::AddrInUse => failed.hint("leave out --port, or name another"),
        _ => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_of_https_and_nothing_more() {
        for good in ["https://api.example.com", "https://api.example.com:8443/v1"] {
            assert!(server(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.example.com",
            "http://127.0.0.1:8080",
            "api.example.com",
            "https://ada:pw@api.example.com",
            "https://api.example.com/?a",
            "https://api.example.com/#a",
            "https://",
        ] {
            assert_eq!(server(bad).unwrap_err().code(), "usage", "{bad}");
        }
    }

    #[test]
    fn secrets_differ() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.expose().len(), 43);
        assert!(one != two);
    }
}
