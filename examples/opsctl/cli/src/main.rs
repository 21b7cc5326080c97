//! The command line of the example.
//!
//! ```text
//! opsctl login
//! opsctl list
//! opsctl delete resource NAME
//! ```
//!
//! `OPSCTL_ISSUER` is who signs people in, `OPSCTL_API` where the API is.
//!
//! Not responsible for: when a one-time password is needed. The API says so, and this program asks.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use countersign_client::{
    CallNext, Error, ExitCategory, Login, OtpTerminal, PlainPrompt, printable,
};
use rustls::crypto::ring;
use ureq::http::{Request, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};
use url::Url;

const USAGE: &str = "usage: opsctl login | list | delete resource NAME";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match *words {
        ["login"] => sign_in(),
        ["list"] => list(),
        ["delete", "resource", name] => delete(name),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(&words.join(" "));
            ExitCode::from(failure.category().exit_code())
        }
    }
}

/// Where people sign in, and which API the tokens are for.
fn login() -> Result<Login, Failure> {
    let issuer = setting("OPSCTL_ISSUER", "http://127.0.0.1:8628");
    let login = Login::new(&issuer, "opsctl")?.command("opsctl login");
    Ok(login.resource(&api()))
}

fn sign_in() -> Result<(), Failure> {
    let session = login()?.run(&mut PlainPrompt::new(io::stderr()))?;
    let person = session.identity();
    println!(
        "signed in as {}",
        person.line().as_deref().unwrap_or("somebody")
    );
    // What they are to the issuer and the API, and the name under which a device is enrolled.
    let subject = person.subject.as_deref().unwrap_or_default();
    println!("  subject  {}", printable(subject));
    Ok(())
}

fn list() -> Result<(), Failure> {
    let answer = send("GET", &["resources"])?;
    let body = answer.into_body().into_with_config().limit(1 << 20);
    let names: Vec<String> = serde_json::from_reader(body.reader())?;
    for name in names {
        println!("{}", printable(&name));
    }
    Ok(())
}

fn delete(name: &str) -> Result<(), Failure> {
    send("DELETE", &["resources", name])?;
    println!("resource {} deleted", printable(name));
    Ok(())
}

/// Sends a request, and sends it again as the API asks for it: with a one-time password, too, which is
/// asked for at the terminal.
fn send(method: &str, path: &[&str]) -> Result<Response<Body>, Failure> {
    let tokens = login()?.token_source()?;
    let url = address(path)?;
    let agent = agent(&url);

    let mut call = tokens.call(method, &url);
    loop {
        let mut request = Request::builder().method(method).uri(url.as_str());
        for (name, value) in call.headers()? {
            request = request.header(name, value.expose());
        }
        let answer = agent.run(request.body(()).map_err(ureq::Error::from)?)?;
        let status = answer.status().as_u16();
        match call.heard(status, answer.headers(), &mut OtpTerminal)? {
            CallNext::Again => {}
            // This API never asks for another sign-in; see `Login::step_up` for one that does.
            _ if answer.status().is_success() => return Ok(answer),
            _ => return Err(Failure::Answer(answer.status())),
        }
    }
}

/// An address of the API. Whatever a name consists of, it is one segment.
fn address(path: &[&str]) -> Result<Url, Failure> {
    let mut url = Url::parse(&api()).map_err(|_| Failure::Address)?;
    let mut segments = url.path_segments_mut().map_err(|()| Failure::Address)?;
    segments.pop_if_empty().extend(path);
    drop(segments);
    Ok(url)
}

/// HTTP as tokens need it: TLS everywhere but on this computer, and no redirects, which would take
/// them elsewhere.
fn agent(url: &Url) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(url.host_str() != Some("127.0.0.1"))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)));
    config.build().new_agent()
}

fn api() -> String {
    setting("OPSCTL_API", "http://127.0.0.1:8700")
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// Why a command has failed.
enum Failure {
    Client(Error),
    Http(ureq::Error),
    Answer(StatusCode),
    Malformed(serde_json::Error),
    Address,
}

impl Failure {
    /// The same exit codes as `countersign`: 4 to sign in, 8 for a one-time password that nobody typed.
    fn category(&self) -> ExitCategory {
        match self {
            Self::Client(error) => error.exit_category(),
            Self::Http(_) => ExitCategory::Unreachable,
            Self::Answer(StatusCode::FORBIDDEN) => ExitCategory::Denied,
            Self::Answer(_) | Self::Malformed(_) => ExitCategory::Failure,
            Self::Address => ExitCategory::Configuration,
        }
    }

    fn tell(&self, command: &str) {
        let category = self.category();
        // Whoever pressed Ctrl-C knows.
        if category == ExitCategory::Interrupted {
            return;
        }
        eprintln!("error: opsctl {} failed", printable(command));
        let why = match self {
            Self::Client(error) => error.to_string(),
            Self::Http(error) => format!("no answer from {}: {error}", api()),
            Self::Answer(StatusCode::NOT_FOUND) => "the API knows nothing of that name".to_owned(),
            Self::Answer(status) => format!("the API answered {status}"),
            Self::Malformed(error) => format!("the API answered something else: {error}"),
            Self::Address => "OPSCTL_API is not the address of an API".to_owned(),
        };
        eprintln!("  why: {}", printable(&why));
        let mut hints = match self {
            Self::Client(error) => error.hints(),
            _ => Vec::new(),
        };
        if category == ExitCategory::LoginRequired {
            hints.insert(0, "opsctl login".to_owned());
        } else if category == ExitCategory::StepUp && !OtpTerminal::is_there() {
            hints = vec!["type it at a terminal, where it can ask you".to_owned()];
        }
        for hint in hints {
            eprintln!("hint: {hint}");
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Self::Http(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error)
    }
}
