//! What a cached `countersign token` costs beside processes that do nothing.

use std::io;
use std::path::Path;

use countersign_testkit::Provider;

use crate::process::{Program, compare};
use crate::report::{self, Row, Target};
use crate::signed_in::SignedIn;

/// Signs in at a scripted provider with the real program, stops the provider, and times the rest.
pub(crate) fn measure(programs: &Path, rounds: usize) -> io::Result<()> {
    let countersign = programs.join("countersign");
    // Nobody listens from here on: whoever needs the network fails, and a failure ends the benchmark.
    let home = SignedIn::at(&Provider::start(), &countersign, "file", &[]);
    let programs = [
        Program::new("/bin/true", "/bin/true"),
        Program::new("a Rust program that does nothing", programs.join("nothing")),
        home.program("countersign version", "version"),
        home.program("countersign token (cached)", "token"),
        home.program("… credential kubernetes (cached)", "credential kubernetes"),
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
