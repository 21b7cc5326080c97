//! `countersign curl`: the real curl, with the token; and once more when the API asks for more than that.
//!
//! Not responsible for what an API may ask for (`curl_request`), nor for how curl is started and what it
//! hears (`curl_run`).

use std::process::ExitCode;

use countersign_client::printable;
use url::{Host, Url};

use crate::app::App;
use crate::args::CurlArgs;
use crate::curl_args;
use crate::curl_request::Request;
use crate::error::CliError;
use crate::output::shell_word;

pub(crate) fn run(app: &mut App, args: &CurlArgs) -> Result<ExitCode, CliError> {
    let Some((address, for_curl)) = args.address_and_arguments.split_first() else {
        return Err(CliError::usage("there is no address to call"));
    };
    let url = target(&address.to_string_lossy())?;
    let arguments = curl_args::check(for_curl)?;
    let request = Request::new(app, &url, for_curl, &arguments, &args.target)?;
    let answered = request.answered(app)?;
    Ok(answered.came.exit_code())
}

/// The one address that the token may go to.
pub(crate) fn target(text: &str) -> Result<Url, CliError> {
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
