//! A person at a browser, as far as pages without scripts go: follows links and redirects, keeps
//! cookies, finds forms and submits them.
//!
//! Not responsible for: TLS, scripts, layout. A real browser does that elsewhere.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use url::Url;
use url::form_urlencoded;

use crate::html::{self, Form};

const LIMIT: Duration = Duration::from_secs(20);
const MAX_REDIRECTS: usize = 20;

/// A browser with its cookies.
///
/// Plain HTTP only. Every failure is a panic that names the address.
#[derive(Debug, Default)]
pub struct Browser {
    /// By host and port, then by name. Paths and lifetimes are not looked at, except that an
    /// expired cookie is dropped.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// Ports of this computer that stand for a host.
    led: BTreeMap<String, u16>,
    held: Option<String>,
}

/// What came back, after all redirects.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it came from.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The document.
    pub body: String,
}

impl Browser {
    /// A browser without cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for this host at a port of this computer, and without TLS: for a server that a test
    /// calls by its public name.
    pub fn lead(&mut self, host: &str, port: u16) {
        self.led.insert(host.to_owned(), port);
    }

    /// Follows no redirect to an address that begins so: the page is the redirect itself then, and
    /// `Page::location` says where it leads.
    pub fn hold(&mut self, prefix: &str) {
        self.held = Some(prefix.to_owned());
    }

    /// Opens an address and follows redirects.
    ///
    /// # Panics
    /// When there is no answer that can be read.
    pub fn get(&mut self, url: &str) -> Page {
        self.follow("GET", parse(url), None)
    }

    /// Submits a form of a page: its own values, with these in place of or beside them.
    ///
    /// `values` must contain the name and value of the button that is pressed, if it has one.
    ///
    /// # Panics
    /// When there is no answer that can be read.
    pub fn submit(&mut self, page: &Page, form: &Form, values: &[(&str, &str)]) -> Page {
        let mut url = match page.url.join(&form.action) {
            Ok(url) => url,
            Err(error) => panic!("form action {:?}: {error}", form.action),
        };
        let mut pairs = form.fields.clone();
        pairs.retain(|(name, _)| !values.iter().any(|(given, _)| given == name));
        pairs.extend(
            values
                .iter()
                .map(|(name, value)| (String::from(*name), (*value).into())),
        );
        let encoded = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        if form.method == "GET" {
            url.set_query(Some(&encoded));
            self.follow("GET", url, None)
        } else {
            self.follow("POST", url, Some(encoded))
        }
    }

    fn follow(&mut self, method: &str, mut url: Url, mut body: Option<String>) -> Page {
        let mut method = method.to_owned();
        // Browsers say where a form was sent from; servers may refuse one that does not.
        let origin = url.origin().ascii_serialization();
        for _ in 0..MAX_REDIRECTS {
            let page = self.exchange(&method, &url, body.as_deref(), &origin);
            let Some(next) = page.next() else {
                return page;
            };
            if let Some(held) = &self.held
                && next.as_str().starts_with(held)
            {
                return page;
            }
            // Only 307 and 308 repeat the method (RFC 9110, section 15.4).
            if ![307, 308].contains(&page.status) {
                "GET".clone_into(&mut method);
                body = None;
            }
            url = next;
        }
        panic!("too many redirects at {url}");
    }

    fn exchange(&mut self, method: &str, url: &Url, body: Option<&str>, origin: &str) -> Page {
        let host = url.host_str().unwrap_or_default();
        let led = self.led.get(host);
        assert!(
            url.scheme() == "http" || led.is_some(),
            "this browser speaks plain HTTP: {url}"
        );
        let port = url.port_or_known_default().unwrap_or(80);
        let site = format!("{host}:{port}");
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut head = vec![
            format!("{method} {target} HTTP/1.1"),
            format!("host: {site}"),
            "connection: close".to_owned(),
            "accept: text/html".to_owned(),
            "user-agent: countersign-testkit".to_owned(),
        ];
        if let Some(cookies) = self
            .cookies
            .get(&site)
            .filter(|cookies| !cookies.is_empty())
        {
            let pairs: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            head.push(format!("cookie: {}", pairs.join("; ")));
        }
        if let Some(body) = body {
            head.push(format!("origin: {origin}"));
            head.push("content-type: application/x-www-form-urlencoded".to_owned());
            head.push(format!("content-length: {}", body.len()));
        }
        let request = format!("{}\r\n\r\n{}", head.join("\r\n"), body.unwrap_or_default());
        let address = led.map_or(site.clone(), |port| format!("127.0.0.1:{port}"));
        let page = match send(&address, &request) {
            Ok(answer) => read_answer(url, &answer),
            Err(error) => panic!("{method} {url}: {error}"),
        };
        self.keep_cookies(&site, &page);
        page
    }

    fn keep_cookies(&mut self, site: &str, page: &Page) {
        let jar = self.cookies.entry(site.to_owned()).or_default();
        for (_, field) in page.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let mut parts = field.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let expired = parts.any(|part| {
                let part = part.to_ascii_lowercase();
                part == "max-age=0" || part.contains("01 jan 1970")
            });
            if expired {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Page {
    /// The first value of a header field; the name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Where the page leads by itself.
    ///
    /// # Panics
    /// When the page is none.
    pub fn location(&self) -> Url {
        match self.next() {
            Some(next) => next,
            None => panic!(
                "{} does not lead elsewhere: {}\n{}",
                self.url, self.status, self.body
            ),
        }
    }

    /// The forms of the document, in order.
    pub fn forms(&self) -> Vec<Form> {
        html::forms(&self.body)
    }

    /// The first form that has a control of this name.
    ///
    /// # Panics
    /// When there is none; the document is in the message.
    pub fn form_with(&self, control: &str) -> Form {
        match self.forms().into_iter().find(|form| form.has(control)) {
            Some(form) => form,
            None => panic!("{} has no form with {control:?}:\n{}", self.url, self.body),
        }
    }

    /// The first link that leads to an address with this part.
    ///
    /// # Panics
    /// When there is none; the document is in the message.
    pub fn link_to(&self, part: &str) -> Url {
        let links = html::links(&self.body);
        let Some(link) = links.iter().find(|link| link.contains(part)) else {
            panic!("{} has no link to {part:?}:\n{}", self.url, self.body)
        };
        match self.url.join(link) {
            Ok(link) => link,
            Err(error) => panic!("{link:?}: {error}"),
        }
    }

    /// What a person reads: the document without its tags, with white space folded.
    pub fn text(&self) -> String {
        html::text(&self.body)
    }

    /// Where a browser goes on to by itself: by a redirect, or at once by `Refresh`.
    fn next(&self) -> Option<Url> {
        let target = if [301, 302, 303, 307, 308].contains(&self.status) {
            self.header("location")
        } else {
            self.header("refresh")
                .and_then(|field| field.strip_prefix("0;url="))
        };
        let target = target?;
        match self.url.join(target) {
            Ok(next) => Some(next),
            Err(error) => panic!("{} leads to {target:?}: {error}", self.url),
        }
    }
}

fn parse(url: &str) -> Url {
    match Url::parse(url) {
        Ok(url) => url,
        Err(error) => panic!("{url:?}: {error}"),
    }
}

fn send(site: &str, request: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(site)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn read_answer(url: &Url, answer: &[u8]) -> Page {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let Some((head, body)) = end.and_then(|end| answer.split_at_checked(end)) else {
        panic!("{url}: not an HTTP answer");
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = body.get(4..).unwrap_or_default();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value.contains("chunked"));
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_vec()
    };
    Page {
        url: url.clone(),
        status: status.unwrap_or_else(|| panic!("{url}: no status in {head}")),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// Joins the chunks of a body (RFC 9112, section 7.1); stops at what it cannot read.
fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let (size, after) = rest.split_at(end);
        let size = String::from_utf8_lossy(size);
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else {
            break;
        };
        let Some(chunk) = after.get(2..2 + size) else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = after.get(2 + size + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HttpServer, Reply};

    #[test]
    fn some_pages_are_left_at_once_and_some_addresses_never_entered() {
        let server = HttpServer::start();
        let page =
            Reply::text(200, "text/html", "<p>Approved").with_header("refresh", "0;url=/done");
        server.on("GET", "/", page);
        let done = "<p>Done <a href='/a'>a</a> <a href='b?c'>b</a>";
        server.on("GET", "/done", Reply::text(200, "text/html", done));
        let mut browser = Browser::new();
        let page = browser.get(&server.url("/"));
        assert_eq!(page.text(), "Done a b");
        assert_eq!(page.link_to("?c").as_str(), server.url("/b?c"));
        browser.hold(&server.url("/d"));
        let page = browser.get(&server.url("/"));
        assert_eq!(page.text(), "Approved");
        assert_eq!(page.location().path(), "/done");
    }

    #[test]
    fn a_form_is_filled_in_with_cookies_through_redirects() {
        let server = HttpServer::start();
        let page = "<form method=post action='/in?x=1'><input name=token value='a&amp;b'>\
                    <input name=login><button name=go value=yes>Go</button></form>";
        let page = Reply::text(200, "text/html", page).with_header("set-cookie", "s=1; Path=/");
        server.on("GET", "/start", page);
        server.on("GET", "/", Reply::redirect(302, "/start"));
        let done = Reply::redirect(303, "/done").with_header("set-cookie", "s=; Max-Age=0");
        server.on("POST", "/in", done);
        server.on(
            "GET",
            "/done",
            Reply::text(200, "text/html", "<p>Wel<b>come</b>,\n Ada &lt;3"),
        );

        let mut browser = Browser::new();
        let page = browser.get(&server.url("/"));
        let form = page.form_with("login");
        let page = browser.submit(&page, &form, &[("login", "ada"), ("go", "yes")]);
        assert_eq!(
            (page.status, page.text().as_str()),
            (200, "Welcome, Ada <3")
        );
        let posted = &server.requests_to("/in")[0];
        assert_eq!(posted.header("cookie"), Some("s=1"));
        assert_eq!(posted.header("origin"), Some(server.origin().as_str()));
        assert_eq!(posted.form_value("token").as_deref(), Some("a&b"));
        assert_eq!(posted.form_value("go").as_deref(), Some("yes"));
        assert_eq!(server.requests_to("/done")[0].header("cookie"), None);
    }

    #[test]
    fn a_chunked_answer_is_joined() {
        let server = HttpServer::start();
        let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   4;x\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n";
        server.on("GET", "/", Reply::raw(raw));
        assert_eq!(Browser::new().get(&server.url("/")).body, "abcdef");
    }
}
