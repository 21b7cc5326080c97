//! An issuer, an upstream, and a gateway in this process between them.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_gateway::{Config, Gateway, Problem};
use countersign_testkit::{Key, Provider, Signature};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::upstream::Upstream;

/// Longer than anything takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// One issuer for all tests, with one key.
pub(crate) struct Issuer {
    provider: Provider,
    key: Key,
}

impl Issuer {
    pub(crate) fn get() -> &'static Self {
        static ISSUER: OnceLock<Issuer> = OnceLock::new();
        ISSUER.get_or_init(|| {
            let provider = Provider::start();
            let key = Key::generate("one");
            let published = json!({ "keys": [key.jwk()] });
            provider.edit(countersign_testkit::Endpoint::Jwks, move |keys| {
                *keys = published.clone();
            });
            Self { provider, key }
        })
    }

    pub(crate) fn url(&self) -> String {
        self.provider.issuer()
    }

    /// A token with these claims changed; `null` takes one out.
    pub(crate) fn token(&self, changes: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": "ada", "client_id": "cli",
            "jti": "j1", "iat": now, "exp": now + 300, "scope": "stock:read",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "one" });
        self.key.sign(&header, &claims, Signature::Good)
    }
}

pub(crate) fn token() -> String {
    Issuer::get().token(&json!({}))
}

/// A gateway that is running, and ends with the test.
pub(crate) struct Running {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) directory: TempDir,
}

/// The routes that most tests are content with.
pub(crate) const ROUTES: &str = r#"
[[route]]
path = "/stock/**"
methods = ["GET", "PUT", "POST"]
scopes = ["stock:read"]
identity = ["assertion", "headers"]
upstream = "stock"

[[route]]
path = "/open/**"
public = true
upstream = "stock"
"#;

/// The head of every test's configuration; `more` goes into `[listen]`.
pub(crate) fn head(upstream: &str, more: &str) -> String {
    format!(
        r#"
[listen]
address = "127.0.0.1:0"
admin = "127.0.0.1:0"
origin = "http://gateway.test"
workers = 2
drain = "2s"
{more}

[[issuer]]
url = "{}"
audience = "{AUDIENCE}"

[[upstream]]
name = "stock"
address = "{upstream}"
"#,
        Issuer::get().url()
    )
}

pub(crate) fn config(text: &str, directory: &Path) -> Result<Config, Problem> {
    Config::parse(text, "gateway.toml", directory)
}

pub(crate) fn start(text: &str) -> Running {
    let directory = TempDir::new().unwrap();
    start_in(text, directory)
}

pub(crate) fn start_in(text: &str, directory: TempDir) -> Running {
    let config = config(text, directory.path()).unwrap_or_else(|problem| panic!("{problem}"));
    let gateway = Gateway::start(config, |_| ()).unwrap_or_else(|problem| panic!("{problem}"));
    Running {
        address: *gateway
            .addresses()
            .first()
            .unwrap_or(&([127, 0, 0, 1], 0).into()),
        admin: gateway.admin_address().unwrap(),
        gateway,
        directory,
    }
}

/// A gateway with the usual routes in front of this upstream.
pub(crate) fn usual(upstream: &Upstream) -> Running {
    start(&(head(&upstream.url(), "") + ROUTES))
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Running {
    /// Sends these bytes on a connection of their own and reads the answer.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        parse(&exchange(self.address, bytes.as_ref()))
    }

    /// A request by HTTP/1.1 with these header lines.
    pub(crate) fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let mut text =
            format!("{method} {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n");
        for header in headers {
            text += header;
            text += "\r\n";
        }
        if !body.is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        self.raw(text)
    }

    pub(crate) fn get(&self, target: &str, headers: &[&str]) -> Answer {
        self.request("GET", target, headers, "")
    }

    pub(crate) fn get_as_ada(&self, target: &str) -> Answer {
        self.get(target, &[&format!("Authorization: Bearer {}", token())])
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        parse(&exchange(self.admin, request.as_bytes()))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything that comes back until the other side closes.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // A server that has seen enough may close before everything is written.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let _ = stream.shutdown(Shutdown::Both);
    answer
}

/// The first answer in these bytes, with a body of known length or in chunks.
pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status: {head:?}"));
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Answer {
        status,
        head: head.to_owned(),
        body: if chunked {
            unchunk(body)
        } else {
            body.to_owned()
        },
    }
}

fn unchunk(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body += &rest[..size];
        text = &rest[size + 2..];
    }
    body
}
