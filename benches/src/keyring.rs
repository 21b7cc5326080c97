//! What it costs that a refresh token is in the keyring: nothing while the token is cached, and little
//! when it is renewed. The keyring is a real gnome-keyring on a bus of its own.

use std::io;
use std::path::Path;

use countersign_testkit::{Desktop, Provider};

use crate::process::{Program, compare};
use crate::report::{self, Row, Target};
use crate::signed_in::SignedIn;

/// Times cached tokens and renewals. Provider and keyring run beside them.
pub(crate) fn measure(programs: &Path, rounds: usize) -> io::Result<()> {
    let countersign = programs.join("countersign");
    let desktop = Desktop::new();
    let provider = Provider::start();
    let bus = [("DBUS_SESSION_BUS_ADDRESS", desktop.address().to_owned())];
    let home = |store: &str| SignedIn::at(&provider, &countersign, store, &bus);
    let (file, key, item) = (home("file"), home("keyring-key"), home("keyring"));
    let renewal = "token --force-refresh";
    let programs = [
        Program::new("/bin/true", "/bin/true"),
        item.program("token (cached), keyring", "token"),
        file.program("a renewal, file", renewal),
        key.program("a renewal, keyring-key", renewal),
        item.program("a renewal, keyring", renewal),
    ];
    let costs = compare(&programs, rounds)?;
    report::title("with the refresh token in a keyring, as a whole process");
    report::costs(&programs, &costs);
    if let [floor, cached, file, key, item] = costs.as_slice() {
        report::targets(&[
            Row::millis(
                "a cached token above /bin/true",
                cached.median.saturating_sub(floor.median),
                Target::AtMost(10.0),
            ),
            Row::millis(
                "a renewal with a key from the keyring, above one from the file",
                key.median.saturating_sub(file.median),
                Target::AtMost(10.0),
            ),
            Row::millis(
                "a renewal with the token in the keyring, above one from the file",
                item.median.saturating_sub(file.median),
                Target::AtMost(10.0),
            ),
        ]);
    }
    Ok(())
}
