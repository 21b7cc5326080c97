//! Whose daemon is believed: root's; and the module's own user's, where that is not root.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Child, Command, Stdio};
use std::{fs, io::Read as _};

use countersign_pam_wire::Verdict;
use countersign_testkit::Program;

use crate::daemon::Daemon;
use crate::driver::{Driver, LOGIN};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    let id = Program::new("id").arg("-u").run();
    id.stdout.trim() == "0"
}

/// Only root can make a file of somebody else's; everybody else can meet one of root's, which is
/// believed.
#[test]
fn a_socket_of_somebody_else_is_not_used() {
    if !is_root() {
        return;
    }
    let daemon = Daemon::that_wants("hunter2");
    chown(daemon.socket(), Some(NOBODY), None).unwrap();
    let said = Driver::new(&daemon).call(&LOGIN[..1]);
    assert_eq!(said.codes(), [7]);
    assert_eq!(daemon.heard(), []);
}

/// A listener of user `nobody` behind a file of root's.
struct Impostor(Child);

impl Drop for Impostor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_listener_of_somebody_else_is_told_nothing() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let socket = directory.path().join("pam.sock");
    let script = "import socket, sys\n\
                  it = socket.socket(socket.AF_UNIX)\n\
                  it.bind(sys.argv[1])\n\
                  it.listen()\n\
                  print('ready', flush=True)\n\
                  print(len(it.accept()[0].recv(100)), flush=True)\n";
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--clear-groups",
        "/usr/bin/python3",
        "-c",
        script,
    ]);
    command.arg(&socket).stdout(Stdio::piped());
    let mut impostor = Impostor(command.spawn().unwrap());
    let mut stdout = impostor.0.stdout.take().unwrap();
    let mut line = [0; 6];
    stdout.read_exact(&mut line).unwrap();
    chown(&socket, Some(0), None).unwrap();

    let said = Driver::at(&socket).call(&LOGIN[..1]);
    assert_eq!(said.codes(), [7]);
    let mut heard = String::new();
    stdout.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "0\n");
}

#[test]
fn a_module_that_is_not_root_believes_root_and_itself() {
    if !is_root() {
        return;
    }
    let daemon = Daemon::start(|connection, _| connection.done(Verdict::Success));
    for path in [daemon.directory(), &daemon.socket()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let call = |owner| {
        chown(daemon.socket(), Some(owner), None).unwrap();
        let nobody = ["setpriv", "--reuid", "65534", "--clear-groups"];
        // The programs under test stand where only root looks.
        let copy = tempfile::tempdir().unwrap();
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Driver::new(&daemon)
            .copied_to(copy.path())
            .under(nobody)
            .call(&LOGIN[..1])
            .codes()
    };
    assert_eq!(call(0), [0]);
    // The file is its own, the listener is root's.
    assert_eq!(call(NOBODY), [0]);
    assert_eq!(call(NOBODY - 1), [7]);
}
