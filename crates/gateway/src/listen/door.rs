//! The sockets that connections come in by: addresses, and names in the file system.
//!
//! They are opened once, before anything is answered, and every worker has its own handle on each.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net as unix;
use std::path::Path;

use countersign_console::Problem;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::runtime::Runtime;

use super::local::Local;
use crate::config::Place;
use crate::connection::Door;

/// How many connections wait to be taken.
const BACKLOG: u32 = 1024;

/// Every open socket, and what it is for.
#[derive(Debug, Default)]
pub(crate) struct Doors(Vec<(Door, Socket)>);

/// An open socket that belongs to no runtime yet.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(unix::UnixListener),
}

/// A socket that connections are taken from.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that was taken.
#[derive(Debug)]
pub(super) enum Taken {
    Tcp(TcpStream, IpAddr),
    /// Whoever it is, it is on this machine.
    Unix(Local),
}

impl Taken {
    pub(super) fn peer(&self) -> IpAddr {
        match self {
            Self::Tcp(_, peer) => *peer,
            Self::Unix(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Doors {
    pub(crate) fn open(
        &mut self,
        house: &Runtime,
        door: Door,
        place: &Place,
    ) -> Result<(), Problem> {
        let socket = match place {
            Place::Tcp(address) => Socket::Tcp(
                open_tcp(house, *address)?
                    .into_std()
                    .map_err(unknown_address)?,
            ),
            Place::Unix(path, mode) => Socket::Unix(open_unix(path, *mode)?),
        };
        self.0.push((door, socket));
        Ok(())
    }

    pub(crate) fn try_clone(&self) -> Result<Self, Problem> {
        let clones = self.0.iter().map(|(door, socket)| {
            let clone = match socket {
                Socket::Tcp(socket) => socket.try_clone().map(Socket::Tcp),
                Socket::Unix(socket) => socket.try_clone().map(Socket::Unix),
            };
            clone.map(|clone| (*door, clone))
        });
        let clones: io::Result<_> = clones.collect();
        clones.map(Self).map_err(unknown_address)
    }

    pub(crate) fn take(&mut self) -> Vec<(Door, Socket)> {
        std::mem::take(&mut self.0)
    }

    /// Where callers come in, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let callers = self.0.iter().filter(|(door, _)| *door == Door::Callers);
        callers
            .filter_map(|(_, socket)| match socket {
                Socket::Tcp(socket) => socket.local_addr().ok(),
                Socket::Unix(_) => None,
            })
            .collect()
    }

    /// Where other proxies ask, as the file writes it.
    pub(crate) fn forward_addresses(&self) -> Vec<String> {
        let proxies = self.0.iter().filter(|(door, _)| *door != Door::Callers);
        proxies
            .filter_map(|(_, socket)| match socket {
                Socket::Tcp(socket) => Some(socket.local_addr().ok()?.to_string()),
                Socket::Unix(socket) => {
                    let address = socket.local_addr().ok()?;
                    Some(format!("unix:{}", address.as_pathname()?.display()))
                }
            })
            .collect()
    }
}

impl Socket {
    pub(crate) fn into_listener(self) -> io::Result<Listener> {
        match self {
            Self::Tcp(socket) => TcpListener::from_std(socket).map(Listener::Tcp),
            Self::Unix(socket) => UnixListener::from_std(socket).map(Listener::Unix),
        }
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Taken> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Taken::Tcp(stream, peer.ip()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Taken::Unix(Local::new(stream.into_std()?)?))
            }
        }
    }
}

pub(crate) fn open_tcp(house: &Runtime, address: SocketAddr) -> Result<TcpListener, Problem> {
    let _house = house.enter();
    let opened = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for connections of the past.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    opened().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => Problem::new(format!("{address} is in use by another program"))
            .hint(format!("ss -tlnp 'sport = :{}'", address.port())),
        io::ErrorKind::PermissionDenied => {
            Problem::new(format!("{address} needs a permission to be listened on"))
                .because(error)
                .hint("take a port above 1023, or give the program CAP_NET_BIND_SERVICE")
        }
        _ => Problem::new(format!("{address} cannot be listened on")).because(error),
    })
}

/// Opens a socket in the file system. One that is there and that nobody listens on is left over from
/// a process that has ended.
fn open_unix(path: &Path, mode: u32) -> Result<unix::UnixListener, Problem> {
    let name = path.display();
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        match unix::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // Should it stay, the next line says so.
                let _ = fs::remove_file(path);
            }
            _ => {
                return Err(
                    Problem::new(format!("unix:{name} is in use by another program"))
                        .hint(format!("ss -xlp src {name}")),
                );
            }
        }
    }
    let opened = || {
        let listener = unix::UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    opened().map_err(|error: io::Error| {
        Problem::new(format!("unix:{name} cannot be listened on")).because(error)
    })
}

pub(crate) fn unknown_address(error: io::Error) -> Problem {
    Problem::new("a socket cannot be used").because(error)
}
