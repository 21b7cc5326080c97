//! Which request is asked about: its method, its target, its host and where it came from.
//!
//! Each is said once or the question is refused. Not responsible for whether the asker is believed,
//! which was settled before.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::subject::Subject;
use crate::serve::{Unsound, host, unsound};

/// The headers that say it.
#[derive(Debug)]
pub(super) struct Names<'n> {
    pub(super) method: &'n HeaderName,
    pub(super) uri: &'n HeaderName,
    pub(super) host: &'n HeaderName,
    pub(super) client: &'n HeaderName,
}

/// The question of nginx, Traefik and Caddy. Takes the headers out of it, unless it is refused.
pub(super) fn by_headers(parts: &mut Parts, names: &Names<'_>) -> Result<Subject, Unsound> {
    let headers = &parts.headers;
    let method = Method::from_bytes(single(headers, names.method)?.as_bytes())
        .map_err(|_| unsound("forward_malformed"))?;
    let target = text(single(headers, names.uri)?)?.to_owned();
    let host = single(headers, names.host)?.clone();
    let client = address(single(headers, names.client)?)?;
    let mut headers = std::mem::take(&mut parts.headers);
    for name in [names.method, names.uri, names.host, names.client] {
        headers.remove(name);
    }
    Ok(Subject {
        method,
        target,
        host,
        headers,
        client: Some(client),
        body: None,
    })
}

/// The question of Envoy by HTTP: the request itself, without its body. Takes the headers out of it,
/// unless it is refused.
pub(super) fn by_request(
    parts: &mut Parts,
    client: Option<&HeaderName>,
) -> Result<Subject, Unsound> {
    let host = host(parts)?;
    let client = match client {
        None => None,
        Some(name) => Some(address(single(&parts.headers, name)?)?),
    };
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    Ok(Subject {
        method: parts.method.clone(),
        target: target.to_owned(),
        host,
        headers: std::mem::take(&mut parts.headers),
        client,
        body: None,
    })
}

/// The one value of a header.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h HeaderValue, Unsound> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(unsound("forward_missing")),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(unsound("forward_twice")),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Unsound> {
    // What is no ASCII has no place in a target (RFC 9112, section 3.2).
    value.to_str().map_err(|_| unsound("forward_malformed"))
}

fn address(value: &HeaderValue) -> Result<IpAddr, Unsound> {
    let address: IpAddr = text(value)?
        .parse()
        .map_err(|_| unsound("forward_malformed"))?;
    Ok(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> Result<String, &'static str> {
        let mut request = Request::get("/ask").body(()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let [method, uri, host, client] =
            ["x-method", "x-uri", "x-host", "x-for"].map(HeaderName::from_static);
        let names = Names {
            method: &method,
            uri: &uri,
            host: &host,
            client: &client,
        };
        by_headers(&mut request.into_parts().0, &names)
            .map(|subject| {
                let client = subject.client.unwrap();
                let host = subject.host.to_str().unwrap().to_owned();
                format!("{client} {} {host} {}", subject.method, subject.target)
            })
            .map_err(|unsound| unsound.code)
    }

    const GOOD: [(&str, &str); 4] = [
        ("x-method", "PUT"),
        ("x-uri", "/a?b"),
        ("x-host", "api.test"),
        ("x-for", "192.0.2.7"),
    ];

    #[test]
    fn each_is_said_exactly_once() {
        assert_eq!(asked(&GOOD).unwrap(), "192.0.2.7 PUT api.test /a?b");
        for (at, (name, value)) in GOOD.iter().enumerate() {
            let mut without = GOOD.to_vec();
            without.remove(at);
            assert_eq!(asked(&without), Err("forward_missing"), "{name}");
            let twice = [&GOOD[..], &[(name, value)]].concat();
            assert_eq!(asked(&twice), Err("forward_twice"), "{name}");
        }
    }

    #[test]
    fn a_value_that_is_none_is_refused() {
        for (name, value) in [
            ("x-method", "GET PUT"),
            ("x-method", ""),
            ("x-uri", "/\u{e9}"),
            ("x-for", "192.0.2.7, 192.0.2.8"),
            ("x-for", "192.0.2.7:80"),
            ("x-for", "unknown"),
        ] {
            let mut headers = GOOD.to_vec();
            for header in &mut headers {
                if header.0 == name {
                    header.1 = value;
                }
            }
            assert_eq!(asked(&headers), Err("forward_malformed"), "{name} {value}");
        }
    }
}
