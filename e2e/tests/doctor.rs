//! `countersign doctor` at a server in the shape of each provider, and where something is wrong that
//! only a real connection shows.
//!
//! What it prints is kept in `tests/transcripts`; `UPDATE_TRANSCRIPTS=1 cargo test -p countersign-e2e
//! --test doctor` writes the files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use countersign_e2e::{Cli, Internet, Shaped};
use countersign_testkit::{Endpoint, Finished, Reply, bin};
use serde_json::json;

/// Somebody with a profile, and a record of what was typed and printed.
struct Desk {
    cli: Cli,
    hidden: Vec<(String, &'static str)>,
    transcript: String,
}

impl Desk {
    fn new(environment: Vec<(&'static str, String)>, profile: &str) -> Self {
        let desktop = ("DISPLAY", ":0".to_owned());
        let cli = Cli::new().with(environment).with([desktop]);
        let directory = cli.home().config_dir();
        fs::create_dir_all(&directory).expect("the home can be written");
        let text = format!("[profile.work]\n{profile}client_id = \"cli\"\n");
        fs::write(directory.join("config.toml"), &text).expect("the home can be written");
        let home = cli.home().path().display().to_string();
        let keyring = bin("countersign-keyring").display().to_string();
        let version = concat!("countersign-keyring ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            hidden: vec![
                (home, "HOME"),
                (keyring, "PROGRAMS/countersign-keyring"),
                (version, "countersign-keyring VERSION"),
            ],
            transcript: format!("{text}\n"),
            cli,
        }
    }

    /// At a provider, with the settings that lead there.
    fn at(shaped: &Shaped, profile: &str) -> Self {
        Self::new(shaped.internet.environment(), profile)
    }

    fn run(&mut self, arguments: &str) -> Finished {
        let done = self.cli.run(arguments);
        let _ = writeln!(self.transcript, "$ countersign {arguments}");
        let text = self
            .hidden
            .iter()
            .fold(done.stdout.clone(), |text, (there, name)| {
                text.replace(there, name)
            });
        for line in text.lines().filter(|line| !varies(line)) {
            let _ = writeln!(self.transcript, "{}", scrub(line));
        }
        let code = done.code().unwrap_or(-1);
        let _ = match code {
            0 => writeln!(self.transcript),
            code => writeln!(self.transcript, "[exit {code}]\n"),
        };
        done
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.transcript, "# {text}");
    }

    fn hide(&mut self, text: String, name: &'static str) {
        self.hidden.push((text, name));
    }

    #[track_caller]
    fn check(self, name: &str) {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::create_dir_all(path.parent().expect("it is in a directory")).expect("writable");
            fs::write(&path, &self.transcript).expect("the sources can be written");
            return;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == self.transcript,
            "{name}.txt is another:\n{}",
            self.transcript
        );
    }
}

/// What depends on the computer that the test runs on: its second address family, and programs of
/// others that happen to have one of the proposed ports.
fn varies(line: &str) -> bool {
    line.contains("[::1]") || line.contains("The registered ports are free")
}

/// A line without what is different in every run.
fn scrub(line: &str) -> String {
    let mut line = line.to_owned();
    for (before, after, instead) in [
        ("http://127.0.0.1:", " (HTTPS_PROXY)", "PROXY"),
        ("good until ", " UTC", "DATE"),
    ] {
        if let Some((head, tail)) = line.split_once(before)
            && let Some((_, rest)) = tail.split_once(after)
        {
            line = format!("{head}{before}{instead}{after}{rest}");
        }
    }
    line
}

/// The server has nothing against the client, and wants a person.
fn wants_a_person(shaped: &Shaped) {
    shaped.provider.deny("login_required", None);
}

fn refuse(shaped: &Shaped, status: u16, error: &str, description: &str) {
    let body = json!({ "error": error, "error_description": description });
    shaped
        .provider
        .always(Endpoint::DeviceAuthorization, Reply::json(status, &body));
}

#[test]
fn auth0() {
    let shaped = Shaped::auth0();
    wants_a_person(&shaped);
    let mut desk = Desk::at(&shaped, "provider = \"auth0\"\norg = \"acme.eu\"\n");
    desk.run("doctor").expect_code(0);
    desk.note("The device grant is not switched on.");
    refuse(
        &shaped,
        403,
        "unauthorized_client",
        "Grant type 'urn:ietf:params:oauth:grant-type:device_code' not allowed for the client.",
    );
    desk.run("doctor -q").expect_code(1);
    desk.note("There is no tenant of that name.");
    shaped.provider.behave(Endpoint::DeviceAuthorization);
    desk.run("doctor -q --org acme").expect_code(3);
    desk.check("doctor-auth0");
}

#[test]
fn okta() {
    let shaped = Shaped::okta_custom();
    wants_a_person(&shaped);
    let profile = "provider = \"okta\"\norg = \"acme\"\nserver = \"default\"\n";
    let mut desk = Desk::at(&shaped, profile);
    desk.run("doctor").expect_code(0);
    desk.note("The device grant is not ticked.");
    refuse(
        &shaped,
        400,
        "unauthorized_client",
        "The client is not authorized to use the provided grant type. Configured grant types: [authorization_code].",
    );
    desk.run("doctor -q").expect_code(1);
    desk.check("doctor-okta");
}

#[test]
fn cognito() {
    let shaped = Shaped::cognito();
    wants_a_person(&shaped);
    let profile = "provider = \"cognito\"\nserver = \"eu-central-1_AbCdEf123\"\n";
    let mut desk = Desk::at(&shaped, profile);
    desk.run("doctor").expect_code(0);
    desk.note("The redirect URI is not registered.");
    shaped.provider.always(
        Endpoint::Authorization,
        Reply::redirect(
            302,
            "https://acme.auth.eu-central-1.amazoncognito.com/error?error=redirect_mismatch&client_id=cli",
        ),
    );
    desk.run("doctor -q").expect_code(1);
    desk.check("doctor-cognito");
}

#[test]
fn entra() {
    let shaped = Shaped::entra();
    wants_a_person(&shaped);
    let profile = "provider = \"entra\"\norg = \"72f988bf-0000-4000-8000-2d7cd011db47\"\n";
    let mut desk = Desk::at(&shaped, profile);
    desk.run("doctor").expect_code(0);
    desk.note("Public client flows are not allowed.");
    refuse(
        &shaped,
        401,
        "invalid_client",
        "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'. Trace ID: 0 Correlation ID: 0",
    );
    desk.run("doctor -q").expect_code(1);
    desk.note("The tenant is given by its domain.");
    desk.run("doctor -q --org acme.onmicrosoft.com")
        .expect_code(7);
    desk.check("doctor-entra");
}

#[test]
fn google() {
    let shaped = Shaped::google();
    shaped.provider.deny("interaction_required", None);
    let mut desk = Desk::at(&shaped, "provider = \"google\"\n");
    desk.run("doctor").expect_code(7);
    desk.note("With the secret.");
    let secret = desk.cli.home().config_dir().join("google.secret");
    fs::write(&secret, "GOCSPX-canary\n").expect("the home can be written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&secret, mode).expect("it is ours");
    let file = desk.cli.home().config_dir().join("config.toml");
    let text = fs::read_to_string(&file).expect("it is there");
    fs::write(
        &file,
        format!("{text}client_secret_file = \"google.secret\"\n"),
    )
    .expect("writable");
    let done = desk.run("doctor -q").expect_code(0);
    assert!(!done.stdout.contains("canary"));
    desk.check("doctor-google");
}

#[test]
fn keycloak() {
    let shaped = Shaped::keycloak();
    wants_a_person(&shaped);
    let profile = "provider = \"keycloak\"\nhost = \"sso.example.com\"\nserver = \"acme\"\n";
    let mut desk = Desk::at(&shaped, profile);
    desk.run("doctor").expect_code(0);
    desk.note("The device grant is switched off, as for every new client.");
    refuse(
        &shaped,
        400,
        "unauthorized_client",
        "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant. The flow is disabled for the client.",
    );
    desk.run("doctor -q").expect_code(1);
    desk.check("doctor-keycloak");
}

#[test]
fn github() {
    let shaped = Shaped::github();
    let mut desk = Desk::at(&shaped, "provider = \"github\"\n");
    desk.run("doctor").expect_code(0);
    desk.note("Device Flow is switched off.");
    refuse(
        &shaped,
        400,
        "device_flow_disabled",
        "Device Flow must be explicitly enabled for this App",
    );
    desk.run("doctor -q").expect_code(1);
    desk.check("doctor-github");
}

#[test]
fn any_other_provider() {
    let shaped = Shaped::plain();
    wants_a_person(&shaped);
    let mut desk = Desk::at(
        &shaped,
        "provider = \"oidc\"\nissuer = \"https://id.example.com\"\n",
    );
    desk.run("doctor").expect_code(0);
    desk.note("The same as a server of OAuth alone.");
    desk.run("doctor -q --provider oauth").expect_code(0);
    desk.note("A server of OAuth that publishes nothing.");
    shaped
        .provider
        .always(Endpoint::OpenIdConfiguration, Reply::new(404));
    shaped
        .provider
        .always(Endpoint::OauthMetadata, Reply::new(404));
    desk.run("doctor -q --provider oauth").expect_code(7);
    desk.check("doctor-generic");
}

#[test]
fn a_certificate_of_an_authority_that_is_not_trusted_is_shown_with_its_issuer() {
    let internet = Internet::new();
    let provider = internet.direct();
    provider.deny("login_required", None);
    let mut desk = Desk::new(Vec::new(), &format!("issuer = \"{}\"\n", provider.issuer()));
    desk.transcript = desk.transcript.replace(&provider.issuer(), "ISSUER");
    desk.hide(provider.issuer(), "ISSUER");
    let file = internet.certificates();
    desk.hide(file.display().to_string(), "CA.pem");
    desk.run("doctor").expect_code(7);
    desk.note("With the authority's certificate.");
    let trusted = format!("doctor --ca-cert {}", file.display());
    desk.run(&trusted).expect_code(0);
    desk.transcript = desk
        .transcript
        .replace(&file.display().to_string(), "CA.pem");
    desk.check("doctor-certificate");
}

/// Each wait has a limit, whatever the server does.
#[test]
fn a_server_that_never_answers_ends_in_time() {
    let shaped = Shaped::plain();
    for endpoint in [
        Endpoint::DeviceAuthorization,
        Endpoint::Authorization,
        Endpoint::Jwks,
    ] {
        shaped.provider.always(endpoint, Reply::never());
    }
    let desk = Desk::at(
        &shaped,
        "issuer = \"https://id.example.com\"\ntimeout = \"1s\"\n",
    );
    let begun = std::time::Instant::now();
    let done = desk.cli.run("doctor --json");
    assert_eq!(done.code(), Some(3), "{}", done.stdout);
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}
