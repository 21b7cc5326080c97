//! A few lines on the terminals of a login.
//!
//! A terminal is taken from what the kernel says about the processes of the login, opened without
//! following a link, without becoming ours and without waiting, and compared with what the kernel said:
//! no name that anybody chose decides where root writes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::fs::{Mode, OFlags};

/// Majors of Unix98 terminals, 256 minors each.
const PTS: std::ops::Range<u32> = 136..144;
/// The major of consoles and serial lines.
const TTY: u32 = 4;

/// Writes `text` on each of the terminals; how many took it whole. One that is stopped, full or gone is
/// passed over.
pub(crate) fn write(terminals: &BTreeSet<u32>, text: &str) -> usize {
    // The terminal may be in a mode in which a new line does not begin at the left.
    let text = format!("\r\n\u{7}{}", text.replace('\n', "\r\n"));
    let mut taken = 0;
    for device in terminals {
        if let Some(mut terminal) = open(*device) {
            taken += usize::from(terminal.write(text.as_bytes()).ok() == Some(text.len()));
        }
    }
    taken
}

fn open(device: u32) -> Option<File> {
    let flags =
        OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path(device)?, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let is_it = found.file_type().is_char_device()
        && (
            rustix::fs::major(found.rdev()),
            rustix::fs::minor(found.rdev()),
        ) == parts(device);
    is_it.then_some(file)
}

/// The name that devices of this kind have everywhere.
fn path(device: u32) -> Option<String> {
    match parts(device) {
        (major, minor) if PTS.contains(&major) => {
            let number = (major - PTS.start) * 256 + minor;
            Some(format!("/dev/pts/{number}"))
        }
        (TTY, minor @ 1..=63) => Some(format!("/dev/tty{minor}")),
        (TTY, minor @ 64..=255) => Some(format!("/dev/ttyS{}", minor - 64)),
        _ => None,
    }
}

/// Major and minor of a device as `/proc/PID/stat` packs them.
fn parts(device: u32) -> (u32, u32) {
    (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_one_name_and_other_devices_have_none() {
        for (device, name) in [
            (34816, Some("/dev/pts/0")),
            (34816 + 255, Some("/dev/pts/255")),
            (137 << 8, Some("/dev/pts/256")),
            ((4 << 8) | 1, Some("/dev/tty1")),
            ((4 << 8) | 64, Some("/dev/ttyS0")),
            // The console that is in front, the null device, a disk, nothing.
            (4 << 8, None),
            ((1 << 8) | 3, None),
            (8 << 8, None),
            (0, None),
        ] {
            assert_eq!(path(device).as_deref(), name, "{device}");
        }
    }
}
