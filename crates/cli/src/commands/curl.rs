//! `countersign curl`: the real curl, with the token; and once more when the API asks for a stronger or
//! fresher sign-in (RFC 9470).
//!
//! Not responsible for how curl is started and what it hears (`curl_run`), nor for the sign-in
//! (`step_up`).

use std::process::ExitCode;

use countersign_client::{ExitCategory, Secret, Target, TokenSource, printable};
use url::{Host, Url};

use crate::app::{App, check_token, ready_made_token};
use crate::args::CurlArgs;
use crate::curl_args::{self, Arguments};
use crate::curl_heads::Wanted;
use crate::curl_run::{Came, Curl, Header};
use crate::error::CliError;
use crate::output::shell_word;
use crate::{other_api, step_up};

pub(crate) fn run(app: &mut App, args: &CurlArgs) -> Result<ExitCode, CliError> {
    let Some((address, for_curl)) = args.address_and_arguments.split_first() else {
        return Err(CliError::usage("there is no address to call"));
    };
    let url = target(&address.to_string_lossy())?;
    let arguments = curl_args::check(for_curl)?;
    let means = Means::find(app, args)?;
    let headers = means.headers(app, &url, &arguments)?;
    let curl = Curl {
        url: &url,
        line: for_curl,
        arguments: &arguments,
    };
    app.voice.detail(1, || format!("curl {url}"));
    let came = curl.run(&headers, step_up::may_sign_in(app))?;
    let wanted = match came.wanted() {
        Some(Wanted::StepUp(wanted)) => wanted,
        other => {
            came.show_held();
            return told(app, &url, &means, &came, other);
        }
    };
    let api = step_up::origin(&url);
    let answered = match &means {
        Means::ReadyMade(_) => Err(step_up::ready_made(app, &api, &wanted)),
        Means::Session { tokens, .. } => step_up::answer(app, tokens, &api, &wanted),
    };
    if let Err(error) = answered {
        came.show_held();
        return Err(error);
    }
    if let Some(argument) = &arguments.reads_once {
        let argument = argument.split('=').next().unwrap_or_default();
        let what = format!("curl has read what {argument} names, and cannot send it again");
        return Err(CliError::new(ExitCategory::StepUp, "step_up_input", what)
            .why("the API refused the request; the new sign-in is kept")
            .hint("type the same command once more"));
    }
    app.voice
        .detail(1, || format!("curl {url}, with the new token"));
    let headers = means.headers(app, &url, &arguments)?;
    let came = curl.run(&headers, false)?;
    match came.wanted() {
        Some(Wanted::StepUp(still)) => Err(step_up::again(&api, &still)),
        other => told(app, &url, &means, &came, other),
    }
}

/// Ends with what curl ended with, and says what a person can do about the rest.
fn told(
    app: &App,
    url: &Url,
    means: &Means,
    came: &Came,
    wanted: Option<Wanted>,
) -> Result<ExitCode, CliError> {
    match (wanted, means) {
        (Some(Wanted::Unreadable(error)), _) => {
            Err(step_up::unreadable(&step_up::origin(url), &error))
        }
        (Some(Wanted::Scope(scope)), Means::Session { tokens, .. }) => {
            step_up::say_scope(app, &step_up::origin(url), tokens, &scope);
            Ok(came.exit_code())
        }
        _ => Ok(came.exit_code()),
    }
}

/// Where the token comes from.
enum Means {
    ReadyMade(Secret),
    Session {
        tokens: Box<TokenSource>,
        target: Option<Target>,
    },
}

impl Means {
    fn find(app: &App, args: &CurlArgs) -> Result<Self, CliError> {
        if let Some(token) = ready_made_token()? {
            args.target.refuse_ready_made()?;
            return Ok(Self::ReadyMade(token));
        }
        let tokens = Box::new(app.tokens()?);
        let target = args.target.other(&tokens)?;
        Ok(Self::Session { tokens, target })
    }

    /// What authorizes the one request to `url`.
    fn headers(
        &self,
        app: &App,
        url: &Url,
        arguments: &Arguments,
    ) -> Result<Vec<Header>, CliError> {
        let (tokens, target) = match self {
            Self::ReadyMade(token) => {
                let bearer = Secret::new(format!("Bearer {}", token.expose()));
                return Ok(vec![("authorization", bearer)]);
            }
            Self::Session { tokens, target } => (tokens, target.as_ref()),
        };
        let method = arguments.method();
        let authorization = other_api::authorization(app, tokens, target, method, url)?;
        let headers = authorization.headers;
        for (_, value) in &headers {
            let bare = value.expose().rsplit(' ').next().unwrap_or_default();
            check_token(bare)?;
        }
        let is_bound = headers.iter().any(|(name, _)| *name == "dpop");
        match &arguments.repeats {
            Some(argument) if is_bound => {
                let what = format!("curl's {argument} cannot be used with this token");
                Err(CliError::usage(what).why(
                    "it is bound to a key, and the proof that goes with it is for one request",
                ))
            }
            _ => Ok(headers),
        }
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
}
