//! `countersign proxy` and `countersign exec`: programs that can send no header, and those who would
//! like to be one of them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use countersign_testkit::{Program, Running};

use crate::desk::Desk;
use crate::https::{Answer, Asked, Https};

fn ok(body: &str) -> Answer {
    (200, Vec::new(), body.as_bytes().to_vec())
}

/// An API that answers with what it was asked.
fn api(desk: &Desk) -> Https {
    Https::start(desk.home.path(), |asked: &Asked| {
        let location = |to: &str| (302, vec![("location", to.to_owned())], Vec::new());
        match asked.target.as_str() {
            "/v1/same" => location("/v1/other?a=b"),
            "/v1/elsewhere" => location("https://elsewhere.example/"),
            "/v1/chunked" => (
                200,
                vec![("transfer-encoding", "chunked".to_owned())],
                b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n".to_vec(),
            ),
            "/v1/cut" => (
                200,
                vec![("transfer-encoding", "chunked".to_owned())],
                b"3\r\none\r\n3\r\ntw".to_vec(),
            ),
            "/v1/missing" => (404, Vec::new(), b"no".to_vec()),
            _ => ok(&String::from_utf8_lossy(&asked.body)),
        }
    })
}

/// A command of ours that trusts the API.
fn with(desk: &Desk, api: &Https, arguments: &str) -> Program {
    let file = api.ca_file().display();
    desk.program(&format!("--ca-cert {file} {arguments}"))
}

/// Runs a script with the address of a proxy in `API_URL`.
fn script(desk: &Desk, api: &Https, text: &str) -> Program {
    let arguments = format!("exec --proxy API_URL={} -- sh -c", api.url("/v1"));
    with(desk, api, &arguments).arg(text)
}

/// A proxy that runs until it is let go, and the port and path of its address.
fn proxy(desk: &Desk, api: &Https) -> (Running, u16, String) {
    let running = with(desk, api, &format!("proxy {}", api.url("/v1"))).start();
    let address = running.wait_for_stdout(|text| text.split_once('\n').map(|it| it.0.to_owned()));
    let rest = address
        .strip_prefix("http://127.0.0.1:")
        .expect("it is on loopback");
    let (port, path) = rest.split_once('/').expect("it has a secret");
    (running, port.parse().expect("a port"), format!("/{path}"))
}

/// What is answered to these bytes.
fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket has a time limit");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_program_that_can_send_no_header_reaches_the_api() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let token = desk.run_silently("token");
    let text =
        "curl -sS \"$API_URL/items?x=1\" -H 'Authorization: Basic evil' -H 'DPoP: x' -d hello";
    let done = script(&desk, &api, text).run().expect_code(0);
    assert_eq!(done.stdout, "hello");
    desk.no_secret_is_in(&done.stderr);
    let asked = &api.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/v1/items?x=1")
    );
    let sent: Vec<&str> = asked
        .headers
        .iter()
        .filter(|(name, _)| name == "authorization" || name == "dpop")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(sent, [format!("Bearer {}", token.trim_end())]);
    assert_eq!(asked.header("host"), Some(api.host().as_str()));
}

#[test]
fn bodies_come_as_they_are_and_whole_or_not_at_all() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let run = |text: &str| script(&desk, &api, text).run();
    assert_eq!(
        run("curl -sS $API_URL/chunked").expect_code(0).stdout,
        "onetwo"
    );
    // curl says of a body that is not whole: 18.
    run("curl -sS $API_URL/cut").expect_code(18);
    run("curl -sSf $API_URL/missing").expect_code(22);
    let large = "head -c 3000000 /dev/zero | curl -sS $API_URL/x -T - -X PUT | wc -c";
    assert_eq!(run(large).expect_code(0).stdout.trim(), "3000000");
    let known = "head -c 3000000 /dev/zero | curl -sS $API_URL/x --data-binary @- | wc -c";
    assert_eq!(run(known).expect_code(0).stdout.trim(), "3000000");
    assert_eq!(
        run("curl -sSI $API_URL/x -o /dev/null -w '%{http_code}'")
            .expect_code(0)
            .stdout,
        "200"
    );
}

#[test]
fn redirects_are_handed_over_and_not_followed() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let run = |path: &str| {
        let text =
            format!("curl -sS \"$API_URL{path}\" -o /dev/null -w \"%{{redirect_url}} $API_URL\"");
        script(&desk, &api, &text).run().expect_code(0).stdout
    };
    let same = run("/same");
    let (to, here) = same.split_once(' ').expect("two words");
    assert_eq!(to, format!("{here}/other?a=b"));
    assert!(run("/elsewhere").starts_with("https://elsewhere.example/ "));
    assert_eq!(api.asked().len(), 2);
}

#[test]
fn the_command_has_what_was_asked_for_and_nothing_else() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let token = desk.run_silently("token");
    let id_token = desk.run_silently("token --id-token");
    let done = desk
        .program("exec --env API_TOKEN -- sh -c")
        .arg("printf %s $API_TOKEN")
        .run();
    assert_eq!(done.expect_code(0).stdout, token.trim_end());
    let done = desk
        .program("exec --env A --env B --id-token -- sh -c")
        .arg("printf %s $A$B")
        .run();
    assert_eq!(done.expect_code(0).stdout, id_token.trim_end().repeat(2));
    let done = script(&desk, &api, "env").run().expect_code(0);
    desk.no_secret_is_in(&done.stdout);
    // A token that was meant for us goes no further by itself.
    let done = desk
        .program("exec --env API_TOKEN -- env")
        .env("COUNTERSIGN_TOKEN", "canary")
        .run()
        .expect_code(0);
    assert!(
        done.stdout.contains("API_TOKEN=canary\n"),
        "{}",
        done.stdout
    );
    assert_eq!(done.stdout.matches("canary").count(), 1, "{}", done.stdout);
}

#[test]
fn the_end_is_the_commands_own_and_the_proxy_ends_with_it() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let done = script(&desk, &api, "printf %s $API_URL; exit 7")
        .run()
        .expect_code(7);
    let rest = done
        .stdout
        .strip_prefix("http://127.0.0.1:")
        .expect("an address");
    let port: u16 = rest
        .split('/')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the proxy is still there"
        );
        thread::sleep(Duration::from_millis(20));
    }
    let killed = script(&desk, &api, "kill -9 $$").run();
    assert_eq!(killed.signal(), Some(9));
}

#[test]
fn who_does_not_know_the_secret_gets_nothing_and_the_api_hears_nothing() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let (_running, port, path) = proxy(&desk, &api);
    let here = format!("Host: 127.0.0.1:{port}\r\n");
    let status = |request: String| {
        let answer = raw(port, &request);
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    let get = |target: &str| status(format!("GET {target} HTTP/1.1\r\n{here}\r\n"));
    let cut = path.get(..path.len() - 1).expect("it has an end");
    for target in ["/", "/v1/items", cut, &format!("{path}x/items"), "/x"] {
        assert_eq!(get(target), "404", "{target}");
    }
    assert_eq!(get(&format!("https://{}{path}/items", api.host())), "404");
    assert_eq!(get(&format!("{path}/../../admin")), "400");
    assert_eq!(get(&format!("{path}/%2e%2e/admin")), "400");
    let rebound = format!("GET {path}/items HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n");
    assert_eq!(status(rebound), "421");
    let smuggled = format!(
        "POST {path}/items HTTP/1.1\r\n{here}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    assert_eq!(status(smuggled), "400");
    assert_eq!(
        status(format!("CONNECT evil.example:443 HTTP/1.1\r\n{here}\r\n")),
        "501"
    );
    assert_eq!(status("\x16\x03\x01 hello\r\n\r\n".to_owned()), "400");
    let long = "a".repeat(70_000);
    assert_eq!(
        status(format!("GET {path} HTTP/1.1\r\n{here}X: {long}\r\n\r\n")),
        "431"
    );
    assert!(api.asked().is_empty());
    // What comes after a request on the same connection is no second one.
    let two = format!("GET {path}/one HTTP/1.1\r\n{here}\r\nGET {path}/two HTTP/1.1\r\n{here}\r\n");
    assert_eq!(status(two), "200");
    assert_eq!(api.asked().len(), 1);
    // Any other address of this computer is not listened on.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    assert!(TcpStream::connect(("::1", port)).is_err());
}

/// Needs root, to be somebody else for a moment; the kernel's table is read in `peer`'s own tests.
#[test]
fn another_user_who_knows_the_secret_is_cut_off() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let desk = Desk::signed_in();
    let api = api(&desk);
    let (_running, port, path) = proxy(&desk, &api);
    let url = format!("http://127.0.0.1:{port}{path}/items");
    let curl = |user: &str| {
        Program::new("setpriv")
            .args(["--reuid", user, "--clear-groups", "curl", "-sS", &url])
            .run()
    };
    let stranger = curl("65534");
    assert!(
        stranger.code().is_some_and(|code| [52, 56].contains(&code)),
        "{stranger:?}"
    );
    assert!(api.asked().is_empty());
    curl("0").expect_code(0);
}

#[test]
fn more_programs_than_it_has_hands_are_served_one_after_the_other() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let (_running, port, path) = proxy(&desk, &api);
    let request = format!("GET {path}/items HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let threads: Vec<_> = (0..80)
        .map(|_| {
            let request = request.clone();
            thread::spawn(move || raw(port, &request))
        })
        .collect();
    for thread in threads {
        let answer = thread.join().expect("no thread panics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(api.asked().len(), 80);
}

#[test]
fn a_bound_token_goes_with_a_proof_and_a_nonce_that_is_asked_for() {
    let desk = Desk::with_profile();
    desk.provider.demand_dpop();
    desk.program("login --dpop").run().expect_code(0);
    let api = Https::start(desk.home.path(), |asked: &Asked| {
        let nonce = vec![("dpop-nonce", "n-1".to_owned())];
        let proof = asked.header("dpop").unwrap_or_default();
        let bound = asked
            .header("authorization")
            .is_some_and(|value| value.starts_with("DPoP "));
        match (bound, proof.split('.').count()) {
            (true, 3) if asked.target == "/again" => (200, Vec::new(), b"bound".to_vec()),
            (true, 3) => (401, nonce, Vec::new()),
            _ => (400, Vec::new(), Vec::new()),
        }
    });
    let arguments = format!("exec --proxy API_URL={} -- sh -c", api.url("/"));
    let run = |text: &str| with(&desk, &api, &arguments).arg(text).run().expect_code(0);
    assert_eq!(run("curl -sS \"$API_URL/again\"").stdout, "bound");
    run("curl -sS \"$API_URL/x\"");
    // Once more with the nonce, and not for ever.
    assert_eq!(api.asked().len(), 3);
    // A token in a variable could not be used.
    let mut desk = desk;
    desk.run("exec --env API_TOKEN -- true").expect_code(1);
    desk.check("exec-bound");
}

#[test]
fn what_cannot_be_is_said_before_anything_runs() {
    let mut desk = Desk::with_profile();
    for (arguments, code) in [
        ("exec --env API_TOKEN -- true", 4),
        ("exec --proxy A=https://api.example.com -- true", 4),
        ("proxy https://api.example.com", 4),
        ("exec -- true", 2),
        ("exec --env 1A -- true", 2),
        ("exec --proxy https://api.example.com -- true", 2),
        ("exec --proxy A=http://api.example.com -- true", 2),
        ("exec true", 2),
        ("proxy http://127.0.0.1:8080", 2),
        ("proxy https://ada:pw@api.example.com", 2),
        ("proxy https://api.example.com/?a=b", 2),
    ] {
        desk.run(arguments).expect_code(code);
    }
    desk.program("login").run().expect_code(0);
    desk.run("exec --env API_TOKEN -- no-such-command-here")
        .expect_code(1);
    desk.check("exec");
}

#[test]
fn it_ends_when_standard_input_does_and_tells_of_requests_only_when_asked() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let arguments = format!("-v proxy --until-stdin-ends {}", api.url("/v1"));
    let done = with(&desk, &api, &arguments).run().expect_code(0);
    assert!(
        done.stdout.starts_with("http://127.0.0.1:"),
        "{}",
        done.stdout
    );
    let text = "curl -sS $API_URL/items";
    let done = script(&desk, &api, text).run().expect_code(0);
    assert_eq!(done.stderr, "");
}

#[test]
fn a_server_that_cannot_be_reached_or_believed_is_a_bad_gateway() {
    let desk = Desk::signed_in();
    let api = api(&desk);
    let code = "-o /dev/null -w '%{http_code}'";
    let arguments = format!("exec --proxy API_URL={} -- sh -c", api.url("/v1"));
    // Without the certificate that it is known by.
    let done = desk
        .program(&arguments)
        .arg(format!("curl -sS $API_URL/items {code}"))
        .run();
    assert_eq!(done.expect_code(0).stdout, "502");
    assert!(api.asked().is_empty());
    let done = desk
        .program("exec --proxy API_URL=https://localhost:9 -- sh -c")
        .arg(format!("curl -sS $API_URL/items {code}"))
        .run();
    assert_eq!(done.expect_code(0).stdout, "502");
}
