//! kill -9 in the middle of renewals: no login is lost, none is doubled.
//!
//! The real program, over its real database. Several sessions renew as fast as
//! they can, the process is killed after a number of renewals that differs in
//! every trial, and the next one has to go on with every session exactly where
//! it was: a renewal that was answered is kept, one that was not is either
//! there or not, and asking again tells the same successor either way. So the
//! number in a session's token is the number of answers it ever got.
//!
//! `COUNTERSIGN_TRIALS` sets the number of trials; ten without it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod killing;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use countersign_issuer::core::{AskedSignIn, ClientCredentials, DeviceRequest};
use countersign_jose::base64url;
use tempfile::TempDir;

const SESSIONS: usize = 8;

#[test]
fn a_killed_issuer_loses_no_login_and_doubles_none() {
    let trials = killing::trials(10);
    let directory = TempDir::new().unwrap();
    let mut sessions = log_in(directory.path());
    for trial in 0..trials {
        let (mut server, address) = killing::serve(directory.path());
        for session in &mut sessions {
            session.goes_on(address);
        }
        // From the very first renewal to some way into the load; a multiplier
        // that spreads over the range without repeating soon.
        let renewals = 1 + trial * 37 % 211;
        sessions = renew_until(sessions, address, renewals, || server.kill());
    }
    let (_server, address) = killing::serve(directory.path());
    for session in &mut sessions {
        session.goes_on(address);
        assert!(
            session.answers >= trials,
            "every trial renews every session"
        );
    }
}

/// A login, as its client knows it.
struct Session {
    token: String,
    /// How many renewals were answered, which is what the number in the token
    /// has to be.
    answers: u64,
}

impl Session {
    /// After a restart: the token that the client holds is renewed, and asking
    /// twice gives one and the same successor.
    fn goes_on(&mut self, address: SocketAddr) {
        let mut connection = Connection::open(address).unwrap();
        let first = connection.refresh(&self.token).unwrap();
        let again = connection.refresh(&self.token).unwrap();
        assert_eq!(first, again, "one successor, not two");
        self.took(first);
    }

    fn took(&mut self, token: String) {
        self.token = token;
        self.answers += 1;
        assert_eq!(
            generation(&self.token),
            self.answers,
            "nothing lost, nothing doubled"
        );
    }
}

/// Renews all sessions at once until `renewals` were answered, then has the
/// server killed in the middle of the others.
fn renew_until(
    sessions: Vec<Session>,
    address: SocketAddr,
    renewals: u64,
    kill: impl FnOnce(),
) -> Vec<Session> {
    let (answered, answers) = mpsc::channel();
    let clients: Vec<_> = sessions
        .into_iter()
        .map(|session| {
            let answered = answered.clone();
            thread::spawn(move || renew(session, address, &answered))
        })
        .collect();
    drop(answered);
    for _ in 0..renewals {
        answers.recv().expect("renewals go on until the kill");
    }
    kill();
    clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect()
}

fn renew(mut session: Session, address: SocketAddr, answered: &Sender<()>) -> Session {
    let mut connection = Connection::open(address).unwrap();
    // Until the connection breaks, which is the kill.
    while let Ok(token) = connection.refresh(&session.token) {
        session.took(token);
        // Nobody counts any more after the kill.
        let _ = answered.send(());
    }
    session
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One renewal. An error is the end of the connection; a refusal is the
    /// end of the test.
    fn refresh(&mut self, token: &str) -> io::Result<String> {
        let body = format!("grant_type=refresh_token&client_id=cli&refresh_token={token}");
        let request = format!(
            "POST /token HTTP/1.1\r\nhost: issuer\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
        Ok(body["refresh_token"].as_str().unwrap().to_owned())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// The number in a refresh token.
fn generation(token: &str) -> u64 {
    let bytes = base64url::decode(token.strip_prefix("csr_").unwrap()).unwrap();
    u32::from_be_bytes(bytes[16..20].try_into().unwrap()).into()
}

/// Makes the state directory and the logins in it.
fn log_in(directory: &Path) -> Vec<Session> {
    killing::make(directory, async |core, now| {
        core.ensure_default_client(now).await.unwrap();
        let session = killing::signed_up(core, "ada", "correct horse", now).await;
        let (cli, peer) = (ClientCredentials::public("cli"), Ipv4Addr::LOCALHOST.into());
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let request = DeviceRequest {
                credentials: cli.clone(),
                scope: Some("openid offline_access".to_owned()),
                resources: Vec::new(),
                audiences: Vec::new(),
                sign_in: AskedSignIn::default(),
                peer,
                claimed_host: None,
                claimed_command: None,
            };
            let started = core.start_device(request, now).await.unwrap();
            core.approve(&started.user_code, &session, peer, now)
                .await
                .unwrap();
            let device_code = started.device_code.expose();
            let tokens = core
                .redeem_device(&cli, device_code, &[], now)
                .await
                .unwrap();
            let token = tokens.refresh_token.unwrap().expose().to_owned();
            sessions.push(Session { token, answers: 0 });
        }
        sessions
    })
}
