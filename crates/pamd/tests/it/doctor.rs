//! What the doctor says about the provider, of which it asks what the daemon would.

use std::process::Command;

use countersign_testkit::Endpoint;

use crate::fixture::Fixture;

fn says(fixture: &Fixture) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign-pamd"))
        .args(["doctor", "--config"])
        .arg(fixture.home.path().join("pam.toml"))
        .arg("--socket")
        .arg(fixture.socket())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_clock_is_compared_with_what_the_provider_says() {
    let fixture = Fixture::start();
    let said = says(&fixture);
    assert!(
        said.contains("warning  it does not say what time it is"),
        "{said}"
    );

    fixture.provider.tell_the_time();
    let said = says(&fixture);
    assert!(said.contains("ok       its clock and ours agree"), "{said}");

    for (date, words) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", "ahead of the server's"),
        ("Fri, 06 Nov 2099 08:49:37 GMT", "behind the server's"),
    ] {
        let fixture = Fixture::start();
        for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::Jwks] {
            fixture
                .provider
                .deliver(endpoint, move |_, reply| reply.with_header("date", date));
        }
        let said = says(&fixture);
        let line = said.lines().find(|line| line.contains(words)).expect(&said);
        assert!(line.starts_with("broken   our clock is "), "{said}");
        assert!(said.contains("hint: timedatectl set-ntp true"), "{said}");
    }
}
