//! Reading a file that decides who may log in: it is root's, nobody else can write it, and it is short.
//!
//! Not responsible for what is in it.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use countersign_console::Problem;

/// Who may read it besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Anybody,
    Nobody,
}

/// What a file is recognised by: whoever changes it changes one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The file at `path` as it is now; `None` when it cannot be looked at.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|found| Self::of(&found))
    }
}

/// Reads a file of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64, readers: Readers) -> Result<(String, Seen), Problem> {
    let shown = path.display();
    let failed = |error| Problem::unreadable(path, &error);
    // A pipe that somebody put there must not hold anybody up.
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    // Of the file that is open, not of the name: the two may have changed places since.
    let metadata = file.metadata().map_err(failed)?;
    check(path, &metadata, readers)?;
    check_directories(path)?;
    let mut text = String::new();
    let read = file.take(most + 1).read_to_string(&mut text);
    read.map_err(|error| Problem::new(format!("{shown} cannot be read as text")).because(error))?;
    if text.len() as u64 > most {
        return Err(Problem::new(format!("{shown} is too long"))
            .why(format!("at most {most} bytes are read of a file like this")));
    }
    Ok((text, Seen::of(&metadata)))
}

/// Root, or whoever runs the daemon where that is not root.
fn may_own(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn check(path: &Path, metadata: &Metadata, readers: Readers) -> Result<(), Problem> {
    let shown = path.display();
    let refused = || Problem::new(format!("{shown} is not used"));
    if !metadata.is_file() {
        return Err(refused().why("it is not a plain file"));
    }
    if !may_own(metadata.uid()) {
        return Err(refused()
            .why(format!(
                "it belongs to user {}, not to root",
                metadata.uid()
            ))
            .hint(format!("chown root: {shown}")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(refused()
            .why(format!("others than root can write it (mode {mode:04o})"))
            .hint(format!("chmod go-w {shown}")));
    }
    if readers == Readers::Nobody && mode & 0o077 != 0 {
        return Err(refused()
            .why(format!(
                "it holds a secret that others can read (mode {mode:04o})"
            ))
            .hint(format!("chmod 0600 {shown}")));
    }
    Ok(())
}

/// Whoever can write a directory above can put another file in the place of this one.
fn check_directories(path: &Path) -> Result<(), Problem> {
    let real = fs::canonicalize(path).map_err(|error| {
        Problem::new(format!("{} cannot be found", path.display())).because(error)
    })?;
    for directory in real.ancestors().skip(1) {
        let shown = directory.display();
        let metadata =
            fs::metadata(directory).map_err(|error| Problem::unreadable(directory, &error))?;
        let mode = metadata.mode() & 0o7777;
        // In a sticky directory nobody can replace what is another's.
        let is_open = mode & 0o022 != 0 && mode & 0o1000 == 0;
        if is_open || !may_own(metadata.uid()) {
            return Err(Problem::new(format!("{} is not used", path.display()))
                .why(format!(
                    "others than root can put another file there: {shown} (mode {mode:04o})"
                ))
                .hint(format!("chown root: {shown} && chmod go-w {shown}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    fn file(home: &Path, mode: u32) -> PathBuf {
        let path = home.join(format!("file-{mode:o}"));
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_a_file_that_others_cannot_write_is_read() {
        let home = tempfile::tempdir().unwrap();
        for (mode, readers, why) in [
            (0o644, Readers::Anybody, None),
            (0o600, Readers::Nobody, None),
            (0o664, Readers::Anybody, Some("can write it (mode 0664)")),
            (0o602, Readers::Anybody, Some("can write it (mode 0602)")),
            (
                0o640,
                Readers::Nobody,
                Some("a secret that others can read (mode 0640)"),
            ),
        ] {
            let path = file(home.path(), mode);
            let outcome = read(&path, 100, readers);
            match why {
                None => assert_eq!(outcome.unwrap().0, "content"),
                Some(why) => assert!(outcome.unwrap_err().to_string().contains(why), "{mode:o}"),
            }
        }
    }

    #[test]
    fn what_is_too_long_or_no_file_is_refused_and_nobody_waits_for_a_pipe() {
        let home = tempfile::tempdir().unwrap();
        let path = file(home.path(), 0o600);
        assert!(
            read(&path, 6, Readers::Anybody)
                .unwrap_err()
                .line()
                .contains("too long")
        );
        assert!(read(&path, 7, Readers::Anybody).is_ok());
        let pipe = home.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for path in [pipe.as_path(), home.path()] {
            let problem = read(path, 100, Readers::Anybody).unwrap_err();
            assert!(problem.line().contains("not a plain file"), "{problem}");
        }
    }

    #[test]
    fn a_directory_that_others_can_write_spoils_the_file() {
        let home = tempfile::tempdir().unwrap();
        let path = file(home.path(), 0o600);
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let problem = read(&path, 100, Readers::Anybody).unwrap_err();
        assert!(
            problem.to_string().contains("can put another file there"),
            "{problem}"
        );
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(read(&path, 100, Readers::Anybody).is_ok());
    }

    #[test]
    fn a_change_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let path = file(home.path(), 0o600);
        let before = Seen::at(&path).unwrap();
        assert_eq!(Seen::at(&path).unwrap(), before);
        fs::write(&path, "another").unwrap();
        fs::write(&path, "content2").unwrap();
        assert_ne!(Seen::at(&path).unwrap(), before);
    }
}
