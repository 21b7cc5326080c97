//! What each flow asks the server for, what becomes of its answer, and what is kept of the choice.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_testkit::{
    Browser, ClientAuthentication, Endpoint, Finished, HttpServer, Reply, Request,
};
use serde_json::{Value, json};
use url::Url;

use crate::desk::Desk;
use crate::seat::Seat;

/// Runs a login without a terminal, and opens the address that it shows.
fn come_back(desk: &Desk, arguments: &str) -> Finished {
    let running = desk.program(arguments).start();
    let address = running.wait_for_stderr(|text| {
        let line = text.lines().find(|line| line.contains("/authorize?"))?;
        // A line that is not whole is an address that is not.
        text.contains(&format!("{line}\n")).then(|| line.to_owned())
    });
    Browser::new().get(&address);
    running.finish()
}

/// A parameter of the first authorization request.
fn asked(request: &Request, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(request.query.as_bytes());
    let found = pairs.find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

#[test]
fn what_was_asked_for_reaches_the_server_by_both_flows() {
    const FLAGS: &str = "--scope openid --scope stock:read --audience stock \
        --resource https://stock.example/v1 --connection staff --prompt login --login-hint ada \
        --acr phr --acr phrh --max-age 1h --param tenant=blue";
    let expected = [
        ("scope", "openid stock:read"),
        ("audience", "stock"),
        ("resource", "https://stock.example/v1"),
        ("connection", "staff"),
        ("prompt", "login"),
        ("login_hint", "ada"),
        ("acr_values", "phr phrh"),
        ("max_age", "3600"),
        ("tenant", "blue"),
        ("client_id", "cli"),
    ];
    let desk = Desk::with_profile();
    desk.provider
        .edit_id_token(|_, claims| claims["acr"] = json!("phrh"));
    desk.program(&format!("login --flow device {FLAGS}"))
        .run()
        .expect_code(0);
    let device = &desk.provider.requests(Endpoint::DeviceAuthorization)[0];
    come_back(&desk, &format!("login --flow browser {FLAGS}")).expect_code(0);
    let code = &desk.provider.requests(Endpoint::Authorization)[0];
    for (name, value) in expected {
        assert_eq!(device.form_value(name).as_deref(), Some(value), "{name}");
        assert_eq!(asked(code, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn at_the_highest_verbosity_neither_code_nor_verifier_is_printed() {
    let desk = Desk::with_profile();
    let done = come_back(&desk, "-vv login --flow browser --dpop").expect_code(0);
    desk.no_secret_is_in(&done.stderr);
    let exchange = &desk.provider.requests(Endpoint::Token)[0];
    let verifier = exchange.form_value("code_verifier").unwrap();
    assert!(!done.stderr.contains(&verifier), "{}", done.stderr);
    let proof = exchange.header("dpop").unwrap();
    assert!(!done.stderr.contains(proof), "{}", done.stderr);
}

#[test]
fn what_the_server_says_instead_of_a_code_is_said_in_the_terminal() {
    let mut desk = Desk::with_profile();
    desk.provider
        .deny("access_denied", Some("Not today.\u{1b}[2J"));
    let done = come_back(&desk, "login --flow browser").expect_code(5);
    desk.show_screen(&done.stderr);
    desk.check("browser-denied");
}

#[test]
fn a_port_that_is_taken_is_said_at_once_and_the_next_is_tried() {
    let mut desk = Desk::with_profile();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = other.local_addr().unwrap().port();
    drop(other);
    let flags = format!("login --flow browser --redirect-uri http://localhost/back --port {port}");
    let done = come_back(&desk, &format!("{flags} --port {free}")).expect_code(0);
    assert!(
        done.stderr.contains(&format!("port {port} is in use")),
        "{}",
        done.stderr
    );
    let request = &desk.provider.requests(Endpoint::Authorization)[0];
    assert_eq!(
        asked(request, "redirect_uri").unwrap(),
        format!("http://localhost:{free}/back")
    );
    desk.note("Every port is taken.");
    let done = desk.program(&flags).run().expect_code(7);
    desk.show(&done.stderr.replace(&port.to_string(), "PORT"));
    desk.check("browser-port");
}

#[test]
fn a_page_that_only_shows_the_code_is_pasted_from() {
    let mut desk = Desk::with_profile();
    let seat = Seat::at(&desk).env("DISPLAY", ":0").browsers(&["xdg-open"]);
    let mut seat = seat
        .types("login --color never --flow paste --redirect-uri https://company.example/signed-in");
    let address = seat.address();
    let mut browser = Browser::new();
    browser.hold("https://company.example/");
    let answer = browser.get(&address).location();
    let code = answer.query_pairs().find(|(name, _)| name == "code");
    seat.types_line(&code.unwrap().1);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    desk.show_screen(&left.text);
    desk.check("paste-hosted");
}

#[test]
fn another_program_may_bring_the_paste() {
    let desk = Desk::with_profile();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
    let mut child = command
        .args(["login", "--flow", "paste"])
        .envs(desk.home.environment())
        .stdin(reader)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(command);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let address = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("/authorize?"))
        .unwrap();
    let mut browser = Browser::new();
    browser.hold("http://127.0.0.1:");
    let answer = browser.get(&address).location();
    std::io::Write::write_all(&mut writer, format!("{answer}\n").as_bytes()).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
}

#[test]
fn the_way_that_worked_is_kept_and_taken_at_once_the_next_time() {
    let mut desk = Desk::with_profile();
    desk.provider.always(
        Endpoint::DeviceAuthorization,
        Reply::json(400, &json!({ "error": "unauthorized_client" })),
    );
    for question in [true, false] {
        let mut seat = Seat::at(&desk)
            .size(80, 40)
            .env("SSH_TTY", "/dev/pts/9")
            .types("login --color never");
        if question {
            seat.see("[Y/n]");
            seat.types_line("yes");
        }
        let mut browser = Browser::new();
        browser.hold("http://127.0.0.1:");
        let answer = browser.get(&seat.address()).location();
        seat.types_line(answer.as_str());
        let left = seat.end();
        assert_eq!(left.status.code(), Some(0), "{}", left.text);
        desk.show_screen(&left.text);
        desk.show("");
    }
    let file = fs::read_to_string(desk.home.config_dir().join("config.toml")).unwrap();
    desk.show(&file);
    desk.check("fallback-kept");
}

#[test]
fn a_way_that_was_declined_is_not_taken() {
    let mut desk = Desk::with_profile();
    desk.provider.always(
        Endpoint::DeviceAuthorization,
        Reply::json(400, &json!({ "error": "unauthorized_client" })),
    );
    let mut seat = Seat::at(&desk).types("login --color never");
    seat.see("[Y/n]");
    seat.types_line("perhaps");
    seat.see_that("the question again", |text| {
        text.matches("[Y/n]").count() == 2
    });
    seat.types_line("n");
    let left = seat.end();
    assert_eq!(left.status.code(), Some(7), "{}", left.text);
    desk.show_screen(&left.text);
    let file = fs::read_to_string(desk.home.config_dir().join("config.toml")).unwrap();
    assert!(!file.contains("flow"), "{file}");
    desk.check("fallback-declined");
}

#[test]
fn a_flow_that_is_not_allowed_is_neither_chosen_nor_offered() {
    let mut desk = Desk::with_profile();
    desk.configure_system(
        "10-company.toml",
        "[limits]\nallowed_flows = [\"device\"]\n",
    );
    desk.note("A desktop, where the browser would be chosen");
    let seat = Seat::at(&desk).env("DISPLAY", ":0").browsers(&["xdg-open"]);
    let left = seat.types("login --color never --qr never").end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    desk.show_screen(&left.text);
    desk.note("The server does not have the only one that is allowed.");
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
        desk.provider.edit(endpoint, |metadata| {
            let metadata = metadata.as_object_mut().unwrap();
            metadata.remove("device_authorization_endpoint");
        });
    }
    fs::remove_dir_all(desk.home.cache_dir()).unwrap();
    let seat = Seat::at(&desk).env("DISPLAY", ":0").browsers(&["xdg-open"]);
    let left = seat.types("login --color never").end();
    assert_eq!(left.status.code(), Some(7), "{}", left.text);
    desk.show_screen(&left.text);
    desk.check("limits-login");
}

#[test]
fn a_client_signs_in_as_itself_and_its_token_is_renewed_by_asking_again() {
    let mut desk = Desk::new();
    let secret = "canary-client-secret";
    desk.configure(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"robot\"\nclient_secret_file = \"secret\"\n\
         flow = \"client-credentials\"\nscope = [\"stock:read\"]\n",
    );
    fs::write(desk.home.config_dir().join("secret"), secret).unwrap();
    desk.provider
        .demand_authentication(ClientAuthentication::SecretBasic(secret.to_owned()));
    desk.run("login").expect_code(0);
    desk.run("status").expect_code(0);
    desk.run("whoami").expect_code(0);
    let first = desk.program("token").run().expect_code(0).stdout;
    assert_eq!(desk.program("token").run().expect_code(0).stdout, first);
    desk.note("Renewed by asking again");
    desk.run("token --force-refresh").expect_code(0);
    let next = desk.program("token").run().expect_code(0).stdout;
    assert_ne!(next, first);
    let asked: Vec<Option<String>> = desk
        .provider
        .requests(Endpoint::Token)
        .iter()
        .map(|request| request.form_value("grant_type"))
        .collect();
    assert_eq!(asked, vec![Some("client_credentials".to_owned()); 2]);
    desk.run("logout").expect_code(0);
    desk.check("client-credentials");
}

#[test]
fn without_credentials_no_client_signs_in_as_itself() {
    let mut desk = Desk::with_profile();
    desk.run("login --flow client-credentials").expect_code(7);
    assert!(desk.provider.requests(Endpoint::Token).is_empty());
    desk.note("Two kinds of credentials");
    desk.run("login --client-secret-file a --client-key-file b")
        .expect_code(7);
    desk.check("no-credentials");
}

/// The claims of a proof (RFC 9449, section 4.2).
fn claims(proof: &str) -> Value {
    let payload = proof.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

#[test]
fn a_bound_token_is_said_to_be_one_and_goes_to_the_api_with_a_proof() {
    let mut desk = Desk::with_profile();
    desk.run("login --dpop").expect_code(0);
    desk.run("status").expect_code(0);
    desk.run("token -o header").expect_code(0);
    desk.run("token -o json").expect_code(0);
    desk.run("token -o env").expect_code(0);
    let api = HttpServer::start();
    api.on("GET", "/items", Reply::json(200, &json!([])));
    api.on("PATCH", "/items", Reply::new(204));
    let url = api.url("/items?page=2");
    let done = desk.program(&format!("curl {url} -sv")).run();
    desk.no_secret_is_in(&done.expect_code(0).stderr);
    desk.program(&format!("curl {url} -s -X PATCH -d x"))
        .run()
        .expect_code(0);
    let requests = api.requests();
    let token = desk.program("token").run().expect_code(0).stdout;
    let mut seen = Vec::new();
    for (request, method) in requests.iter().zip(["GET", "PATCH"]) {
        let authorization = request.header("authorization").unwrap();
        assert_eq!(authorization, format!("DPoP {}", token.trim_end()));
        let claims = claims(request.header("dpop").unwrap());
        assert_eq!(claims["htm"], method);
        assert_eq!(claims["htu"], api.url("/items"));
        assert!(claims["ath"].is_string());
        seen.push(claims["jti"].clone());
    }
    assert_ne!(seen[0], seen[1], "a proof is for one request");
    desk.note("One proof, one request");
    desk.run("curl https://api.example.com/ -L").expect_code(2);
    desk.run("curl https://api.example.com/ --retry 3")
        .expect_code(2);
    desk.check("bound");
}

#[test]
fn what_curl_shows_of_a_proof_is_stars() {
    let desk = Desk::with_profile();
    desk.program("login --dpop").run().expect_code(0);
    let api = HttpServer::start();
    api.on("GET", "/", Reply::new(200));
    let done = desk.program(&format!("curl {} -sv", api.url("/"))).run();
    let shown = done.expect_code(0).stderr;
    let proof = api.requests()[0].header("dpop").unwrap().to_owned();
    assert!(!shown.contains(&proof), "{shown}");
    assert!(shown.to_ascii_lowercase().contains("dpop: ****"), "{shown}");
}

#[test]
fn a_server_that_wants_requests_pushed_gets_them_pushed() {
    let desk = Desk::with_profile();
    desk.provider.demand_par();
    let done = come_back(&desk, "login --flow browser --login-hint ada").expect_code(0);
    let first = done.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("Open this page within "), "{first}");
    let pushed = &desk.provider.requests(Endpoint::PushedAuthorization)[0];
    assert_eq!(pushed.form_value("login_hint").as_deref(), Some("ada"));
    let opened = &desk.provider.requests(Endpoint::Authorization)[0];
    assert_eq!(asked(opened, "login_hint"), None);
}

#[test]
fn the_browser_is_the_one_that_was_named() {
    let desk = Desk::with_profile();
    let seat = Seat::at(&desk)
        .browsers(&["my-browser", "xdg-open"])
        .env("DISPLAY", ":0");
    let directory = desk.home.path().join("bin");
    let command = directory.join("my-browser");
    let seat = seat
        .env("COUNTERSIGN_BROWSER", command.as_os_str())
        .types("login");
    let address = seat.address();
    assert_eq!(crate::seat::opened(&desk), address);
    Browser::new().get(&address);
    assert_eq!(seat.end().status.code(), Some(0));
    let url = Url::parse(&address).unwrap();
    assert_eq!(url.path(), "/authorize");
}

#[test]
fn a_browser_that_fails_late_is_told_of_and_the_next_way_is_offered() {
    let desk = Desk::with_profile();
    let script = desk.home.path().join("slow");
    fs::write(&script, "#!/bin/sh\n/bin/sleep 0.5\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut seat = Seat::at(&desk)
        .env("DISPLAY", ":0")
        .env("COUNTERSIGN_BROWSER", script.as_os_str())
        .types("login --color never");
    let address = seat.address();
    seat.see("[Y/n]");
    seat.types_line("n");
    let mut browser = Browser::new();
    browser.hold("http://127.0.0.1:");
    seat.types_line(browser.get(&address).location().as_str());
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let words = "press Enter:\nNo browser could be started: open the page yourself.\n\
                 Sign in with a code on any device instead? [Y/n] n\n";
    assert!(left.text.contains(words), "{}", left.text);
}

#[test]
fn whoever_wants_it_quiet_gets_the_address_and_no_more() {
    let desk = Desk::with_profile();
    let done = come_back(&desk, "-q login --flow browser").expect_code(0);
    let lines: Vec<&str> = done
        .stderr
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    let [what, address] = lines[..] else {
        panic!("{}", done.stderr)
    };
    assert!(what.starts_with("Sign in on this page"), "{what}");
    assert!(address.contains("/authorize?"), "{address}");
}
