//! Addresses that a browser is sent back to.
//!
//! They are compared as they are written (RFC 9700, section 2.1), with one
//! exception: a program on the person's own machine takes whatever port is
//! free (RFC 8252, section 7.3). The port is cut out of the text by hand. To
//! parse both URLs and compare what comes out would let through whatever two
//! texts a parser happens to make the same.
//!
//! `localhost` is treated like `127.0.0.1` and `[::1]`, which RFC 8252
//! (section 8.3) prefers: providers that know only the name have brought up
//! programs that know only the name, and browsers resolve it to this machine
//! and nothing else.

use url::form_urlencoded;

/// This machine, as an address may name it.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Where an address leads, as a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A program on the machine that the browser runs on.
    ThisMachine {
        /// The host and the port, as they are written.
        address: String,
    },
    /// A server.
    Site {
        /// Its host, and the port if it is none of the usual ones.
        host: String,
    },
    /// Whatever application has taken the scheme for itself.
    Application {
        /// The scheme.
        scheme: String,
    },
}

/// Whether a presented address is a registered one.
pub(super) fn matches(registered: &str, presented: &str) -> bool {
    if registered == presented {
        return true;
    }
    match (split_loopback(registered), split_loopback(presented)) {
        (Some(registered), Some(presented)) => {
            registered.host == presented.host && registered.rest == presented.rest
        }
        _ => false,
    }
}

/// Whether an address is one on this machine, by `http`.
pub(super) fn is_loopback(uri: &str) -> bool {
    split_loopback(uri).is_some()
}

/// An `http` address on this machine, taken apart.
struct Loopback<'a> {
    host: &'a str,
    /// The host and, if there is one, the port.
    authority: &'a str,
    /// Path and query.
    rest: &'a str,
}

fn split_loopback(uri: &str) -> Option<Loopback<'_>> {
    let after_scheme = uri.strip_prefix("http://")?;
    let (host, after_host) = LOOPBACK.iter().find_map(|&host| {
        let rest = after_scheme.strip_prefix(host)?;
        Some((host, rest))
    })?;
    let rest = match after_host.strip_prefix(':') {
        None => after_host,
        Some(after_colon) => {
            let digits = after_colon.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = after_colon.split_at_checked(digits)?;
            // One way to write a port: no sign, no zero in front, not zero.
            let number: u16 = port.parse().ok()?;
            if port.starts_with('0') || number == 0 {
                return None;
            }
            rest
        }
    };
    // Anything else would still belong to the authority: `localhost.evil`,
    // `127.0.0.1:80@evil`.
    let ends_here = rest.is_empty() || rest.starts_with(['/', '?']);
    let authority = after_scheme.strip_suffix(rest)?;
    ends_here.then_some(Loopback {
        host,
        authority,
        rest,
    })
}

/// Where a registered address leads.
pub(super) fn destination(uri: &str) -> Destination {
    if let Some(loopback) = split_loopback(uri) {
        return Destination::ThisMachine {
            address: loopback.authority.to_owned(),
        };
    }
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    match rest.strip_prefix("//") {
        Some(rest) if scheme == "https" => {
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            Destination::Site {
                host: host.to_owned(),
            }
        }
        _ => Destination::Application {
            scheme: scheme.to_owned(),
        },
    }
}

/// The address with an answer in its query. What it had there stays (RFC 6749,
/// section 3.1.2), letter for letter.
pub(super) fn with_answer(uri: &str, answer: &[(&str, &str)]) -> String {
    let mut url = uri.to_owned();
    url.push(if uri.contains('?') { '&' } else { '?' });
    url.push_str(
        &form_urlencoded::Serializer::new(String::new())
            .extend_pairs(answer)
            .finish(),
    );
    url
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// Two pieces more at any places of an honest address. The comparison is of
    /// text; whatever a browser makes of what it lets through has to be the
    /// same place on this machine.
    #[test]
    fn what_is_let_through_leads_to_this_machine() {
        const MORE: [&str; 26] = [
            "http://",
            "HTTP://",
            "https://",
            "127.0.0.1",
            "[::1]",
            "localhost",
            "evil",
            ".",
            ":",
            "/",
            "cb",
            "\\",
            "@",
            "?",
            "#",
            "%2f",
            "0",
            "1",
            "8080",
            "65536",
            " ",
            "\t",
            "\n",
            "..",
            "+",
            ";",
        ];
        let mut let_through = 0;
        for host in LOOPBACK {
            let registered = format!("http://{host}/cb");
            let honest = ["http://", host, ":", "80", "/", "cb"];
            for (first, place) in MORE
                .iter()
                .flat_map(|more| (0..=6).map(move |at| (more, at)))
            {
                let mut once = honest.to_vec();
                once.insert(place, first);
                for (second, place) in MORE
                    .iter()
                    .flat_map(|more| (0..=7).map(move |at| (more, at)))
                {
                    let mut twice = once.clone();
                    twice.insert(place, second);
                    let presented = twice.concat();
                    if !matches(&registered, &presented) {
                        continue;
                    }
                    let_through += 1;
                    let (expected, url) = (Url::parse(&registered), Url::parse(&presented));
                    let (expected, mut url) = (expected.unwrap(), url.unwrap());
                    url.set_port(None).unwrap();
                    assert_eq!(url, expected, "{presented}");
                }
            }
        }
        assert!(let_through > 0, "ports of more digits are");
    }

    #[test]
    fn a_program_on_this_machine_may_take_any_port() {
        for (registered, presented) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1:8000/cb", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1:8000/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb?a=b", "http://[::1]:1/cb?a=b"),
            ("http://localhost", "http://localhost:65535"),
        ] {
            assert!(matches(registered, presented), "{registered} {presented}");
        }
    }

    #[test]
    fn nothing_but_the_port_may_differ() {
        for (registered, presented) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb/"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/CB"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb?x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb#x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/./cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/%63b"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1\\cb"),
            ("http://127.0.0.1/", "http://127.0.0.1:1"),
            ("http://127.0.0.1/cb", "HTTP://127.0.0.1:1/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
            ("http://127.0.0.1/cb", "http://localhost:1/cb"),
            ("http://127.0.0.1/cb", "http://[::1]:1/cb"),
            ("http://127.0.0.1/cb", "http://127.1:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2:1/cb"),
            ("http://127.0.0.1/cb", "http://2130706433:1/cb"),
            ("http://[::1]/cb", "http://[0:0:0:0:0:0:0:1]:1/cb"),
            ("http://localhost/cb", "http://LOCALHOST:1/cb"),
            ("http://localhost/cb", "http://localhost.:1/cb"),
            ("http://localhost/cb", "http://localhost.evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://evil.example@127.0.0.1:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:01/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:+1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1 /cb"),
            ("http://127.0.0.1/cb", " http://127.0.0.1:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb "),
            ("https://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
            ("https://app.example/cb", "https://app.example:443/cb"),
            ("https://app.example/cb", "https://app.example:8443/cb"),
            ("https://app.example/cb", "https://app.example/cb?x=y"),
            ("https://app.example/cb", "https://app.example/cb/.."),
            ("https://app.example/cb", "https://App.example/cb"),
            ("com.example.app:/cb", "com.example.app://cb"),
        ] {
            assert!(!matches(registered, presented), "{registered} {presented}");
        }
    }

    #[test]
    fn people_are_told_where_they_go() {
        let this = |address: &str| Destination::ThisMachine {
            address: address.to_owned(),
        };
        assert_eq!(
            destination("http://127.0.0.1:5000/cb"),
            this("127.0.0.1:5000")
        );
        assert_eq!(destination("http://[::1]:1"), this("[::1]:1"));
        assert_eq!(destination("http://localhost/?x"), this("localhost"));
        let site = Destination::Site {
            host: "app.example:8443".to_owned(),
        };
        assert_eq!(destination("https://app.example:8443?x"), site);
        let application = Destination::Application {
            scheme: "com.example.app".to_owned(),
        };
        assert_eq!(destination("com.example.app:/cb"), application);
    }

    #[test]
    fn an_answer_is_added_to_the_query_that_is_there() {
        let answer = [("code", "a b"), ("state", "&=\u{e4}")];
        assert_eq!(
            with_answer("http://127.0.0.1:1/cb", &answer),
            "http://127.0.0.1:1/cb?code=a+b&state=%26%3D%C3%A4"
        );
        assert_eq!(
            with_answer("https://app.example/cb?keep=%2f", &answer),
            "https://app.example/cb?keep=%2f&code=a+b&state=%26%3D%C3%A4"
        );
    }
}
