//! Whose the other end of a connection is, as far as the system says.
//!
//! On Linux `/proc/net/tcp` lists the connections of this network namespace with the user of each
//! (`proc_pid_net(5)`). Elsewhere nothing like it can be had without privileges, and the secret in the
//! path is what there is.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// The same user.
    Own,
    /// Another one.
    Stranger,
    /// The system does not say.
    Unknown,
}

pub(super) fn of(stream: &TcpStream) -> Peer {
    let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else {
        return Peer::Stranger;
    };
    if !cfg!(target_os = "linux") {
        return Peer::Unknown;
    }
    let own = rustix::process::geteuid().as_raw();
    // The other end may be a socket of IPv6 that speaks IPv4, as those of Java are; it is in a table
    // of its own.
    let mut unknown = true;
    for (table, written) in [("tcp", four as Written), ("tcp6", mapped)] {
        let Ok(table) = std::fs::read_to_string(format!("/proc/net/{table}")) else {
            continue;
        };
        unknown = false;
        if let Some(user) = user(&table, written, here, there) {
            return if user == own {
                Peer::Own
            } else {
                Peer::Stranger
            };
        }
    }
    // Whoever is not listed has gone already.
    if unknown {
        Peer::Unknown
    } else {
        Peer::Stranger
    }
}

/// How the kernel writes an address, which is as the numbers that are in memory.
type Written = fn(Ipv4Addr) -> String;

fn four(address: Ipv4Addr) -> String {
    numbers(&address.octets())
}

fn mapped(address: Ipv4Addr) -> String {
    numbers(&address.to_ipv6_mapped().octets())
}

fn numbers(octets: &[u8]) -> String {
    let mut text = String::new();
    for four in octets.chunks_exact(4).filter_map(|it| it.try_into().ok()) {
        let _ = write!(text, "{:08X}", u32::from_ne_bytes(four));
    }
    text
}

/// Whose the connection is that begins there and ends here.
fn user(table: &str, written: Written, here: SocketAddr, there: SocketAddr) -> Option<u32> {
    let end = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => Some(format!("{}:{:04X}", written(ip), address.port())),
        IpAddr::V6(_) => None,
    };
    let (here, there) = (end(here)?, end(there)?);
    table.lines().skip(1).find_map(|line| {
        // Number, local address, remote address, state, two queues, timer, retries, user.
        let mut words = line.split_ascii_whitespace().skip(1);
        let ends = (words.next()?, words.next()?);
        let user = words.nth(4)?;
        (ends == (there.as_str(), here.as_str()))
            .then(|| user.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_says_who_connects() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for from in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let _client = TcpStream::connect((from, port)).unwrap();
            let (stream, _) = listener.accept().unwrap();
            assert_eq!(of(&stream), Peer::Own, "{from}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_connection_is_found_by_both_its_ends() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1
   1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000  1000        0 2 1
   2: 0100007F:C000 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 3 1
   3: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4 1
";
        let here: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let from = |port| user(table, four, here, SocketAddr::new(here.ip(), port));
        assert_eq!(from(0xC000), Some(1001));
        assert_eq!(from(0xC001), Some(1000));
        assert_eq!(from(0xC002), None);
        assert_eq!(user("", four, here, here), None);
        let mapped = mapped(Ipv4Addr::LOCALHOST);
        assert_eq!(mapped, "0000000000000000FFFF00000100007F");
    }
}
