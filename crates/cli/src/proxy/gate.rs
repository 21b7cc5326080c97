//! Who is let in: those who know the secret that the path begins with.

use countersign_client::Secret;
use url::Url;

use super::answer::Refusal;
use super::request::Request;

/// The door of one proxy.
pub(crate) struct Gate {
    port: u16,
    secret: Secret,
}

impl Gate {
    pub(crate) fn new(port: u16, secret: Secret) -> Self {
        Self { port, secret }
    }

    /// The address that opens it.
    pub(super) fn address(&self) -> Secret {
        let (port, secret) = (self.port, self.secret.expose());
        Secret::new(format!("http://127.0.0.1:{port}/{secret}"))
    }

    /// What comes after the secret: nothing, or a path and a query, or a query alone.
    pub(super) fn admit<'a>(&self, request: &'a Request) -> Result<&'a str, Refusal> {
        // Nobody who does not know the secret is told anything else than this.
        let unknown = || Refusal::new(404, "not here");
        let path = request.target.strip_prefix('/').ok_or_else(unknown)?;
        let end = path.find(['/', '?']).unwrap_or(path.len());
        let (given, rest) = path.split_at(end);
        // In constant time.
        if Secret::new(given) != self.secret {
            return Err(unknown());
        }
        // A name that leads here from somebody's DNS (rebinding) is another one.
        let names = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        if !names.contains(&request.host.to_ascii_lowercase()) {
            return Err(Refusal::new(421, "this is not the address listened on"));
        }
        let path = rest.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dots) || path.contains('\\') {
            return Err(Refusal::bad_request("the path goes up"));
        }
        Ok(rest)
    }

    /// Where a redirect leads, in words that the program understands: on the same server, back here.
    /// Elsewhere it is left alone, and the program goes there without the token, if it goes.
    pub(super) fn rewritten(&self, location: &str, from: &Url, base: &Url) -> Option<String> {
        let to = from.join(location).ok()?;
        if to.origin() != base.origin() {
            return None;
        }
        let above = base.path().trim_end_matches('/');
        let below = to.path().strip_prefix(above)?;
        if !(below.is_empty() || below.starts_with('/')) {
            return None;
        }
        let mut text = format!("{}{below}", self.address().expose());
        if let Some(query) = to.query() {
            text.push('?');
            text.push_str(query);
        }
        if let Some(fragment) = to.fragment() {
            text.push('#');
            text.push_str(fragment);
        }
        Some(text)
    }
}

/// `.` and `..`, however they are written.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::body::Body;

    fn request(target: &str, host: &str) -> Request {
        Request {
            method: "GET".to_owned(),
            target: target.to_owned(),
            host: host.to_owned(),
            headers: Vec::new(),
            body: Body::None,
            version: 1,
            expects_continue: false,
        }
    }

    fn admit(target: &str, host: &str) -> Result<String, u16> {
        let gate = Gate::new(8080, Secret::new("s3cret"));
        let request = request(target, host);
        let admitted = gate.admit(&request).map(str::to_owned);
        admitted.map_err(|refusal| refusal.status)
    }

    #[test]
    fn the_secret_opens_and_nothing_else_does() {
        let here = "127.0.0.1:8080";
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(admit("/s3cret", here), ok(""));
        assert_eq!(admit("/s3cret/", here), ok("/"));
        assert_eq!(admit("/s3cret?a=b", "LOCALHOST:8080"), ok("?a=b"));
        assert_eq!(
            admit("/s3cret//evil.example/a%2Fb", here),
            ok("//evil.example/a%2Fb")
        );
        for target in [
            "/",
            "",
            "/s3cre",
            "/s3crets",
            "//s3cret",
            "/S3CRET/",
            "/%733cret/",
            "*",
            "s3cret/",
            "http://evil.example/s3cret/",
            "/x?/s3cret",
        ] {
            assert_eq!(admit(target, here), Err(404), "{target}");
        }
    }

    #[test]
    fn a_name_that_leads_here_from_elsewhere_is_refused() {
        for host in [
            "",
            "evil.example:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost:8080.evil.example",
        ] {
            assert_eq!(admit("/s3cret/", host), Err(421), "{host}");
            // The secret comes first: without it nobody learns that the name matters.
            assert_eq!(admit("/x/", host), Err(404), "{host}");
        }
    }

    #[test]
    fn no_path_goes_up() {
        for path in ["/..", "/a/../b", "/./a", "/%2e%2E/a", "/.%2e", "/a\\..\\b"] {
            assert_eq!(
                admit(&format!("/s3cret{path}"), "127.0.0.1:8080"),
                Err(400),
                "{path}"
            );
        }
        assert!(admit("/s3cret/...?a=/../b", "127.0.0.1:8080").is_ok());
    }

    #[test]
    fn a_redirect_on_the_same_server_comes_back_here() {
        let gate = Gate::new(8080, Secret::new("s3cret"));
        let base = Url::parse("https://api.example.com/v1").unwrap();
        let from = Url::parse("https://api.example.com/v1/items").unwrap();
        let to = |location| gate.rewritten(location, &from, &base);
        let here = |rest: &str| Some(format!("http://127.0.0.1:8080/s3cret{rest}"));
        assert_eq!(to("/v1/other?a=b#c"), here("/other?a=b#c"));
        assert_eq!(to("7"), here("/7"));
        assert_eq!(to("https://api.example.com:443/v1"), here(""));
        for elsewhere in [
            "https://evil.example/v1/",
            "http://api.example.com/v1/",
            "/v2/",
            "/v10",
            "//evil.example/v1",
            "https://api.example.com:8443/v1/",
            "https://[",
            "javascript:x",
        ] {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
    }
}
