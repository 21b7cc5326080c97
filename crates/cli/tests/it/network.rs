//! Networks with something in between, or something missing: a proxy, a company's own certificates, no
//! IPv4. Each is a transcript, as in `headless`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::process::{Command, Stdio};

use countersign_testkit::{Endpoint, Provider};

use crate::desk::Desk;
use crate::headless::place;
use crate::https::{Answer, Asked, Https};
use crate::network_proxy::Proxy;

/// A server that nobody on the internet knows.
const ISSUER: &str = "https://id.example.com";

/// What a person does there, and what each leaves with.
type Session<'a> = &'a [(&'a str, i32)];

const ALL_IS_WELL: Session<'_> = &[
    ("login", 0),
    ("token", 0),
    ("token --force-refresh", 0),
    ("status --verify", 0),
    ("doctor -q", 0),
];

fn session(desk: &mut Desk, session: Session<'_>) {
    for (command, code) in session {
        let program = desk.program(command);
        place(desk, command, program, *code);
    }
}

/// Asks the provider what was asked of the front.
fn forward(port: u16, asked: &Asked) -> Answer {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    let mut request = format!("{} {} HTTP/1.1\r\n", asked.method, asked.target);
    for (name, value) in asked
        .headers
        .iter()
        .filter(|(name, _)| name != "connection")
    {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("connection: close\r\n\r\n");
    let mut answer = Vec::new();
    let asking = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.write_all(&asked.body))
        .and_then(|()| stream.read_to_end(&mut answer));
    asking.expect("it answers");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.expect("it has a head") + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    let kind = ("content-type", "application/json".to_owned());
    let location = location.map(|to| ("location", to.to_owned()));
    (
        status.expect("it has a status"),
        std::iter::once(kind).chain(location).collect(),
        body.to_vec(),
    )
}

/// A desk whose server is at `ISSUER`, and the port behind which it is.
fn far_away(trusted: bool) -> (Desk, u16) {
    let provider = Provider::start_as(ISSUER, &[]);
    provider.deny("login_required", None);
    let port = provider.server().port();
    let mut desk = Desk::at(provider);
    desk.has_keyring_program();
    let directory = desk.home.path().to_owned();
    let front = Https::start_as("id.example.com", &directory, move |asked| {
        forward(port, asked)
    });
    let file = front.ca_file().display().to_string();
    desk.hide(&file, "HOME/company.pem");
    let trusts = if trusted {
        format!("ca_cert = [\"{file}\"]\n")
    } else {
        String::new()
    };
    desk.configure(&format!(
        "[profile.default]\nissuer = \"{ISSUER}\"\nclient_id = \"cli\"\n{trusts}"
    ));
    (desk, front.port())
}

/// Goes through a proxy from here on.
fn through(desk: &mut Desk, scheme: &str, proxy: &Proxy) {
    desk.note(&format!("HTTPS_PROXY={scheme}PROXY"));
    desk.hide(&format!(":{}", proxy.port()), ":PORT");
    desk.set(
        "HTTPS_PROXY",
        &format!("{scheme}127.0.0.1:{}", proxy.port()),
    );
}

#[test]
fn through_a_proxy() {
    let (mut desk, port) = far_away(true);
    let proxy = Proxy::to(port, None);
    through(&mut desk, "http://", &proxy);
    session(&mut desk, ALL_IS_WELL);
    assert!(
        proxy
            .asked_for()
            .iter()
            .all(|name| name == "id.example.com:443")
    );
    desk.check("network-proxy");
}

#[test]
fn through_a_socks_proxy() {
    let (mut desk, port) = far_away(true);
    let proxy = Proxy::to(port, None);
    desk.note("As curl has it, this computer looks up the name, which it does not know.");
    through(&mut desk, "socks5://", &proxy);
    session(&mut desk, &[("login", 3)]);
    through(&mut desk, "socks5h://", &proxy);
    session(&mut desk, ALL_IS_WELL);
    assert!(
        proxy
            .asked_for()
            .iter()
            .all(|name| name == "id.example.com")
    );
    desk.check("network-socks");
}

#[test]
fn through_a_proxy_that_wants_a_password() {
    for (name, scheme) in [("proxy", "http://"), ("socks", "socks5h://")] {
        let (mut desk, port) = far_away(true);
        let proxy = Proxy::to(port, Some("ada:pass word"));
        through(&mut desk, scheme, &proxy);
        session(
            &mut desk,
            &[("login", 3), ("token", 4), ("status", 4), ("doctor -q", 3)],
        );
        desk.note("With a name and a wrong password.");
        through(&mut desk, &format!("{scheme}ada:canary@"), &proxy);
        session(&mut desk, &[("login", 3)]);
        desk.note("With the right one.");
        through(&mut desk, &format!("{scheme}ada:pass%20word@"), &proxy);
        session(&mut desk, ALL_IS_WELL);
        desk.check(&format!("network-password-{name}"));
    }
}

#[test]
fn through_a_proxy_that_is_down() {
    let (mut desk, port) = far_away(true);
    let proxy = Proxy::to(port, None);
    through(&mut desk, "http://", &proxy);
    desk.provider
        .edit(Endpoint::Token, |answer| answer["expires_in"] = 0.into());
    desk.program("login").run().expect_code(0);
    desk.provider.behave(Endpoint::Token);
    desk.note("Somebody has signed in; the token has expired, and nothing listens there any more.");
    desk.set("HTTPS_PROXY", "http://127.0.0.1:9");
    session(
        &mut desk,
        &[("token", 3), ("status", 0), ("doctor -q", 3), ("login", 3)],
    );
    desk.note("It is up again, and nothing was lost.");
    through(&mut desk, "http://", &proxy);
    session(&mut desk, &[("token", 0)]);
    desk.check("network-proxy-down");
}

#[test]
fn with_certificates_of_the_companys_own() {
    let (mut desk, port) = far_away(false);
    let proxy = Proxy::to(port, None);
    through(&mut desk, "http://", &proxy);
    session(
        &mut desk,
        &[("login", 7), ("token", 4), ("status", 4), ("doctor -q", 7)],
    );
    let mut entries = std::fs::read_dir(desk.home.path()).expect("it is ours");
    let file = entries.find_map(|entry| {
        let path = entry.expect("it is ours").path();
        (path.extension()? == "pem").then_some(path)
    });
    let file = file.expect("there is a certificate").display().to_string();
    desk.note("With the certificates.");
    for (command, code) in ALL_IS_WELL {
        let shown = format!("{command} --ca-cert {file}");
        let program = desk.program(&shown);
        place(
            &mut desk,
            &shown.replace(&file, "HOME/company.pem"),
            program,
            *code,
        );
    }
    desk.check("network-private-ca");
}

/// This test once more, in a network namespace that has no IPv4.
const WITHOUT_IPV4: &str = "COUNTERSIGN_TEST_WITHOUT_IPV4";

#[test]
fn without_ipv4() {
    if std::env::var_os(WITHOUT_IPV4).is_none() {
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let output = unshare
            .args(["--net", "sh", "-c"])
            .arg("ip link set lo up && ip -4 address flush dev lo && exec \"$@\"")
            .arg("sh")
            .arg(std::env::current_exe().expect("a test knows its own path"))
            .args(["--exact", "network::without_ipv4", "--nocapture"])
            .env(WITHOUT_IPV4, "1")
            .stdin(Stdio::null())
            .output()
            .expect("unshare is installed");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}\n{complained}"
        );
        return;
    }
    let provider = Provider::start_on(Ipv6Addr::LOCALHOST.into());
    provider.deny("login_required", None);
    let issuer = provider.issuer();
    let mut desk = Desk::at(provider);
    desk.has_keyring_program();
    desk.configure(&format!(
        "[profile.default]\nissuer = \"{issuer}\"\nclient_id = \"cli\"\n"
    ));
    session(&mut desk, ALL_IS_WELL);
    let program = desk.program("doctor");
    place(&mut desk, "doctor", program, 0);
    // Where the other address is registered, the browser comes back there.
    let redirect = "login --flow browser --redirect-uri http://[::1]/callback --browser true";
    let program = desk.program(&format!("{redirect} --login-timeout 1s"));
    let done = program.run().expect_code(6);
    let there = "redirect_uri=http%3A%2F%2F%5B%3A%3A1%5D%3A";
    assert!(done.stderr.contains(there), "{}", done.stderr);
    desk.check("network-ipv6");
}
