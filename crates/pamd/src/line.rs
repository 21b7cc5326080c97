//! One connection of the module: messages in, messages out, and everything else that is waited for at
//! the same time.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use countersign_pam_wire::{Echo, Incoming, Line as OneLine, Text, ToDaemon, ToModule, Verdict};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::login;
use crate::mailbox::Mailbox;
use crate::{Answer, Reference};

/// The module reads as soon as it has sent; whoever does not is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(3);

/// A connection of the module.
pub(crate) struct Line {
    stream: UnixStream,
    incoming: Incoming<ToDaemon>,
}

/// What was waited for.
#[derive(Debug)]
pub(crate) enum Came<M> {
    /// The module says something.
    Message(ToDaemon),
    /// Something is in the mailbox.
    Mail(M),
    /// The time is over.
    Nothing,
    /// The module is gone, or says what is no message.
    Gone(&'static str),
}

impl Line {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            incoming: Incoming::default(),
        })
    }

    /// Waits for the module, the mailbox or the end of `limit`, whatever comes first.
    pub(crate) fn wait<M>(&mut self, mailbox: Option<&Mailbox<M>>, limit: Duration) -> Came<M> {
        if let Some(message) = mailbox.and_then(Mailbox::take) {
            return Came::Mail(message);
        }
        match self.incoming.next_message() {
            Ok(Some(message)) => return Came::Message(message),
            Ok(None) => {}
            Err(error) => return Came::Gone(error.code()),
        }
        let limit = Timespec::try_from(limit).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        let readable = {
            let mut fds = vec![PollFd::new(&self.stream, PollFlags::IN)];
            if let Some(mailbox) = mailbox {
                fds.push(PollFd::new(mailbox, PollFlags::IN));
            }
            match poll(&mut fds, Some(&limit)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Came::Gone("poll_failed"),
            }
            fds.first().is_some_and(|fd| !fd.revents().is_empty())
        };
        if let Some(message) = mailbox.and_then(Mailbox::take) {
            return Came::Mail(message);
        }
        if readable { self.read() } else { Came::Nothing }
    }

    fn read<M>(&mut self) -> Came<M> {
        let mut chunk = zeroize::Zeroizing::new([0_u8; 4096]);
        let length = match self.stream.read(chunk.as_mut_slice()) {
            Ok(0) => return Came::Gone("closed"),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Came::Nothing,
            Err(_) => return Came::Gone("closed"),
        };
        let bytes = chunk.get(..length).unwrap_or_default();
        let received = self.incoming.receive(bytes);
        match received.and_then(|()| self.incoming.next_message()) {
            Ok(Some(message)) => Came::Message(message),
            // The rest of it is on its way.
            Ok(None) => Came::Nothing,
            Err(error) => Came::Gone(error.code()),
        }
    }

    pub(crate) fn prompt(&self, text: &str) -> io::Result<()> {
        self.send(&ToModule::Prompt {
            text: Text::clean(text),
            echo: Echo::On,
        })
    }

    pub(crate) fn info(&self, text: &str) -> io::Result<()> {
        self.send(&ToModule::Info {
            text: Text::clean(text),
        })
    }

    pub(crate) fn working(&self) -> io::Result<()> {
        self.send(&ToModule::Working)
    }

    pub(crate) fn done(&self, answer: &Answer) -> io::Result<()> {
        let reference = answer.reference.as_ref().map(Reference::as_str);
        self.send(&ToModule::Done {
            verdict: match answer.verdict {
                login::Verdict::Success => Verdict::Success,
                login::Verdict::Denied => Verdict::Denied,
                login::Verdict::Unavailable => Verdict::Unavailable,
                login::Verdict::Failed => Verdict::Failed,
            },
            text: Text::clean(&answer.text),
            reference: OneLine::clean(reference.unwrap_or_default()),
        })
    }

    fn send(&self, message: &ToModule) -> io::Result<()> {
        let encoded = message.encode().map_err(io::Error::other)?;
        let mut rest = encoded.expose();
        while !rest.is_empty() {
            match (&self.stream).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable()?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn writable(&self) -> io::Result<()> {
        let limit = Timespec::try_from(WRITE_LIMIT).ok();
        let mut fds = [PollFd::new(&self.stream, PollFlags::OUT)];
        match poll(&mut fds, limit.as_ref())? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}
