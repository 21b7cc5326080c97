//! A connection by a socket in the file system.
//!
//! Such a socket wakes whoever watches it for room each time the other side has read something. A
//! proxy on the same core would have to step aside for us once more for every answer that it has
//! read, and we would find nothing to do. So we watch for what comes, and for room only while a write
//! waits for it.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// Read at once: more than most requests have.
const PIECE: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct Local {
    /// Watched for what comes.
    stream: AsyncFd<UnixStream>,
    /// Another handle on it that is watched for room, while a write waits.
    full: Option<AsyncFd<UnixStream>>,
}

impl Local {
    /// Of a stream that does not block.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self {
            stream: watch(stream, Interest::READABLE)?,
            full: None,
        })
    }
}

#[expect(
    deprecated,
    reason = "what took its place is unsafe, lest somebody hand over a descriptor that is not theirs; \
              a stream owns its own"
)]
fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for Local {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let (room, _) = piece.split_at_mut(buf.remaining().min(PIECE));
        let most = room.len();
        loop {
            let mut ready = ready!(self.stream.poll_read_ready(cx))?;
            match recv(self.stream.get_ref(), &mut *room, RecvFlags::empty()) {
                Ok(((came, _), _)) => {
                    // Less than there was room for is all that there is; what comes after it is told
                    // anew.
                    if !came.is_empty() && came.len() < most {
                        ready.clear_ready();
                    }
                    buf.put_slice(came);
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl AsyncWrite for Local {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let room = match &self.full {
                Some(full) => Some(ready!(full.poll_write_ready(cx))?),
                None => None,
            };
            match send(self.stream.get_ref(), bytes, SendFlags::empty()) {
                Ok(count) => {
                    self.full = None;
                    return Poll::Ready(Ok(count));
                }
                Err(Errno::WOULDBLOCK) => {
                    if let Some(mut room) = room {
                        room.clear_ready();
                    } else {
                        let handle = self.stream.get_ref().try_clone()?;
                        self.full = Some(watch(handle, Interest::WRITABLE)?);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is held back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair() -> (Local, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Local::new(ours).unwrap(), theirs)
    }

    #[tokio::test]
    async fn more_than_the_socket_holds_goes_both_ways_whole() {
        let (mut local, mut theirs) = pair();
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(3_000_000).collect();
        let wanted = sent.clone();
        let other = std::thread::spawn(move || {
            let mut came = vec![0; wanted.len()];
            theirs.read_exact(&mut came).unwrap();
            assert!(came == wanted);
            theirs.write_all(&came).unwrap();
        });
        local.write_all(&sent).await.unwrap();
        let mut came = Vec::new();
        local.read_to_end(&mut came).await.unwrap();
        assert!(came == sent);
        other.join().unwrap();
    }

    #[tokio::test]
    async fn room_is_watched_for_only_while_a_write_waits() {
        let (mut local, mut theirs) = pair();
        local.write_all(b"little").await.unwrap();
        assert!(local.full.is_none());
        let much = vec![7; 3_000_000];
        let mut written = 0;
        let is_full = std::future::poll_fn(|cx| {
            while let Poll::Ready(count) = Pin::new(&mut local).poll_write(cx, &much[written..]) {
                written += count.unwrap();
            }
            Poll::Ready(local.full.is_some())
        });
        assert!(is_full.await);
        let other = std::thread::spawn(move || theirs.read_to_end(&mut Vec::new()).unwrap());
        local.write_all(&much[written..]).await.unwrap();
        assert!(local.full.is_none());
        local.shutdown().await.unwrap();
        assert_eq!(other.join().unwrap(), much.len() + 6);
    }
}
