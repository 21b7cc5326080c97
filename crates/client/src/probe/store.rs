//! Where sessions are kept: whether that is private, writable, and in use by somebody.

use std::io;
use std::path::PathBuf;

use countersign_store::{Purpose, StoreError};
use rustix::fs::{Access, access};

use crate::{Context, Session, SessionName};

/// What was found where sessions are kept. Nothing was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Store {
    /// The directory.
    pub path: PathBuf,
    /// Whether it is there; the first login makes it.
    pub exists: bool,
    /// What is wrong with the directory, if anything is.
    pub directory: Result<(), StoreError>,
    /// Whether something new can be written there, or the directory be made; if not, why.
    pub writable: Result<(), io::Error>,
    /// Whether there is room on the disk; nothing if nobody knows.
    pub room: Option<bool>,
    /// Each session there is, and what is wrong with its file, if anything is.
    pub sessions: Vec<(SessionName, Result<(), StoreError>)>,
    /// The sessions that another process is signing in to at the moment.
    pub busy: Vec<SessionName>,
}

/// Looks at the store of an application.
pub fn store(context: &Context) -> Store {
    let store = context.store();
    let path = store.path().to_owned();
    let exists = path.symlink_metadata().is_ok();
    let names = store.keys();
    // Where something would be made: in the directory, or in the nearest one that is there.
    let nearest = path.ancestors().find(|directory| directory.exists());
    let writable = match nearest {
        Some(directory) => {
            access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
        }
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let room = nearest.and_then(|directory| {
        let found = rustix::fs::statvfs(directory).ok()?;
        // Systems without such limits say zero of everything.
        Some(
            found.f_blocks == 0
                || (found.f_bavail > 0 && (found.f_files == 0 || found.f_favail > 0)),
        )
    });
    let (directory, names) = match names {
        Ok(names) => (Ok(()), names),
        Err(error) => (Err(error), Vec::new()),
    };
    let busy = names.iter().filter(|name| {
        // Only asked where there is a lock already, so that none is made.
        writable.is_ok() && matches!(store.try_lock(name, Purpose::Login), Ok(None))
    });
    let busy = busy.cloned().collect();
    let sessions = names
        .into_iter()
        .map(|name| {
            let found = store.load::<Session>(&name).map(drop);
            (name, found)
        })
        .collect();
    Store {
        path,
        exists,
        directory,
        writable,
        room,
        sessions,
        busy,
    }
}
