//! Whether the client of an ssh connection has hung up. sshd does not look while it waits for PAM, and tells
//! nobody.
//!
//! The kernel's list of TCP connections has those that the other side has closed and this one has not.
//!
//! Not responsible for connections that the list does not have, such as those of another network namespace:
//! nothing is known of them, and they are waited for.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;

/// `CLOSE_WAIT`, as the list has it.
const CLOSED_BY_THE_OTHER: &str = "08";

/// Whether the client of this connection, in the form of `SSH_CONNECTION`, has hung up.
pub(crate) fn has_hung_up(ssh_connection: &str) -> bool {
    let Some(pairs) = pairs(ssh_connection) else {
        return false;
    };
    pairs.iter().any(|(list, local, remote)| {
        // Of this process, whatever is hidden elsewhere.
        let Ok(file) = File::open(format!("/proc/self/net/{list}")) else {
            return false;
        };
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        lines
            .skip(1)
            .any(|line| is_closed_one(&line, local, remote))
    })
}

/// In which lists a connection may stand, and its ends as they are written there.
fn pairs(ssh_connection: &str) -> Option<Vec<(&'static str, String, String)>> {
    let mut words = ssh_connection.split(' ');
    let mut end = || {
        let address = words.next()?.split('%').next()?.parse::<IpAddr>().ok()?;
        let port = words.next()?.parse::<u16>().ok()?;
        Some((address.to_canonical(), port))
    };
    let (client, server) = (end()?, end()?);
    let mut pairs = Vec::new();
    if let (IpAddr::V4(_), IpAddr::V4(_)) = (client.0, server.0) {
        pairs.push(("tcp", written(server), written(client)));
    }
    // A socket for both kinds has the older one inside of the newer.
    let mapped = |(address, port)| match address {
        IpAddr::V4(old) => (IpAddr::V6(old.to_ipv6_mapped()), port),
        new @ IpAddr::V6(_) => (new, port),
    };
    pairs.push(("tcp6", written(mapped(server)), written(mapped(client))));
    Some(pairs)
}

/// One end as the list has it: words of 32 bits in the order of this machine.
fn written((address, port): (IpAddr, u16)) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).filter_map(|word| {
        let word = u32::from_ne_bytes(word.try_into().ok()?);
        Some(format!("{word:08X}"))
    });
    format!("{}:{port:04X}", words.collect::<String>())
}

fn is_closed_one(line: &str, local: &str, remote: &str) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    fields.next() == Some(local)
        && fields.next() == Some(remote)
        && fields.next() == Some(CLOSED_BY_THE_OTHER)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    /// A connection between two addresses of this machine, as sshd names it.
    fn check(at: &str, from: &str, named: impl Fn(IpAddr) -> String) {
        let listener = TcpListener::bind((at, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((from, port)).unwrap();
        let (server, from) = listener.accept().unwrap();
        let to = server.local_addr().unwrap();
        let connection = format!(
            "{} {} {} {}",
            named(from.ip()),
            from.port(),
            named(to.ip()),
            to.port()
        );
        assert!(!has_hung_up(&connection), "{connection}");
        drop(client);
        let begun = Instant::now();
        while !has_hung_up(&connection) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{connection}");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The same ends the other way round are the client's.
        let other = format!("{} {} {} {}", to.ip(), to.port(), from.ip(), from.port());
        assert!(!has_hung_up(&other), "{other}");
        drop(server);
    }

    #[test]
    fn a_client_that_has_closed_the_connection_has_hung_up() {
        check("127.0.0.1", "127.0.0.1", |address| address.to_string());
        check("::1", "::1", |address| format!("{address}%lo"));
        // By the older kind of address, at the newer kind of socket.
        check("::", "127.0.0.1", |address| {
            address.to_canonical().to_string()
        });
    }

    #[test]
    fn what_is_no_connection_or_not_known_has_not() {
        for connection in [
            "",
            "127.0.0.1 1 127.0.0.1 1",
            "127.0.0.1 1",
            "UNKNOWN 65535 UNKNOWN 65535",
            "127.0.0.1 99999 127.0.0.1 22",
            "::1 1 127.0.0.1 22",
        ] {
            assert!(!has_hung_up(connection), "{connection}");
        }
    }
}
