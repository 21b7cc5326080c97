//! A box for one reader who waits for a socket at the same time.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

/// Messages for one reader, and a descriptor that is readable when there are any.
#[derive(Debug)]
pub(crate) struct Mailbox<M> {
    messages: Mutex<VecDeque<M>>,
    bell: OwnedFd,
}

impl<M> Mailbox<M> {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            messages: Mutex::default(),
            bell,
        })
    }

    /// Puts a message in.
    pub(crate) fn post(&self, message: M) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push_back(message);
        // The counter is full after more rings than there are messages in any life.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Takes the oldest message out.
    pub(crate) fn take(&self) -> Option<M> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let message = messages.pop_front();
        if messages.is_empty() {
            // It may be silent already.
            let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        }
        message
    }
}

impl<M> AsFd for Mailbox<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn the_bell_rings_as_long_as_there_is_something() {
        let mailbox = Mailbox::new().unwrap();
        let rings = || {
            let mut fds = [PollFd::new(&mailbox, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
        };
        assert!(!rings());
        mailbox.post(1);
        mailbox.post(2);
        assert!(rings());
        assert_eq!(mailbox.take(), Some(1));
        assert!(rings());
        assert_eq!(mailbox.take(), Some(2));
        assert!(!rings());
        assert_eq!(mailbox.take(), None);
    }
}
