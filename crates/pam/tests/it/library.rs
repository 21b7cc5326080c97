//! The file that is shipped: what it shows, what it needs, how large it is.

use std::fs;

use countersign_testkit::{Program, pam_module, pam_module_that_panics};

fn lines(program: &str, arguments: &[&str]) -> Vec<String> {
    let finished = Program::new(program)
        .args(arguments)
        .arg(pam_module())
        .run();
    assert_eq!(finished.code(), Some(0), "{finished:?}");
    finished.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn it_shows_the_six_hooks_and_nothing_else() {
    let mut names: Vec<String> = lines("nm", &["--dynamic", "--defined-only"])
        .iter()
        .filter_map(|line| line.split_ascii_whitespace().last().map(str::to_owned))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "pam_sm_acct_mgmt",
            "pam_sm_authenticate",
            "pam_sm_chauthtok",
            "pam_sm_close_session",
            "pam_sm_open_session",
            "pam_sm_setcred",
        ]
    );
}

#[test]
fn it_needs_libc_libpam_and_the_unwinder() {
    let dynamic = lines("readelf", &["--dynamic", "--wide"]);
    let mut needed: Vec<&str> = dynamic
        .iter()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .filter(|name| !name.starts_with("ld-linux"))
        .collect();
    needed.sort_unstable();
    assert_eq!(needed, ["libc.so.6", "libgcc_s.so.1", "libpam.so.0"]);
    let flags: Vec<_> = dynamic
        .iter()
        .filter(|line| line.contains("FLAGS_1"))
        .collect();
    assert!(
        flags[0].contains("NODELETE") && flags[0].contains("NOW"),
        "{flags:?}"
    );
}

/// Whoever is signed in stays who they were, and nothing is left in the environment: what a module
/// changes of that, services took for granted (CVE-2024-9313).
#[test]
fn it_asks_pam_and_changes_nothing_there() {
    let mut names: Vec<String> = lines("nm", &["--dynamic", "--undefined-only"])
        .iter()
        .filter_map(|line| line.split_ascii_whitespace().last())
        .filter_map(|name| Some(name.strip_prefix("pam_")?.split_once('@')?.0.to_owned()))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["get_item", "get_user", "getenv", "syslog"]);
}

#[test]
fn it_is_small() {
    let size = fs::metadata(pam_module()).unwrap().len();
    assert!(size <= 350 * 1024, "{size} bytes");
}

#[test]
fn no_panic_can_be_asked_for_in_what_is_shipped() {
    let has = |path: &std::path::Path| {
        let content = fs::read(path).unwrap();
        let wanted = b"asked for";
        content.windows(wanted.len()).any(|window| window == wanted)
    };
    assert!(has(&pam_module_that_panics()));
    assert!(!has(&pam_module()));
}
