//! The network: HTTP/1.1 over TLS, with limits on everything.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign_oauth::text::without_number;
use countersign_oauth::{HttpRequest, HttpResponse, MAX_BODY, TransportError};
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;

use super::proxy::Proxies;
use super::{Transport, is_safe, roots};

/// How requests are sent over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How long a connection may take to be made, TLS included. 10 seconds by default.
    pub connect_limit: Duration,
    /// How long a whole exchange may take, name lookup to last byte. 30 seconds by default.
    pub overall_limit: Duration,
    /// PEM files whose certificates are trusted in addition to the system's.
    pub ca_files: Vec<PathBuf>,
    /// What the requests say they come from.
    pub user_agent: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(10),
            overall_limit: Duration::from_secs(30),
            ca_files: Vec::new(),
            user_agent: concat!("countersign-client/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// How long a connection may wait for its next request. Less than the five seconds after which many
/// servers close it, and less than the interval of device polling (RFC 8628, section 3.5): a request
/// that meets a closing connection fails without anybody being able to say whether it was heard.
const IDLE: Duration = Duration::from_secs(2);

/// The network.
///
/// Making one does nothing. Certificates are loaded, and TLS set up, when the first request that needs
/// them is sent; cryptography is *ring*, whatever else the process has installed.
pub struct HttpTransport {
    options: HttpOptions,
    proxies: OnceLock<Proxies>,
    direct: OnceLock<Result<Agent, TransportError>>,
    proxied: OnceLock<Result<Agent, TransportError>>,
}

impl HttpTransport {
    /// Prepares to use the network, through the proxies that the environment names.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            options,
            proxies: OnceLock::new(),
            direct: OnceLock::new(),
            proxied: OnceLock::new(),
        }
    }

    /// How requests are sent.
    pub fn options(&self) -> &HttpOptions {
        &self.options
    }

    fn agent(&self, proxy: Option<(&'static str, &str)>) -> Result<&Agent, TransportError> {
        let cell = if proxy.is_some() {
            &self.proxied
        } else {
            &self.direct
        };
        cell.get_or_init(|| self.build(proxy))
            .as_ref()
            .map_err(Clone::clone)
    }

    fn build(&self, proxy: Option<(&'static str, &str)>) -> Result<Agent, TransportError> {
        let config = configuration(&self.options, proxy)?.build();
        Ok(config.new_agent())
    }
}

/// How an agent is to behave towards every server: whom it believes, and that it follows nobody.
pub(super) fn configuration(
    options: &HttpOptions,
    proxy: Option<(&'static str, &str)>,
) -> Result<ConfigBuilder<AgentScope>, TransportError> {
    let proxy = match proxy {
        Some((variable, address)) => {
            // The address may hold a password, so the message names the variable alone.
            let reason = || format!("{variable} is not the address of a proxy");
            let proxy = ureq::Proxy::new(address)
                .map_err(|_| TransportError::Proxy { reason: reason() })?;
            Some(proxy)
        }
        None => None,
    };
    let tls = TlsConfig::builder()
        .root_certs(roots::load(&options.ca_files)?)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(options.connect_limit))
        .timeout_global(Some(options.overall_limit))
        .max_idle_age(IDLE)
        .user_agent(options.user_agent.as_str()))
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        if !is_safe(&request.url) {
            let reason = "the address is neither https nor on this computer".to_owned();
            return Err(TransportError::Tls { reason });
        }
        if limit.is_zero() {
            return Err(TransportError::Timeout);
        }
        let proxies = self.proxies.get_or_init(Proxies::from_environment);
        let proxy = proxies.for_url(&request.url);
        let failed = |error| match (translate(&error), proxy) {
            // With a proxy in between, the connection that could not be made is the one to it.
            (
                TransportError::Connect { reason } | TransportError::Proxy { reason },
                Some((variable, address)),
            ) => TransportError::Proxy {
                reason: of_proxy(&reason, variable, address),
            },
            (error, _) => error,
        };
        let agent = self.agent(proxy)?;

        let mut builder = ureq::http::Request::builder()
            .method(request.method.as_str())
            .uri(request.url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value.expose());
        }
        let body = request
            .body
            .as_ref()
            .map(|body| body.expose().as_bytes())
            .unwrap_or_default();
        let outgoing = builder.body(body).map_err(|error| failed(error.into()))?;
        // A limit of its own costs the agent's shared TLS settings, so it is set only when it bites.
        let outgoing = if limit < self.options.overall_limit {
            agent
                .configure_request(outgoing)
                .timeout_global(Some(limit))
                .build()
        } else {
            outgoing
        };
        let answer = if request.body.is_some() {
            agent.run(outgoing)
        } else {
            agent.run(outgoing.map(|_| ()))
        };
        let mut answer = answer.map_err(failed)?;
        let status = answer.status().as_u16();
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        if (300..400).contains(&status) && status != 304 {
            let location = headers.into_iter().find(|(name, _)| name == "location");
            return Err(TransportError::Redirect {
                location: location.map(|(_, to)| to),
            });
        }
        // The library refuses a body that reaches its limit; ours is the largest that is taken.
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_BODY as u64 + 1)
            .read_to_vec()
            .map_err(failed)?;
        Ok(HttpResponse {
            status,
            headers,
            body,
        })
    }
}

/// Why a proxy failed, and which variable names it. Its address may hold a password, and is not told.
fn of_proxy(reason: &str, variable: &str, address: &str) -> String {
    // As curl has it: with `socks5h` the proxy looks up names, with `socks5` whoever asks it.
    let looks_up_here = ["socks://", "socks4://", "socks5://"]
        .iter()
        .any(|scheme| address.starts_with(scheme));
    let is_lookup = reason.contains("lookup") || reason.contains("not found");
    if looks_up_here && is_lookup {
        return format!(
            "{reason}; with socks5h:// in {variable} the proxy looks up the name of the server"
        );
    }
    let wants_password = ["407", "auth methods", "authentication failed"]
        .iter()
        .any(|words| reason.contains(words));
    match (wants_password, address.contains('@')) {
        (true, true) => format!("it does not take the name and the password in {variable}"),
        (true, false) => {
            let scheme = address
                .split_once("://")
                .map_or("http", |(scheme, _)| scheme);
            let scheme = countersign_oauth::text::printable(scheme);
            format!("it wants a password: {variable}={scheme}://NAME:PASSWORD@HOST:PORT")
        }
        _ => format!("{reason} ({variable} names it)"),
    }
}

/// The driver's words for what the HTTP library says.
pub(super) fn translate(error: &ureq::Error) -> TransportError {
    let reason = || error.to_string();
    match error {
        ureq::Error::Timeout(_) => TransportError::Timeout,
        ureq::Error::Io(error) => translate_io(error),
        ureq::Error::HostNotFound => TransportError::Connect {
            reason: "the host name was not found".to_owned(),
        },
        ureq::Error::ConnectionFailed => TransportError::Connect { reason: reason() },
        ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::Pem(_)
        | ureq::Error::TlsRequired => TransportError::Tls { reason: reason() },
        ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
            TransportError::TooLarge
        }
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
            TransportError::Proxy { reason: reason() }
        }
        ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
            TransportError::Redirect { location: None }
        }
        _ => TransportError::Malformed { reason: reason() },
    }
}

fn translate_io(error: &io::Error) -> TransportError {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return TransportError::Tls {
            reason: tls.to_string(),
        };
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TransportError::Timeout,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => TransportError::Closed,
        _ => TransportError::Connect {
            reason: plain(error),
        },
    }
}

/// The system's message, without the number that std appends to it.
fn plain(error: &io::Error) -> String {
    let text = match error.source() {
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    without_number(&text).to_owned()
}
