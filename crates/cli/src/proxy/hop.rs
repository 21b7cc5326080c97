//! Which header fields go on, and which concern one connection or one side alone (RFC 9110, section 7.6.1).

use super::request::Request;

/// Between two neighbours.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the proxy itself says, whatever the program did.
const OURS: [&str; 4] = ["authorization", "dpop", "expect", "host"];

/// The header fields of a request that go on.
pub(super) fn outgoing(request: &Request) -> Vec<(String, Vec<u8>)> {
    let mut headers = kept(&request.headers);
    headers.retain(|(name, _)| !OURS.contains(&name.as_str()));
    if request.takes_body() && !request.body.is_some() {
        headers.retain(|(name, _)| name != "content-length");
        headers.push(("content-length".to_owned(), b"0".to_vec()));
    }
    headers
}

/// Those that do not concern one connection alone.
pub(super) fn kept(headers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let named: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name == "connection")
        .flat_map(|(_, value)| {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            let names = value.split(',').map(|name| name.trim().to_owned());
            names.collect::<Vec<_>>()
        })
        .collect();
    headers
        .iter()
        .filter(|(name, _)| !HOP.contains(&name.as_str()) && !named.contains(name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::body::Body;

    #[test]
    fn what_would_stand_in_for_the_token_is_taken_off() {
        let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let request = Request {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            host: "127.0.0.1:1".to_owned(),
            headers: vec![
                field("host", "127.0.0.1:1"),
                field("authorization", "Basic x"),
                field("dpop", "x"),
                field("proxy-authorization", "Basic x"),
                field("connection", "close, X-Hop"),
                field("x-hop", "1"),
                field("te", "trailers"),
                field("upgrade", "websocket"),
                field("expect", "100-continue"),
                field("accept", "*/*"),
                field("content-length", "0"),
            ],
            body: Body::None,
            version: 1,
            expects_continue: true,
        };
        assert_eq!(
            outgoing(&request),
            [field("accept", "*/*"), field("content-length", "0")]
        );
    }
}
