//! An internet of a few hosts on this computer: a proxy that knows them by their public names, and
//! certificates that a `countersign` believes which is told to.
//!
//! With it a preset is tested as people use it: `--provider okta --org acme` really leads to
//! `https://acme.okta.com`, and nothing is weakened or replaced on the way.

use std::collections::HashMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use countersign_testkit::{Browser, Provider};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// No connection lives longer.
const LIMIT: Duration = Duration::from_secs(20);

/// The hosts, the way to them, and the authority that vouches for them.
///
/// Its thread ends with the test process; it holds nothing that anybody misses.
#[derive(Debug)]
pub struct Internet {
    proxy: u16,
    hosts: Arc<Hosts>,
    authority: TempDir,
}

#[derive(Debug)]
struct Hosts {
    issuer: CertifiedIssuer<'static, KeyPair>,
    known: Mutex<HashMap<String, Host>>,
}

/// A port of this computer, and what the host shows to prove its name.
#[derive(Clone, Debug)]
struct Host {
    port: u16,
    tls: Arc<ServerConfig>,
}

impl Internet {
    /// One without hosts.
    ///
    /// # Panics
    /// When this computer has no port or no temporary directory to give.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is a bad one");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "Example Inspection CA");
        let key = KeyPair::generate().expect("the system has random numbers");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the parameters are good");
        let authority = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(authority.path().join("ca.pem"), issuer.pem()).expect("it can be written");
        let hosts = Arc::new(Hosts {
            issuer,
            known: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let proxy = listener.local_addr().expect("it is bound").port();
        let shared = Arc::clone(&hosts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hosts = Arc::clone(&shared);
                // Clients that go away in the middle are what some tests are about.
                thread::spawn(move || drop(hosts.serve(stream)));
            }
        });
        Self {
            proxy,
            hosts,
            authority,
        }
    }

    /// Lets these names lead to the provider.
    ///
    /// # Panics
    /// When a name is none.
    pub fn host(&self, names: &[&str], provider: &Provider) {
        for name in names {
            let host = Host {
                port: provider.server().port(),
                tls: self.hosts.certify(name),
            };
            self.hosts.lock().insert((*name).to_owned(), host);
        }
    }

    /// A provider that is reached without the proxy, at `https://localhost` and a port.
    ///
    /// # Panics
    /// When this computer has no port to give.
    pub fn direct(&self) -> Provider {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let provider = Provider::start_as(&format!("https://localhost:{port}"), &[]);
        let host = Host {
            port: provider.server().port(),
            tls: self.hosts.certify("localhost"),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let host = host.clone();
                thread::spawn(move || drop(relay(host, stream)));
            }
        });
        provider
    }

    /// What a program is told so that it finds the hosts and believes them.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.proxy)),
            ("SSL_CERT_FILE", self.certificates().display().to_string()),
        ]
    }

    /// The file with the authority's certificate.
    pub fn certificates(&self) -> PathBuf {
        self.authority.path().join("ca.pem")
    }

    /// A person's browser that finds the hosts.
    pub fn browser(&self) -> Browser {
        let mut browser = Browser::new();
        for (name, host) in self.hosts.lock().iter() {
            browser.lead(name, host.port);
        }
        browser
    }
}

impl Default for Internet {
    fn default() -> Self {
        Self::new()
    }
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn certify(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("the system has random numbers");
        let certificate = CertificateParams::new([name.to_owned()])
            .and_then(|params| params.signed_by(&key, &self.issuer))
            .expect("the name is one");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .expect("the key is the certificate's");
        Arc::new(config)
    }

    /// One connection through the proxy: `CONNECT`, the handshake as the host that was asked for, one
    /// request, one answer.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(LIMIT))?;
        client.set_write_timeout(Some(LIMIT))?;
        // Byte by byte: what follows the head belongs to the tunnel.
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
            client.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.split(' ').nth(1).unwrap_or_default();
        let name = target.strip_suffix(":443").unwrap_or(target);
        let Some(host) = self.lock().get(name).cloned() else {
            return client.write_all(b"HTTP/1.1 502 No such host here\r\n\r\n");
        };
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        relay(host, client)
    }
}

/// The handshake as the host, one request, one answer.
fn relay(host: Host, client: TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(LIMIT))?;
    client.set_write_timeout(Some(LIMIT))?;
    let session = ServerConnection::new(host.tls).map_err(io::Error::other)?;
    let mut tunnel = BufReader::new(StreamOwned::new(session, client));
    let request = read_request(&mut tunnel)?;
    let answer = ask(host.port, &request)?;
    let stream = tunnel.get_mut();
    stream.write_all(&answer)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// One request as it is, told to be the last of its connection.
fn read_request(from: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            request.extend(b"connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with("connection:") {
            request.extend(line.bytes());
        }
    }
    from.take(length).read_to_end(&mut request)?;
    Ok(request)
}

/// The host's answer, which says itself that it is the last one.
fn ask(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_read_timeout(Some(LIMIT))?;
    server.write_all(request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    if let Some(end) = answer.windows(2).position(|window| window == b"\r\n") {
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let lines = format!("connection: close\r\ndate: {date}\r\n");
        answer.splice(end + 2..end + 2, lines.into_bytes());
    }
    Ok(answer)
}
