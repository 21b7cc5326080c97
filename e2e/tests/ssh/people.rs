//! People sign in to a host, at the real issuer: with what they approve, deny, or may not do.

use std::thread;

use countersign_e2e::{Issuer, press_enter};
use countersign_testkit::{Browser, Finished, Ground, HttpServer, Release, Reply, scan};

use crate::host::{COMMAND, Host, IN, account};

/// An issuer that knows the client of hosts.
fn issuer() -> Issuer {
    issuer_with(&[])
}

/// The same, with arguments of `serve`.
pub(crate) fn issuer_with(arguments: &[&str]) -> Issuer {
    let issuer = Issuer::start_with(arguments);
    issuer.administer("client add ssh");
    issuer
}

/// Lets the one person of the issuer in.
pub(crate) fn rule() -> String {
    rule_for("claim = [{ claim = \"preferred_username\", equals = \"ada\" }]")
}

/// Lets whoever fits into the account of the test.
pub(crate) fn rule_for(whom: &str) -> String {
    let account = account();
    format!("[[rule]]\nname = \"ada\"\naccounts = [{account:?}]\n{whom}\n")
}

/// What a person does at the page that the QR code leads to.
type Decide = fn(&Issuer, &str, &str);

const APPROVE: Decide = |issuer, address, code| {
    issuer.approve(address, code);
};
const DENY: Decide = |issuer, address, code| {
    issuer.deny(address, code);
};

/// Signs somebody in who reads the QR code with a telephone, whose page shows the code to compare.
fn sign_in(host: &Host, issuer: &Issuer, decide: Decide, command: &str) -> Finished {
    let (client, prompt) = host.client(&[], command);
    let address = scan(&client.stdout(), Ground::Dark);
    assert!(address.starts_with(&prompt.address), "{address}");
    decide(issuer, &address, &prompt.code);
    press_enter(client)
}

#[test]
fn approved_by_a_person_and_the_command_runs_as_the_account() {
    Release::with_both(|release| {
        let issuer = issuer();
        let host = Host::start_of(release, issuer.issuer(), &rule(), &[]);
        let command = format!("echo {IN} as $(id -un)");
        let finished = sign_in(&host, &issuer, APPROVE, &command);
        host.got_in(&finished);
        let whole = format!("{IN} as {}", account());
        assert!(finished.stdout.contains(&whole), "{}", finished.stdout);
        assert!(finished.stdout.contains("Welcome, Ada Lovelace."));
        let granted = host.logged(&["login granted", "rule=ada"]);
        let (_, reference) = granted.split_once("reference=").unwrap();
        let reference = reference.split(' ').next().unwrap();
        assert!(finished.stdout.contains(reference), "{}", finished.stdout);
        // Nobody uses the login at the provider any more, and the provider hears of it (RFC 7009).
        host.wait_until("the refresh token is revoked", || {
            issuer.administer("grant list ada").is_empty()
        });
        host.logged(&["session close", "why=closed", reference]);
        host.logged(&["revocation noted", reference]);
    });
}

/// Whom the rule is for, what the person decides, and what they read then.
const STAY_OUT: [(&str, Decide, &str); 5] = [
    (
        "claim = [{ claim = \"preferred_username\", equals = \"ada\" }]",
        DENY,
        "The sign-in was refused",
    ),
    (
        "claim = [{ claim = \"preferred_username\", equals = \"grace\" }]",
        APPROVE,
        "You signed in as ada@example.com, who may not use the account",
    ),
    ("sub = \"ada\"", APPROVE, NOT_THEIRS),
    ("group = \"wheel\"", APPROVE, NOT_THEIRS),
    // This issuer does not verify addresses, and does not say that it does.
    ("email = \"ada@example.com\"", APPROVE, NOT_THEIRS),
];

const NOT_THEIRS: &str = "who may not use the account";

#[test]
fn denied_or_approved_by_somebody_else_and_nobody_gets_in() {
    Release::with_both(|release| {
        let issuer = issuer();
        // Of the newer one a person who denies and one who is not meant will do.
        let cases = match release {
            Release::Installed => &STAY_OUT[..],
            Release::Newer => &STAY_OUT[..2],
        };
        thread::scope(|scope| {
            for (whom, decide, told) in cases {
                let issuer = &issuer;
                scope.spawn(move || {
                    let host = Host::start_of(release, issuer.issuer(), &rule_for(whom), &[]);
                    let finished = sign_in(&host, issuer, *decide, COMMAND);
                    host.stayed_out(&finished);
                    assert!(finished.stdout.contains(told), "{}", finished.stdout);
                    let refused = host.log().matches("login refused").count();
                    assert_eq!(refused, 1, "three tries are one sign-in: {}", host.log());
                });
            }
        });
    });
}

/// sshd knows before any module whether there is the account, and the person must not.
#[test]
fn an_account_that_does_not_exist_looks_like_one_that_is_closed() {
    Release::with_both(|release| {
        let host = Host::start_of(release, "http://127.0.0.1:1", &rule(), &[]);
        let [closed, missing] = ["daemon", "no-such-account-here"].map(|account| {
            let client = host.sshd.client_of(account, &[], COMMAND).start();
            let finished = press_enter(client);
            host.stayed_out(&finished);
            let shown = finished.stdout.replace(account, "such");
            // A reference is six characters before a full stop.
            let words = shown.split_whitespace().map(|word| {
                let is_reference = word.len() == 7 && word.to_uppercase() == word;
                if is_reference { "REFERENCE" } else { word }
            });
            words.map(str::to_owned).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(closed, missing);
        assert!(closed.contains("as such is not possible"), "{closed}");
    });
}

/// The account phase of a login with a key: alone it is not enough, and with its person signed in it is.
#[test]
fn a_key_lets_in_while_its_person_is_signed_in() {
    Release::with_both(|release| {
        let issuer = issuer();
        let config = format!("pubkey_needs_grant = true\n{}", rule());
        let options = ["PubkeyAuthentication yes"];
        let host = Host::start_of(release, issuer.issuer(), &config, &options);
        let key = format!("IdentityFile={}", host.sshd.client_key().display());
        let by_key = || host.sshd.client_without_terminal(&[&key], COMMAND).run();
        host.stayed_out(&by_key());
        let nobody = "PreferredAuthentications=keyboard-interactive";
        let (client, prompt) = host.client(&[nobody], "echo in; read -r line");
        let address = scan(&client.stdout(), Ground::Dark);
        issuer.approve(&address, &prompt.code);
        client.tell("");
        client.wait_for_stdout(|shown| shown.contains("\nin").then_some(()));
        host.got_in(&by_key());
        client.tell("");
        client.finish().expect_code(0);
        let again = by_key();
        assert_eq!(again.code(), Some(255), "{again:?}\n{}", host.log());
    });
}

/// `flow = "paste"`: whoever sends somebody an address to approve gets nothing, because the code comes to
/// the browser of the person, and has to be typed where the sign-in was begun.
#[test]
fn with_a_pasted_code_an_approval_alone_lets_nobody_in() {
    let issuer = Issuer::start();
    let page = HttpServer::start();
    page.on(
        "GET",
        "/code",
        Reply::text(200, "text/plain", "copy the address"),
    );
    let callback = page.url("/code");
    issuer.administer(&format!("client add ssh --redirect-uri {callback}"));
    let config = format!(
        "flow = \"paste\"\nredirect_uri = {callback:?}\nqr = \"never\"\n{}",
        rule()
    );
    let host = Host::start(issuer.issuer(), &config);
    let client = host.sshd.client(&[], COMMAND).start();
    let asked = client.wait_for_stdout(|shown| {
        shown.contains("then press Enter").then_some(())?;
        let mut lines = shown.lines();
        let address = lines.find(|line| line.starts_with(issuer.issuer()))?;
        Some(address.trim().to_owned())
    });
    issuer.authorize(&mut Browser::new(), &asked, "approve");
    let came_back = page.requests_to("/code").remove(0);
    let code = came_back.query_value("code").unwrap();
    // It is approved, and Enter is not enough.
    client.tell("");
    client.wait_for_stdout(|shown| shown.contains("That is not the code").then_some(()));
    assert!(!client.stdout().contains(IN));
    // As it stands in the address bar.
    client.tell(&format!("{callback}?{}", came_back.query));
    host.got_in(&client.finish());
    for log in [host.log(), host.sshd.log()] {
        assert!(!log.contains(&code), "{log}");
    }
}
