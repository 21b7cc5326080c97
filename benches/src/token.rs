//! What a cached `countersign token` costs beside processes that do nothing.

use std::io;
use std::path::Path;
use std::time::Duration;

use countersign_testkit::{Home, Program as Tool, Provider};

use crate::process::{Program, compare};
use crate::report::{self, Row, Target};

/// Signs in at a scripted provider with the real program, stops the provider, and times the rest.
pub(crate) fn measure(binaries: &Path, rounds: usize) -> io::Result<()> {
    let countersign = binaries.join("countersign");
    let home = Home::new();
    {
        let provider = Provider::start();
        Tool::new(&countersign)
            .args([
                "login",
                "--no-browser",
                "--issuer",
                &provider.issuer(),
                "--client-id",
                "cli",
            ])
            .home(&home)
            .limit(Duration::from_secs(30))
            .run()
            .expect_code(0);
        // Nobody listens from here on: whoever needs the network fails, and a failure ends the
        // benchmark.
    }
    let environment: Vec<(String, String)> = home
        .environment()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let programs = [
        Program::new("/bin/true", "/bin/true"),
        Program::new("a Rust program that does nothing", binaries.join("nothing")),
        Program::new("countersign version", &countersign)
            .arguments(["version"])
            .environment(&environment),
        Program::new("countersign token (cached)", &countersign)
            .arguments(["token"])
            .environment(&environment),
        Program::new("countersign credential kubernetes (cached)", &countersign)
            .arguments(["credential", "kubernetes"])
            .environment(&environment),
    ];
    let costs = compare(&programs, rounds)?;
    report::title("a cached token, as a whole process");
    report::costs(&programs, &costs);
    if let [floor, .., token, kubernetes] = costs.as_slice() {
        report::targets(&[
            Row::millis(
                "token above /bin/true",
                token.median.saturating_sub(floor.median),
                Target::AtMost(0.5),
            ),
            Row::millis(
                "credential kubernetes above /bin/true",
                kubernetes.median.saturating_sub(floor.median),
                Target::AtMost(0.5),
            ),
            Row::mebibytes("token, peak memory", token.peak_kib, Target::AtMost(8.0)),
        ]);
    }
    Ok(())
}
