//! `countersign curl`: the real curl, with the token.
//!
//! The token reaches curl through a pipe that only the two processes hold, as a piece of
//! configuration (`--config /dev/fd/N`). Arguments and environment of a process can be read by
//! others; a pipe cannot.

use std::fmt::Write as _;
use std::io::{self, PipeWriter, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use countersign_client::{ExitCategory, Secret, printable};
use rustix::io::{FdFlags, fcntl_setfd};
use url::{Host, Url};

use crate::app::{App, check_token, ready_made_token};
use crate::args::CurlArgs;
use crate::curl_args::{self, Arguments};
use crate::error::CliError;
use crate::other_api;
use crate::output::shell_word;
use crate::redact;

pub(crate) fn run(app: &App, args: &CurlArgs) -> Result<ExitCode, CliError> {
    let Some((address, for_curl)) = args.address_and_arguments.split_first() else {
        return Err(CliError::usage("there is no address to call"));
    };
    let url = target(&address.to_string_lossy())?;
    let arguments = curl_args::check(for_curl)?;
    let headers = headers(app, args, &url, &arguments)?;

    let (reader, writer) = io::pipe().map_err(|error| not_run(&error))?;
    // Everything that Rust opens is closed in children; this one end is meant for curl.
    fcntl_setfd(&reader, FdFlags::empty()).map_err(|error| not_run(&error.into()))?;
    let mut command = Command::new("curl");
    command
        .args(for_curl)
        // Last, so that nothing before it can undo it.
        .arg("--config")
        .arg(format!("/dev/fd/{}", reader.as_raw_fd()))
        .env_remove("COUNTERSIGN_TOKEN");
    if arguments.is_verbose() {
        command.stderr(Stdio::piped());
    }
    app.voice.detail(1, || format!("curl {url}"));
    let child = command.spawn().map_err(|error| not_run(&error))?;
    drop(reader);
    let status = attend(child, writer, &configuration(&url, &headers), &headers);
    Ok(exit_code(status.map_err(|error| not_run(&error))?))
}

/// A header field: its name, and its value, which is or holds a secret.
type Header = (&'static str, Secret);

/// What authorizes the one request to `url`.
fn headers(
    app: &App,
    args: &CurlArgs,
    url: &Url,
    arguments: &Arguments,
) -> Result<Vec<Header>, CliError> {
    if let Some(token) = ready_made_token()? {
        args.target.refuse_ready_made()?;
        let bearer = Secret::new(format!("Bearer {}", token.expose()));
        return Ok(vec![("authorization", bearer)]);
    }
    let tokens = app.tokens()?;
    let target = args.target.other(&tokens)?;
    let method = arguments.method();
    let authorization = other_api::authorization(app, &tokens, target.as_ref(), method, url)?;
    let headers = authorization.headers;
    for (_, value) in &headers {
        let bare = value.expose().rsplit(' ').next().unwrap_or_default();
        check_token(bare)?;
    }
    let is_bound = headers.iter().any(|(name, _)| *name == "dpop");
    match &arguments.repeats {
        Some(argument) if is_bound => {
            let what = format!("curl's {argument} cannot be used with this token");
            Err(CliError::usage(what)
                .why("it is bound to a key, and the proof that goes with it is for one request"))
        }
        _ => Ok(headers),
    }
}

/// The one address that the token may go to.
fn target(text: &str) -> Result<Url, CliError> {
    let shown = printable(text);
    let url = Url::parse(text).map_err(|error| {
        let wrong = CliError::usage(format!("{} is not an address", shell_word(&shown)));
        if text.starts_with('-') {
            return wrong
                .why("the address comes first, then the arguments for curl")
                .hint("countersign curl https://… -s");
        }
        if text.contains("://") {
            return wrong.why(error.to_string());
        }
        wrong
            .why("it does not begin with https://")
            .hint(format!("countersign curl https://{shown}"))
    })?;
    let refused = |why: &str| {
        let host = url.host_str().unwrap_or_default();
        let there = format!("{}://{}", url.scheme(), printable(host));
        CliError::usage(format!("the token is not sent to {there}")).why(why)
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(refused("without TLS, everybody on the way could read it")),
        _ => {
            return Err(refused(
                "only https carries a token, and http on this computer",
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "it has a user name in it, and there can be only one credential",
        ));
    }
    // curl and the `url` crate may disagree about what is part of a name; these they agree on.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if !url.host_str().is_some_and(|host| host.chars().all(plain)) {
        return Err(refused("its host is not a plain name"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // Names below it are this computer's by RFC 6761, section 6.3, but curl asks the DNS for them.
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What curl reads from the pipe. The token has been checked to need no quoting.
fn configuration(url: &Url, headers: &[Header]) -> Secret {
    // What is not encrypted stays on this computer, whatever `http_proxy` says.
    let (protocols, proxy) = if url.scheme() == "https" {
        ("=https", "")
    } else {
        ("=http,https", "noproxy = \"*\"\n")
    };
    // As the `url` crate wrote it, so that what was checked is what is called; therefore no globbing.
    let address = url.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!(
        "{proxy}globoff\nurl = \"{address}\"\nproto = \"{protocols}\"\nproto-redir = \"{protocols}\"\n"
    );
    for (name, value) in headers {
        let _ = writeln!(text, "header = \"{name}: {}\"", value.expose());
    }
    Secret::new(text)
}

/// Hands over the configuration and waits for the end.
fn attend(
    mut child: Child,
    mut pipe: PipeWriter,
    configuration: &Secret,
    headers: &[Header],
) -> io::Result<ExitStatus> {
    // A curl that ends early, over a wrong argument say, has told so itself.
    let _ = pipe.write_all(configuration.expose().as_bytes());
    drop(pipe);
    if let Some(stderr) = child.stderr.take() {
        let secrets: Vec<&[u8]> = headers
            .iter()
            .filter_map(|(_, value)| value.expose().rsplit(' ').next())
            .map(str::as_bytes)
            .collect();
        redact::copy(stderr, io::stderr(), &secrets)?;
    }
    child.wait()
}

/// curl's own exit code; for a curl that was killed, what a shell would report.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn not_run(error: &io::Error) -> CliError {
    let failed = CliError::new(
        ExitCategory::Failure,
        "curl_not_run",
        "curl could not be run",
    )
    .why(error.to_string());
    match error.kind() {
        io::ErrorKind::NotFound => {
            failed.hint("install curl, or use `countersign token -o header`")
        }
        _ => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_over_tls_or_stays_on_this_computer() {
        for good in [
            "https://api.example.com/a?b=c",
            "https://10.0.0.1:8443/",
            "http://127.0.0.1:8080/x",
            "http://[::1]:8080/",
            "http://localhost/",
        ] {
            assert!(target(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.example.com/",
            "http://localhost.example.com/",
            "http://api.localhost/",
            "http://127.0.0.1.example.com/",
            "http://0.0.0.0/",
            "ftp://api.example.com/",
            "file:///etc/passwd",
            "api.example.com",
            "//api.example.com",
            "https://user:pw@api.example.com/",
            "https://{api.example.com,evil.example}/",
            "https://",
        ] {
            assert_eq!(target(bad).unwrap_err().code(), "usage", "{bad}");
        }
    }

    #[test]
    fn what_was_checked_is_what_is_called() {
        let url = target("https://api.example.com\\@evil.example/").unwrap();
        assert_eq!(url.as_str(), "https://api.example.com/@evil.example/");
        let headers = [("authorization", Secret::new("Bearer abc"))];
        let text = configuration(&url, &headers);
        assert!(
            text.expose()
                .contains("url = \"https://api.example.com/@evil.example/\"\n")
        );
        assert!(
            text.expose()
                .contains("header = \"authorization: Bearer abc\"\n")
        );
    }
}
