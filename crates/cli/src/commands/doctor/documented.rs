//! Every code is in `docs/doctor.md`, and nothing else is.

use std::collections::BTreeSet;

/// The sources that make findings.
const SOURCES: [&str; 8] = [
    include_str!("configuration.rs"),
    include_str!("flows.rs"),
    include_str!("place.rs"),
    include_str!("server.rs"),
    include_str!("session.rs"),
    include_str!("storage.rs"),
    include_str!("vault.rs"),
    include_str!("../doctor.rs"),
];

/// What stands before a code in them.
const BEFORE: [&str; 8] = [
    "Finding::ok(",
    "Finding::note(",
    "Finding::warning(",
    "Finding::fault(",
    "Finding::of_error(",
    "Finding::of_client(",
    "CODE: &str = ",
    "code: ",
];

/// The codes in the sources: a word between quotes after one of these.
fn used() -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    for source in SOURCES {
        for before in BEFORE {
            for (at, _) in source.match_indices(before) {
                let after = source[at + before.len()..].trim_start();
                if let Some(code) = after
                    .strip_prefix('"')
                    .and_then(|code| code.split('"').next())
                {
                    codes.insert(code);
                }
            }
        }
        for (at, _) in source.match_indices("=> (\"") {
            codes.extend(source[at + 5..].split('"').next());
        }
    }
    codes
}

#[test]
fn every_code_is_documented_and_every_documented_code_is_used() {
    let page = include_str!("../../../../../docs/doctor.md");
    let (_, table) = page.split_once("## Codes").unwrap();
    let mut documented = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).unwrap();
        documented.extend(cell.split('`').skip(1).step_by(2));
    }
    assert_eq!(used(), documented);
}
