//! An HTTPS server on loopback that answers with what a function says, and the file with the
//! certificate it is known by.

#![expect(clippy::unwrap_used, reason = "what is set up for a test may panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request, as far as tests look at it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Status, header fields, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// A server for one name, which runs until the process ends.
pub(crate) struct Https {
    port: u16,
    ca_file: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Https {
    /// Starts one for the name `localhost`, whose certificate goes into `directory`.
    pub(crate) fn start(
        directory: &Path,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_as("localhost", directory, answer)
    }

    /// Starts one for another name, which has to be led to its port.
    pub(crate) fn start_as(
        name: &str,
        directory: &Path,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ca_file = directory.join(format!("ca-{port}.pem"));
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let (config, answer) = (Arc::new(config), Arc::new(answer));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                let record = Arc::clone(&record);
                thread::spawn(move || {
                    // A client that goes away in the middle says so itself.
                    let _ = serve(stream, config, &record, &*answer);
                });
            }
        });
        Self {
            port,
            ca_file,
            asked,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.host())
    }

    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    record: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(&Asked) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ServerConnection::new(config).unwrap();
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    if asked.header("transfer-encoding").is_some() {
        asked.body = chunks(&mut reader)?;
    } else {
        let length = asked.header("content-length").unwrap_or("0");
        asked.body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut asked.body)?;
    }
    record.lock().unwrap().push(asked.clone());
    let (status, headers, body) = answer(&asked);
    let mut text = Vec::new();
    write!(text, "HTTP/1.1 {status} -\r\nconnection: close\r\n")?;
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n")?;
    }
    // A body that brings its own framing is sent as it is.
    if !text.windows(7).any(|window| window == b"chunked") {
        write!(text, "content-length: {}\r\n", body.len())?;
    }
    text.extend_from_slice(b"\r\n");
    let stream = reader.get_mut();
    stream.write_all(&text)?;
    stream.write_all(&body)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A body in chunks, which tests send without extensions and trailers.
fn chunks(reader: &mut impl std::io::BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).unwrap();
        reader.by_ref().take(size).read_to_end(&mut body)?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
