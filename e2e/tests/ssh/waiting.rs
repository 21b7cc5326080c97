//! Nobody is waited for who is not there any more, and nobody waits longer than sshd lets them.

use std::fs;
use std::time::{Duration, Instant};

use countersign_testkit::{Endpoint, Program, Provider, Release, Running, show};

use crate::failures::{expires_soon, rule};
use crate::host::{COMMAND, Host, below};

/// A machine that has other things to do as well takes longer than the milliseconds that it takes.
pub(crate) const BUSY: Duration = Duration::from_secs(4);

/// A provider at which nobody ever approves.
pub(crate) fn nobody_approves() -> Provider {
    let provider = Provider::start();
    provider.pending_polls(10_000);
    provider
}

/// Both the processes of the login and the questions to the provider come to an end.
pub(crate) fn is_over(host: &Host, provider: &Provider, limit: Duration) {
    let begun = Instant::now();
    host.wait_until("every process of the login is gone", || {
        host.logins().is_empty()
    });
    let took = begun.elapsed();
    assert!(took < limit, "{took:?}");
    show(&format!(
        "every process of the login is gone after {took:?}"
    ));
    host.logged(&["login refused", "nobody waited for the end"]);
    // One question may be on its way.
    let asked = || provider.requests(Endpoint::Token).len();
    let before = asked();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(asked() <= before + 1, "the polling goes on");
}

/// Ends the client without a word, as a network or a lid does.
pub(crate) fn kill(client: &Running) {
    let is_ssh = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "ssh")
    };
    let ssh = below(client.id()).into_iter().find(is_ssh).unwrap();
    let kill = Program::new("kill").args(["-KILL", &ssh.to_string()]);
    kill.run().expect_code(0);
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    Release::with_both(|release| {
        let provider = nobody_approves();
        let host = Host::start_of(release, &provider.issuer(), &rule(), &[]);
        let (client, _) = host.client(&[], COMMAND);
        assert!(!host.logins().is_empty());
        kill(&client);
        is_over(&host, &provider, Duration::from_secs(1) + BUSY);
        assert!(host.sshd.is_alive());
    });
}

/// While an answer is held nothing is asked, and sshd would not notice: it is six seconds until it is.
#[test]
fn a_client_that_answers_and_is_gone_leaves_nothing_behind_either() {
    Release::with_both(|release| {
        let provider = nobody_approves();
        let host = Host::start_of(release, &provider.issuer(), &rule(), &[]);
        let (client, _) = host.client(&[], COMMAND);
        client.tell("");
        client.wait_for_stdout(|shown| shown.ends_with(": \r\n").then_some(()));
        std::thread::sleep(Duration::from_millis(200));
        kill(&client);
        is_over(&host, &provider, Duration::from_secs(1) + BUSY);
        host.logged(&["reason=hung_up"]);
    });
}

#[test]
fn login_grace_time_is_kept() {
    Release::with_both(|release| {
        let provider = nobody_approves();
        let host = Host::start_of(release, &provider.issuer(), &rule(), &["LoginGraceTime 5"]);
        let (client, _) = host.client(&[], COMMAND);
        // sshd adds up to four seconds by chance.
        is_over(&host, &provider, Duration::from_secs(5 + 4) + BUSY);
        // The client does not look at the connection while it asks.
        client.tell("");
        host.stayed_out(&client.finish());
    });
}

/// Such a client answers every question at once and with nothing, and shows none of them.
#[test]
fn a_client_without_a_terminal_stays_out_and_is_not_asked_without_end() {
    Release::with_both(|release| {
        let provider = nobody_approves();
        expires_soon(&provider);
        let host = Host::start_of(release, &provider.issuer(), &rule(), &[]);
        let finished = host.sshd.client_without_terminal(&[], COMMAND).run();
        host.stayed_out(&finished);
        assert_eq!(finished.stdout, "");
        host.logged(&["login refused", "in time"]);
        assert_eq!(provider.requests(Endpoint::DeviceAuthorization).len(), 1);
    });
}
