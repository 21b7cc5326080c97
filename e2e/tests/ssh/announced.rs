//! `auto_continue`: from 10.3 on sshd shows text without a question, and nobody has to press a key.

use std::thread;
use std::time::Duration;

use countersign_testkit::{Finished, Provider, Release, Running};

use crate::failures::rule;
use crate::host::{COMMAND, Host, IN};
use crate::waiting::{BUSY, is_over, kill, nobody_approves};

const CODE: &str = "WDJB-MJHT";

fn host(provider: &Provider) -> Host {
    let config = format!("auto_continue = true\n{}", rule());
    Host::start_of(Release::Newer, &provider.issuer(), &config, &[])
}

fn reads_the_code(client: &Running) {
    client.wait_for_stdout(|shown| shown.contains(CODE).then_some(()));
}

/// Both clients have the text, each of its lines on a line, and show nothing of what is sent each second
/// to see whether they are still there. But the older one has it from its log.
#[test]
fn both_clients_show_the_code_and_nobody_presses_a_key() {
    Release::with_both(|release| {
        let provider = Provider::start();
        provider.pending_polls(4);
        let mut host = host(&provider);
        host.sshd.take_clients_of(release);
        let client = host.sshd.client(&[], COMMAND).start();
        let quiet = host.sshd.client(&["LogLevel=ERROR"], COMMAND).start();
        // Who has no terminal can be approved as well.
        let other = host.sshd.client_without_terminal(&[], COMMAND).start();
        reads_the_code(&client);
        let [client, quiet, other] = [client, quiet, other].map(Running::finish);
        for finished in [&client, &quiet, &other] {
            host.got_in(finished);
        }
        assert_eq!(shown(&client), EXPECTED);
        match release {
            Release::Installed => assert_eq!(shown(&quiet), [IN]),
            Release::Newer => assert_eq!(shown(&quiet), EXPECTED),
        }
        assert!(other.stderr.contains(CODE), "{}", other.stderr);
    });
}

/// How the lines begin.
const EXPECTED: [&str; 10] = [
    "",
    "Sign in to",
    "",
    "  Open  http",
    "  Code  WDJB-MJHT",
    "",
    "Approve only if YOU started this sign-in. Waiting for 1:",
    "Welcome, Ada Lovelace. (reference ",
    "",
    IN,
];

/// Each line as far as it is expected.
fn shown(finished: &Finished) -> Vec<&str> {
    let lines = finished
        .stdout
        .lines()
        .map(|line| line.trim_end_matches('\r'));
    let known = |line: &str| {
        let mut expected = EXPECTED.iter().filter(|expected| !expected.is_empty());
        expected
            .find(|expected| line.starts_with(**expected))
            .copied()
    };
    lines.map(|line| known(line).unwrap_or(line)).collect()
}

#[test]
fn a_client_that_is_gone_while_nothing_is_asked_leaves_nothing_behind_either() {
    let provider = nobody_approves();
    let host = host(&provider);
    let client = host.sshd.client(&[], COMMAND).start();
    reads_the_code(&client);
    // Some of what is sent each second has arrived.
    thread::sleep(Duration::from_millis(1500));
    kill(&client);
    is_over(&host, &provider, Duration::from_secs(1) + BUSY);
}
