//! The real `countersign-pamd` at servers in the shape of the providers people have. The file says the issuer, as
//! the provider's own documentation has it, and nothing of what is different there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use countersign_e2e::{Shaped, start_daemon};
use countersign_pam_wire::{
    Incoming, Line, Login, Process, Text, ToDaemon, ToModule, Typed, Verdict,
};
use countersign_testkit::{Endpoint, Program, Running};
use tempfile::TempDir;

/// Nothing here takes so long on a machine that has anything to do it with.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host that signs people in at a provider, into the account of whoever runs the test.
struct Host {
    home: TempDir,
    account: String,
    daemon: Running,
}

impl Host {
    fn start(shaped: &Shaped, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Its network part has a user of its own, who has to be able to read what is believed.
        let certificates = shaped.internet.certificates();
        let directory = certificates.parent().unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        let account = Program::new("id").arg("-un").run().stdout.trim().to_owned();
        let config = format!(
            "issuer = {:?}\nclient_id = \"cli\"\nworker_user = \"nobody\"\nmin_uid = 0\n\
             allow_root = true\nqr = \"never\"\n{more}[[rule]]\naccounts = [{account:?}]\nanyone = true\n",
            shaped.provider.issuer()
        );
        fs::write(home.path().join("pam.toml"), config).unwrap();
        let variables = shaped.internet.environment().into_iter();
        let daemon = start_daemon(home.path(), &home.path().join("sessions"), |program| {
            variables.fold(program, |program, (name, value)| program.env(name, value))
        });
        Self {
            home,
            account,
            daemon,
        }
    }

    /// Somebody at a terminal who presses Enter whenever asked; what they saw, and how it ended.
    fn sign_in(&self) -> (String, Verdict) {
        let stream = UnixStream::connect(self.home.path().join("pam.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let say = |message: &ToDaemon| {
            let encoded = message.encode().unwrap();
            (&stream).write_all(encoded.expose()).unwrap();
        };
        let stat = fs::read("/proc/self/stat").unwrap();
        say(&ToDaemon::Begin(Login {
            service: Line::clean("sshd"),
            user: Line::clean(&self.account),
            ruser: Line::default(),
            rhost: Line::clean("192.0.2.7"),
            tty: Line::clean("ssh"),
            ssh_connection: Line::clean("192.0.2.7 50000 192.0.2.1 22"),
            auth_info: Text::default(),
            monitor: Process::from_stat(&stat).unwrap(),
        }));
        let mut incoming = Incoming::<ToModule>::default();
        let mut shown = String::new();
        loop {
            let message = incoming.receive_from(&mut &stream).unwrap();
            match message.expect("the daemon says how it ended") {
                ToModule::Prompt { text, .. } => {
                    shown += text.as_str();
                    say(&ToDaemon::Answer(Typed::clean("")));
                }
                ToModule::Done { verdict, text, .. } => return (shown + text.as_str(), verdict),
                _ => {}
            }
        }
    }
}

/// Signs somebody in whom the provider lets wait a moment first.
fn by_device_code(shaped: &Shaped) -> String {
    shaped
        .provider
        .first(Endpoint::Token, [shaped.pending.clone()]);
    let host = Host::start(shaped, "");
    let (shown, verdict) = host.sign_in();
    let log = host.daemon.stderr();
    assert_eq!(verdict, Verdict::Success, "{shown}\n{log}");
    assert!(shown.contains("Welcome, Ada Lovelace."), "{shown}");
    let asked = shaped.provider.requests(Endpoint::DeviceAuthorization);
    let scopes = asked
        .first()
        .and_then(|request| request.form_value("scope"));
    // Without it there would be no renewal, and no end of a session whose access was withdrawn.
    assert_eq!(
        scopes.as_deref(),
        Some("email offline_access openid profile")
    );
    shown
}

#[test]
fn auth0_signs_in_to_a_host() {
    by_device_code(&Shaped::auth0());
}

#[test]
fn okta_signs_in_to_a_host() {
    by_device_code(&Shaped::okta());
}

#[test]
fn a_custom_server_of_okta_signs_in_to_a_host() {
    by_device_code(&Shaped::okta_custom());
}

#[test]
fn keycloak_signs_in_to_a_host() {
    let shaped = Shaped::keycloak();
    by_device_code(&shaped);
    let asked = shaped.provider.requests(Endpoint::DeviceAuthorization);
    let challenge = asked
        .first()
        .and_then(|one| one.form_value("code_challenge"));
    assert!(
        challenge.is_some(),
        "a client that must use PKCE must use it here as well"
    );
}

#[test]
fn entra_signs_in_to_a_host() {
    let shown = by_device_code(&Shaped::entra());
    assert!(
        shown.contains("https://microsoft.com/devicelogin"),
        "{shown}"
    );
}

/// A client of the other type: the journal says which one it has to be.
#[test]
fn what_google_means_by_its_refusal_is_in_the_journal() {
    let shaped = Shaped::google();
    let host = Host::start(&shaped, "");
    let (shown, verdict) = host.sign_in();
    assert_ne!(verdict, Verdict::Success, "{shown}");
    let asked = shaped.provider.requests(Endpoint::DeviceAuthorization);
    let scopes = asked
        .first()
        .and_then(|request| request.form_value("scope"));
    assert_eq!(scopes.as_deref(), Some("email openid profile"));
    let log = host.daemon.stderr();
    assert!(log.contains("Use a client of the type TVs"), "{log}");
}
