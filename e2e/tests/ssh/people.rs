//! People sign in to a host, at the real issuer.

use countersign_e2e::Issuer;

use crate::camera::{Terminal, scan};
use crate::host::{Host, IN, account, press_enter};

/// An issuer that knows the client of hosts.
fn issuer() -> Issuer {
    let issuer = Issuer::start();
    issuer.administer("client add ssh");
    issuer
}

fn rule() -> String {
    rule_for("preferred_username", "ada")
}

fn rule_for(claim: &str, value: &str) -> String {
    let account = account();
    format!(
        "[[rule]]\nname = \"ada\"\naccounts = [{account:?}]\n\
         claim = [{{ claim = {claim:?}, equals = {value:?} }}]\n"
    )
}

#[test]
fn approved_by_a_person_and_the_command_runs_as_the_account() {
    let issuer = issuer();
    let host = Host::start(issuer.issuer(), &rule());
    let (client, prompt) = host.client(&[], &format!("echo {IN} as $(id -un)"));
    let shown = client.stdout();
    // By a telephone, whose page then shows the code to be compared.
    let address = scan(&shown, Terminal::Dark);
    assert!(address.starts_with(&prompt.address), "{address}");
    issuer.approve(&address, &prompt.code);
    let finished = press_enter(client);
    host.got_in(&finished);
    let whole = format!("{IN} as {}", account());
    assert!(finished.stdout.contains(&whole), "{}", finished.stdout);
    assert!(finished.stdout.contains("Welcome, Ada Lovelace."));
}
