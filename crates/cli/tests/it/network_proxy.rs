//! A proxy that leads every name to one port of this computer: by `CONNECT` or by SOCKS 5, perhaps for
//! those alone who have a password.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// No connection waits longer for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// A proxy that runs until the process ends.
pub(crate) struct Proxy {
    port: u16,
    asked_for: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that leads to `port`, for everybody or for those who say `user:password`.
    pub(crate) fn to(port: u16, credentials: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let own = listener.local_addr().expect("it is bound").port();
        let asked_for = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked_for);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = Arc::clone(&record);
                // A client that goes away in the middle says so itself.
                thread::spawn(move || drop(serve(stream, port, credentials, &record)));
            }
        });
        Self {
            port: own,
            asked_for,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The names that were asked for so far.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        self.asked_for
            .lock()
            .expect("nobody panics with it")
            .clone()
    }
}

fn serve(
    mut client: TcpStream,
    port: u16,
    credentials: Option<&str>,
    record: &Mutex<Vec<String>>,
) -> io::Result<()> {
    client.set_read_timeout(Some(LIMIT))?;
    let mut first = [0];
    client.read_exact(&mut first)?;
    let name = match first {
        [5] => socks(&mut client, credentials)?,
        [byte] => connect(&mut client, byte, credentials)?,
    };
    let Some(name) = name else { return Ok(()) };
    record.lock().expect("nobody panics with it").push(name);
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass(from, to));
    pass(server, client);
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// RFC 9110, section 9.3.6, and for the password section 11.7.
fn connect(
    client: &mut TcpStream,
    first: u8,
    credentials: Option<&str>,
) -> io::Result<Option<String>> {
    // Byte by byte: what follows the head belongs to the tunnel.
    let mut head = vec![first];
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let wanted = credentials.map(|known| format!("basic {}", STANDARD.encode(known)));
    let given = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("proxy-authorization");
        is_it.then(|| value.trim().to_owned())
    });
    let given = given.map(|given| given.replacen("Basic", "basic", 1));
    if wanted.is_some() && given != wanted {
        client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\
              proxy-authenticate: Basic realm=\"proxy\"\r\ncontent-length: 0\r\n\r\n",
        )?;
        return Ok(None);
    }
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    Ok(head.split(' ').nth(1).map(str::to_owned))
}

/// RFC 1928, and for the password RFC 1929.
fn socks(client: &mut TcpStream, credentials: Option<&str>) -> io::Result<Option<String>> {
    let methods = counted(client)?;
    let method = if credentials.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        client.write_all(&[5, 0xff])?;
        return Ok(None);
    }
    client.write_all(&[5, method])?;
    if let Some(known) = credentials {
        let mut version = [0];
        client.read_exact(&mut version)?;
        let name = counted(client)?;
        let password = counted(client)?;
        let given = [name.as_slice(), password.as_slice()].join(&b':');
        let right = given == known.as_bytes();
        client.write_all(&[1, u8::from(!right)])?;
        if !right {
            return Ok(None);
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request)?;
    let name = match request {
        [5, 1, _, 3] => String::from_utf8_lossy(&counted(client)?).into_owned(),
        [5, 1, _, 1] => {
            let mut address = [0; 4];
            client.read_exact(&mut address)?;
            Ipv4Addr::from(address).to_string()
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1])?;
    Ok(Some(name))
}

/// Bytes after their number.
fn counted(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut count = [0];
    client.read_exact(&mut count)?;
    let [count] = count;
    let mut bytes = vec![0; usize::from(count)];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}
