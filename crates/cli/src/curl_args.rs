//! What must not be among the arguments for curl, because the token would go astray.
//!
//! The token belongs to one address. So there may be no second one, nothing that applies our
//! configuration to another transfer, and nothing that writes request headers to a file.
//!
//! Not responsible for what curl would say about the rest.

use std::ffi::OsString;

use crate::error::CliError;
use crate::output::shell_word;

/// Short options that take a value.
const SHORT_WITH_VALUE: &str = "AbCcDdEeFHhKmoPQrTtUuwXxYyz";

/// Long options that take a value, curl 8 included. A test compares this with the curl at hand.
const LONG_WITH_VALUE: &str = "\
    abstract-unix-socket alt-svc aws-sigv4 cacert capath cert cert-type ciphers config \
    connect-timeout connect-to continue-at cookie cookie-jar create-file-mode crlfile curves \
    data data-ascii data-binary data-raw data-urlencode delegation dns-interface dns-ipv4-addr \
    dns-ipv6-addr dns-servers doh-url dump-header ech egd-file engine etag-compare etag-save \
    expect100-timeout form form-string ftp-account ftp-alternative-to-user ftp-method ftp-port \
    ftp-ssl-ccc-mode happy-eyeballs-timeout-ms haproxy-clientip header help hostpubmd5 \
    hostpubsha256 hsts interface ip-tos ipfs-gateway json keepalive-cnt keepalive-time key \
    key-type krb libcurl limit-rate local-port login-options mail-auth mail-from mail-rcpt \
    max-filesize max-redirs max-time netrc-file noproxy oauth2-bearer output output-dir \
    parallel-host parallel-max parallel-max-host pass pinnedpubkey preproxy proto proto-default \
    proto-redir proxy proxy-cacert proxy-capath proxy-cert proxy-cert-type proxy-ciphers \
    proxy-crlfile proxy-header proxy-key proxy-key-type proxy-pass proxy-pinnedpubkey \
    proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword proxy-tlsuser \
    proxy-user proxy1.0 pubkey quote random-file range rate referer request request-target \
    resolve retry retry-delay retry-max-time sasl-authzid service-name sigalgs socks4 socks4a \
    socks5 socks5-gssapi-service socks5-hostname speed-limit speed-time stderr telnet-option \
    tftp-blksize time-cond tls-max tls13-ciphers tlsauthtype tlspassword tlsuser trace \
    trace-ascii trace-config unix-socket upload-file upload-flags url url-query user user-agent \
    variable vlan-priority write-out";

/// Long options without a value that another one begins with, or that matter here.
const LONG_ALONE: &str = "\
    basic compressed digest fail get head include insecure location location-trusted netrc next \
    ntlm parallel progress-bar raw remote-name remote-time show-error silent trace-ids \
    trace-time verbose version";

/// Options that are refused, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "config",
        "the file could name other addresses, and they would get the token",
    ),
    ("libcurl", "it writes the token to a file"),
    (
        "location-trusted",
        "it sends the token to whatever host the server redirects to",
    ),
    (
        "next",
        "what follows it would be another request, without the token or with it",
    ),
    ("oauth2-bearer", "the token is chosen by countersign"),
    (
        "proto",
        "which protocols are safe for the token is decided by countersign",
    ),
    (
        "proto-redir",
        "which protocols are safe for the token is decided by countersign",
    ),
    ("trace", "it shows the token; -v does not"),
    ("trace-ascii", "it shows the token; -v does not"),
    ("url", "the token is for one address, which stands first"),
];

/// What the arguments mean for us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The argument that lets curl send more requests than one, if there is one.
    pub(crate) repeats: Option<String>,
    /// The argument that reads what can be read once, if there is one: standard input, or a descriptor.
    pub(crate) reads_once: Option<String>,
    /// Whether the request brings a `Step-Up` of its own.
    pub(crate) steps_up: bool,
    /// The method that is asked for by name.
    request: Option<String>,
    /// The long names of all options there are.
    options: Vec<&'static str>,
}

impl Arguments {
    /// Whether curl will print the request's headers on standard error.
    pub(crate) fn is_verbose(&self) -> bool {
        self.has(&["verbose"])
    }

    /// Whether the heads of the answers go somewhere already.
    pub(crate) fn dumps_headers(&self) -> bool {
        self.has(&["dump-header"])
    }

    /// The method of the request, as curl chooses it.
    pub(crate) fn method(&self) -> &str {
        const DATA: &[&str] = &[
            "data",
            "data-ascii",
            "data-binary",
            "data-raw",
            "data-urlencode",
            "form",
            "form-string",
            "json",
        ];
        match &self.request {
            Some(method) => method,
            None if self.has(&["head"]) => "HEAD",
            None if self.has(&["upload-file"]) => "PUT",
            None if self.has(DATA) && !self.has(&["get"]) => "POST",
            None => "GET",
        }
    }

    fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|option| names.contains(option))
    }

    fn note(&mut self, option: &'static str, written: &str, value: Option<&str>) {
        match option {
            "request" => self.request = value.map(str::to_owned),
            "location" | "retry" => self.repeats = Some(written.to_owned()),
            "header" => {
                let name = value.and_then(|value| value.split(':').next());
                self.steps_up |= name.is_some_and(|name| name.eq_ignore_ascii_case("step-up"));
            }
            _ => {}
        }
        if value.is_some_and(|value| is_spent(option, value)) {
            self.reads_once = Some(written.to_owned());
        }
        self.options.push(option);
    }
}

/// Whether what an option reads is gone once it has been read.
fn is_spent(option: &str, value: &str) -> bool {
    let named = |name: &str| {
        name == "-"
            || ["/dev/stdin", "/dev/fd/", "/proc/self/fd/"]
                .iter()
                .any(|place| name.starts_with(place))
    };
    match option {
        // `.` reads what there is of standard input at the moment.
        "upload-file" => value == "." || named(value),
        "data" | "data-ascii" | "data-binary" | "json" | "header" | "proxy-header" => {
            value.strip_prefix('@').is_some_and(named)
        }
        "data-urlencode" | "url-query" | "variable" => {
            value.split_once('@').is_some_and(|(_, name)| named(name))
        }
        "form" => value.split_once('=').is_some_and(|(_, parts)| {
            let files = parts.strip_prefix(['@', '<']).unwrap_or_default();
            let mut files = files.split([',', ';']);
            files.any(|file| named(file.trim_matches('"')))
        }),
        "cookie" => named(value),
        _ => false,
    }
}

/// The long names of the short options that matter here.
fn long_name(letter: char) -> &'static str {
    match letter {
        'K' => "config",
        ':' => "next",
        'v' => "verbose",
        'X' => "request",
        'I' => "head",
        'G' => "get",
        'T' => "upload-file",
        'd' => "data",
        'D' => "dump-header",
        'H' => "header",
        'b' => "cookie",
        'F' => "form",
        'L' => "location",
        _ => "",
    }
}

/// Reads the arguments as curl will.
///
/// # Errors
/// A usage error that names the first argument with which the token could go astray.
pub(crate) fn check(arguments: &[OsString]) -> Result<Arguments, CliError> {
    let mut found = Arguments::default();
    let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
    let mut unknown_before = false;
    while let Some(argument) = rest.next() {
        let after_unknown = std::mem::take(&mut unknown_before);
        if argument == "--" {
            // curl would take our own options, which come last, for addresses.
            return Err(CliError::usage(
                "`--` has no meaning among the arguments for curl",
            ));
        }
        if let Some(name) = argument.strip_prefix("--") {
            let (name, mut value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.into())),
                None => (name, None),
            };
            let option = long(name);
            refuse(option, &argument)?;
            match option {
                Long::WithValue(_) if value.is_none() => {
                    value = rest.next();
                    need(value.as_ref(), &argument)?;
                }
                Long::Unknown => unknown_before = value.is_none(),
                _ => {}
            }
            if let Long::WithValue(name) | Long::Alone(name) = option {
                found.note(name, &argument, value.as_deref());
            }
        } else if let Some(letters) = argument
            .strip_prefix('-')
            .filter(|letters| !letters.is_empty())
        {
            for (index, letter) in letters.char_indices() {
                let name = long_name(letter);
                refuse(Long::Alone(name), &format!("-{letter}"))?;
                if !SHORT_WITH_VALUE.contains(letter) {
                    found.note(name, &argument, None);
                    continue;
                }
                let inline = letters.get(index + letter.len_utf8()..).unwrap_or_default();
                let value = if inline.is_empty() {
                    let value = rest.next();
                    need(value.as_ref(), &argument)?;
                    value
                } else {
                    Some(inline.into())
                };
                found.note(name, &argument, value.as_deref());
                break;
            }
        } else if !after_unknown {
            // Neither an option nor the value of one: curl takes it for one more address.
            return Err(CliError::usage(format!(
                "curl would take {} for one more address",
                shell_word(&argument)
            ))
            .why("the token is for one address, which stands first"));
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Long {
    WithValue(&'static str),
    Alone(&'static str),
    Unknown,
}

fn words(names: &'static str) -> impl Iterator<Item = &'static str> {
    names.split_ascii_whitespace()
}

/// Finds a long option by its name or, as curl does, by its beginning.
fn long(name: &str) -> Long {
    let exact = |names: &'static str| words(names).find(|known| *known == name);
    let begins = |names: &'static str| words(names).find(|known| known.starts_with(name));
    if let Some(known) = exact(LONG_WITH_VALUE) {
        return Long::WithValue(known);
    }
    if let Some(known) = exact(LONG_ALONE) {
        return Long::Alone(known);
    }
    // An abbreviation that could be a refused option is taken for it.
    if let Some((known, _)) = REFUSED.iter().find(|(known, _)| known.starts_with(name)) {
        return if words(LONG_WITH_VALUE).any(|word| word == *known) {
            Long::WithValue(known)
        } else {
            Long::Alone(known)
        };
    }
    match (begins(LONG_WITH_VALUE), begins(LONG_ALONE)) {
        (Some(known), _) => Long::WithValue(known),
        (None, Some(known)) => Long::Alone(known),
        (None, None) => Long::Unknown,
    }
}

/// An option at the end without its value would take our own options, which come last, for it.
fn need<T>(value: Option<&T>, option: &str) -> Result<(), CliError> {
    match value {
        Some(_) => Ok(()),
        None => Err(CliError::usage(format!("curl's {option} needs a value"))),
    }
}

fn refuse(option: Long, written: &str) -> Result<(), CliError> {
    let (Long::WithValue(name) | Long::Alone(name)) = option else {
        return Ok(());
    };
    match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, why)) => {
            Err(CliError::usage(format!("curl's {written} cannot be used here")).why(*why))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Arguments, CliError> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        check(&arguments)
    }

    #[test]
    fn ordinary_arguments_pass() {
        for arguments in [
            &["-s", "--json", "{\"n\": 1}"][..],
            &["-XPOST", "-d", "https://callback.example"],
            &["-sSfL", "-o", "out.json", "-H", "Accept: text/plain"],
            &["-sSo", "out.json"],
            &["--data=@file", "--compressed"],
            &["--some-new-option", "its-value", "-i"],
            &["-d@-"],
        ] {
            assert!(run(arguments).is_ok(), "{arguments:?}");
        }
    }

    #[test]
    fn what_can_be_read_once_is_known() {
        for arguments in [
            &["-d@-"][..],
            &["-sd", "@-"],
            &["--json", "@-"],
            &["--data-binary=@/dev/stdin"],
            &["--data-urlencode", "name@-"],
            &["-T-"],
            &["-T", "."],
            &["-F", "file=@-;type=text/plain"],
            &["-F", "files=@one.txt,-"],
            &["-F", "text=</dev/fd/63"],
            &["-H", "@-"],
            &["-T", "/proc/self/fd/11"],
        ] {
            let found = run(arguments).unwrap();
            assert!(found.reads_once.is_some(), "{arguments:?}");
        }
        for arguments in [
            &["-d", "@file"][..],
            &["-d", "-"],
            &["--data-raw", "@-"],
            &["--json", "{\"mail\": \"a@-\"}"],
            &["-T", "file"],
            &["-F", "file=@photo.png;type=image/png"],
            &["--form-string", "a=@-"],
            &["-o", "-"],
            &["-H", "x: -"],
        ] {
            assert_eq!(run(arguments).unwrap().reads_once, None, "{arguments:?}");
        }
        assert!(run(&["-sD", "heads"]).unwrap().dumps_headers());
        assert!(run(&["--dump-header=-"]).unwrap().dumps_headers());
    }

    #[test]
    fn a_request_that_brings_its_own_password_is_known() {
        for (arguments, steps_up) in [
            (&["-H", "Step-Up: challenge=\"a\""][..], true),
            (&["-sHstep-up:x"], true),
            (&["--header=STEP-UP: x"], true),
            (&["-H", "X-Step-Up: x"], false),
            (&["-d", "Step-Up: x"], false),
        ] {
            assert_eq!(run(arguments).unwrap().steps_up, steps_up, "{arguments:?}");
        }
    }

    #[test]
    fn a_second_address_is_refused_wherever_it_hides() {
        for arguments in [
            &["https://elsewhere.example"][..],
            &["-s", "elsewhere.example"],
            &["-so", "out.json", "elsewhere.example"],
            &["--url", "https://elsewhere.example"],
            &["--ur", "https://elsewhere.example"],
            &["--url=https://elsewhere.example"],
            &["--next", "https://elsewhere.example"],
            &["-s:", "https://elsewhere.example"],
            &["-K", "addresses.conf"],
            &["-sK-"],
            &["--compressed", "elsewhere.example"],
            &["--", "elsewhere.example"],
        ] {
            assert_eq!(run(arguments).unwrap_err().code(), "usage", "{arguments:?}");
        }
    }

    #[test]
    fn what_would_carry_the_token_elsewhere_is_refused() {
        for argument in [
            "--location-trusted",
            "--location-t",
            "--trace",
            "--trace-ascii",
            "--libcurl",
            "--proto",
        ] {
            assert!(run(&[argument, "x"]).is_err(), "{argument}");
        }
        assert!(run(&["--location"]).is_ok());
        assert!(run(&["--trace-time"]).is_ok());
    }

    #[test]
    fn our_own_options_stay_options() {
        for arguments in [&["-o"][..], &["--data"], &["-sX"], &["--"], &["-s", "--"]] {
            assert!(run(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn verbosity_is_seen_in_every_spelling() {
        for (arguments, verbose) in [
            (&["-v"][..], true),
            (&["-sv"], true),
            (&["-svo", "out"], true),
            (&["--verbose"], true),
            (&["--verb"], true),
            (&["-o", "-v"], false),
            (&["-ov"], false),
            (&["-s"], false),
        ] {
            assert_eq!(
                run(arguments).unwrap().is_verbose(),
                verbose,
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn the_method_is_the_one_that_curl_will_use() {
        for (arguments, method) in [
            (&["-s"][..], "GET"),
            (&["-d", "a=b"], "POST"),
            (&["-sda=b"], "POST"),
            (&["--json", "{}"], "POST"),
            (&["--data-urlencode=a=b"], "POST"),
            (&["-F", "a=@b"], "POST"),
            (&["-G", "-d", "a=b"], "GET"),
            (&["-sI"], "HEAD"),
            (&["--head"], "HEAD"),
            (&["-GId", "a=b"], "HEAD"),
            (&["-T", "file"], "PUT"),
            (&["-XDELETE"], "DELETE"),
            (&["-sX", "PATCH", "-d", "a=b"], "PATCH"),
            (&["--request=PURGE"], "PURGE"),
            (&["--req", "GET", "-X", "PUT"], "PUT"),
            // Values of other options.
            (&["-o", "-I"], "GET"),
            (&["-H", "X-d: -d"], "GET"),
        ] {
            assert_eq!(run(arguments).unwrap().method(), method, "{arguments:?}");
        }
    }

    #[test]
    fn what_sends_more_than_one_request_is_seen() {
        for (arguments, repeats) in [
            (&["-s"][..], None),
            (&["-sL"], Some("-sL")),
            (&["--location"], Some("--location")),
            (&["--retry", "3"], Some("--retry")),
            (&["--retry-delay", "3"], None),
        ] {
            assert_eq!(run(arguments).unwrap().repeats.as_deref(), repeats);
        }
    }

    #[test]
    fn the_table_knows_every_option_with_a_value_of_the_curl_at_hand() {
        let Ok(help) = std::process::Command::new("curl")
            .args(["--help", "all"])
            .output()
        else {
            // Without curl there is nothing to compare, and nothing to run either.
            return;
        };
        for line in String::from_utf8(help.stdout).unwrap().lines() {
            let Some((options, _)) = line.split_once('<') else {
                continue;
            };
            for option in options
                .split([' ', ','])
                .filter(|option| option.starts_with('-'))
            {
                let known = match option.strip_prefix("--") {
                    Some(name) => words(LONG_WITH_VALUE).any(|word| word == name),
                    None => SHORT_WITH_VALUE.contains(&option[1..]),
                };
                // The help of some older versions leaves the value of these out.
                assert!(known, "curl's {option} takes a value");
            }
        }
    }
}
