//! A Unix stream to a process whose user is known, with a limit to every wait.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::talk::Stream;

/// A connected stream.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: UnixStream,
}

impl Socket {
    /// Connects, and waits no longer than `within` for room in the queue of the one that listens.
    pub(super) fn connect(path: &Path, within: Duration) -> io::Result<Self> {
        let address = address(path)?;
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: takes three numbers and no pointer.
        let number = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, open, and known to nobody else.
        let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(number) });
        // For Unix sockets this holds for `connect` as well (socket(7)).
        stream.set_write_timeout(Some(within))?;
        let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
        // SAFETY: `address` is a `sockaddr_un` of this length and lives until the call returns; the
        // descriptor is open.
        let connected =
            unsafe { libc::connect(stream.as_raw_fd(), (&raw const address).cast(), length) };
        if connected != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { stream })
    }

    /// The user of the process that listened.
    pub(super) fn peer_uid(&self) -> io::Result<u32> {
        peer_uid(self.stream.as_fd())
    }
}

#[cfg(test)]
impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { stream }
    }
}

impl Stream for Socket {
    fn send(&mut self, bytes: &[u8], within: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(Some(within))?;
        let mut rest = bytes;
        while !rest.is_empty() {
            // SAFETY: `rest` is so many readable bytes, and the descriptor is open. Without
            // MSG_NOSIGNAL a daemon that hangs up would end the program that called PAM.
            let sent = unsafe {
                libc::send(
                    self.stream.as_raw_fd(),
                    rest.as_ptr().cast(),
                    rest.len(),
                    libc::MSG_NOSIGNAL,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(_) => return Err(io::Error::last_os_error()),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(within))?;
        self.stream.read(buffer)
    }
}

fn address(path: &Path) -> io::Result<libc::sockaddr_un> {
    let mut address = libc::sockaddr_un {
        sun_family: libc::sa_family_t::try_from(libc::AF_UNIX).map_err(io::Error::other)?,
        sun_path: [0; 108],
    };
    let bytes = path.as_os_str().as_bytes();
    // The NUL behind it has to fit.
    if bytes.is_empty() || bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = byte.cast_signed();
    }
    Ok(address)
}

fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let size = size_of_val(&peer);
    let mut length = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    // SAFETY: `peer` has room for `length` bytes, which is what SO_PEERCRED writes at most; any bytes
    // are a `ucred`. Both live until the call returns, and the descriptor is open.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    if usize::try_from(length).is_ok_and(|length| length == size) {
        Ok(peer.uid)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
