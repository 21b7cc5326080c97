//! A terminal for a program whose person the demo plays: there it is asked, and
//! there it answers.
//!
//! Not responsible for what a screen would make of what is shown.

use std::env;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::thread;

use rustix::fs::OFlags;
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::children::program;
use crate::failure::{Failure, because};

/// The demo's own argument for "at this terminal".
const SEAT: &str = "--seat";

/// Takes the terminal on standard input as the one that controls this process,
/// and becomes the program that is named after [`SEAT`]. `None` when it is not.
pub(crate) fn seat(arguments: &[String]) -> Option<Failure> {
    let [first, path, rest @ ..] = arguments else {
        return None;
    };
    if first != SEAT {
        return None;
    }
    let seated = setsid().and_then(|_| ioctl_tiocsctty(io::stdin()));
    if let Err(error) = seated {
        return Some(Failure::new(format!("no seat at a terminal: {error}")));
    }
    let error = std::process::Command::new(path).args(rest).exec();
    Some(Failure::new(format!("{path}: {error}")))
}

/// A program at a terminal of its own. It is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Seated {
    child: Child,
    keyboard: File,
    pieces: mpsc::UnboundedReceiver<Vec<u8>>,
    shown: String,
    /// How much of it was waited for.
    seen: usize,
}

impl Seated {
    /// Starts the program at `path`; `prepare` adds arguments and variables.
    pub(crate) fn start(
        path: &Path,
        home: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, Failure> {
        let demo = env::current_exe().map_err(because("the demo does not find itself"))?;
        let [keyboard, mut output, input, out, err] =
            open().map_err(because("there is no terminal to be had"))?;
        let mut command = program(&demo, home);
        command.arg(SEAT).arg(path);
        prepare(&mut command);
        command.stdin(input).stdout(out).stderr(err);
        let child = command
            .spawn()
            .map_err(because("the program cannot be run"))?;
        // The command holds the program's side: as long as it does, there is no end.
        drop(command);
        let (sender, pieces) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let mut piece = [0_u8; 4096];
            // Once nobody has the other side open, reading is an error.
            while let Ok(count @ 1..) = output.read(&mut piece) {
                let piece = piece.get(..count).unwrap_or_default();
                if sender.send(piece.to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            keyboard,
            pieces,
            shown: String::new(),
            seen: 0,
        })
    }

    /// Waits until `words` are shown, behind those of the last time.
    pub(crate) async fn see(&mut self, words: &str) -> Result<(), Failure> {
        loop {
            let new = self.shown.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(words) {
                self.seen += at + words.len();
                return Ok(());
            }
            if !self.hear().await {
                let failure = Failure::new(format!("it does not show {words:?}"));
                return Err(failure.with_detail(&self.shown));
            }
        }
    }

    /// Types these characters.
    pub(crate) fn types(&mut self, text: &str) -> Result<(), Failure> {
        self.keyboard
            .write_all(text.as_bytes())
            .map_err(because("nothing can be typed"))
    }

    /// Waits for its end; gives the exit code and everything that was shown.
    pub(crate) async fn end(mut self) -> Result<(Option<i32>, String), Failure> {
        while self.hear().await {}
        let status = self.child.wait().await.map_err(because("no end"))?;
        Ok((status.code(), self.shown))
    }

    /// Whether there was something to hear.
    async fn hear(&mut self) -> bool {
        let Some(piece) = self.pieces.recv().await else {
            return false;
        };
        let text = String::from_utf8_lossy(&piece).replace('\r', "");
        self.shown.push_str(&text);
        true
    }
}

/// Two of the person's end of a new terminal, and three of the program's.
fn open() -> io::Result<[File; 5]> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let name = ptsname(&controller, Vec::new())?;
    let ours = File::from(controller);
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        // The demo is not to be controlled by it.
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(OsStr::from_bytes(name.as_bytes()))?;
    let (output, input, out) = (ours.try_clone()?, theirs.try_clone()?, theirs.try_clone()?);
    Ok([ours, output, input, out, theirs])
}
