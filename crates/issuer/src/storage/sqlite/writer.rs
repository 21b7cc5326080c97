//! The one thread that writes.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::records::Rows;
use super::run;
use crate::storage::{Operation, StorageError};

/// The most operations of one transaction: enough to spread an `fsync` thin,
/// few enough that the first of them is not kept waiting for the last.
const MOST_TOGETHER: usize = 256;

/// The way to the writing thread. Dropping it finishes what waits, closes the
/// database and ends the thread.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Operation>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (queue, operations) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("storage".to_owned())
            .spawn(move || write_all(&connection, &operations))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub(super) fn submit(&self, operation: Box<dyn Operation>) {
        let refused = match &self.queue {
            Some(queue) => queue.send(operation).err().map(|error| error.0),
            None => Some(operation),
        };
        if let Some(operation) = refused {
            operation.finish(Err(StorageError::Closed));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its own hook.
            let _ = thread.join();
        }
    }
}

fn write_all(connection: &Connection, operations: &Receiver<Box<dyn Operation>>) {
    let mut done = Vec::with_capacity(MOST_TOGETHER);
    while let Ok(first) = operations.recv() {
        if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
            first.finish(Err(error));
            continue;
        }
        // What has come by now, and what comes while these are run; while the
        // disk is busy below, the next batch gathers by itself.
        let waiting = std::iter::once(first).chain(operations.try_iter());
        for mut operation in waiting.take(MOST_TOGETHER) {
            let outcome = run_alone(connection, operation.as_mut());
            done.push((operation, outcome));
        }
        let committed = run(connection, "COMMIT");
        if committed.is_err() {
            // Whatever SQLite left open; an error here says it left nothing.
            let _ = run(connection, "ROLLBACK");
        }
        let durable = committed.is_ok();
        let mut failure = committed.err();
        for (operation, outcome) in done.drain(..) {
            operation.finish(if durable {
                outcome
            } else {
                outcome.and(Err(failure.take().unwrap_or(StorageError::NotDurable)))
            });
        }
    }
}

/// Runs one operation so that it can be undone without the others.
fn run_alone(connection: &Connection, operation: &mut dyn Operation) -> Result<(), StorageError> {
    run(connection, "SAVEPOINT operation")?;
    let outcome = operation.run(&mut Rows(connection));
    if outcome.is_err() {
        run(connection, "ROLLBACK TO operation")?;
    }
    run(connection, "RELEASE operation")?;
    outcome
}
