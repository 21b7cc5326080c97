//! `countersign curl`: the real curl gets the token, and nobody else does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use countersign_testkit::{HttpServer, Reply};
use serde_json::json;

use crate::desk::Desk;

fn api() -> HttpServer {
    let api = HttpServer::start();
    api.on("GET", "/items", Reply::json(200, &json!({ "items": [] })));
    api.on("POST", "/items", Reply::new(201));
    api
}

#[test]
fn the_api_gets_the_token_and_the_arguments_get_to_curl() {
    let desk = Desk::signed_in();
    let api = api();
    let token = desk.program("token").run().expect_code(0).stdout;
    let done = desk
        .program(&format!("curl {} -s", api.url("/items")))
        .run()
        .expect_code(0);
    assert_eq!(done.stdout, "{\"items\":[]}");
    let request = &api.requests()[0];
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {}", token.trim_end()).as_str())
    );

    // Data on standard input stays the user's.
    let url = api.url("/items");
    let done = desk.program(&format!(
        "curl {url} -sS -X POST --data-binary @- -o /dev/null -w %{{http_code}}"
    ));
    assert_eq!(done.stdin("hello").run().expect_code(0).stdout, "201");
    assert_eq!(api.requests()[1].body, b"hello");
}

#[test]
fn curls_own_exit_code_is_passed_on() {
    let desk = Desk::signed_in();
    let api = api();
    let missing = desk
        .program(&format!("curl {} -sf", api.url("/missing")))
        .run();
    assert_eq!(missing.code(), Some(22));
    let unreachable = desk.program("curl http://127.0.0.1:9/ -s").run();
    assert_eq!(unreachable.code(), Some(7));
}

/// A stand-in for curl that shows what it was started with.
#[test]
fn the_token_is_in_no_argument_and_no_variable() {
    let desk = Desk::signed_in();
    let token = desk.program("token").run().expect_code(0).stdout;
    let directory = desk.home.path().join("bin");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("curl");
    fs::write(
        &path,
        "#!/bin/sh\nprintf '%s\\n' \"$@\"; echo ---; env; echo ---; for last; do :; done; cat \"$last\"\n",
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!("{}:/usr/bin:/bin", directory.display());
    let done = desk
        .program("curl https://api.example.com/items -s")
        .env("PATH", search)
        .env("COUNTERSIGN_TOKEN", "ready-made-canary")
        .run()
        .expect_code(0);
    let parts: Vec<&str> = done.stdout.split("---\n").collect();
    let [arguments, environment, configuration] = parts[..] else {
        panic!("{}", done.stdout)
    };
    for open in [arguments, environment] {
        assert!(
            !open.contains("ready-made-canary") && !open.contains(token.trim_end()),
            "{open}"
        );
    }
    assert!(
        arguments.starts_with("-s\n--config\n/dev/fd/"),
        "{arguments}"
    );
    assert!(configuration.contains("header = \"authorization: Bearer ready-made-canary\"\n"));
    assert!(configuration.contains("url = \"https://api.example.com/items\"\n"));
    assert!(configuration.contains("proto = \"=https\"\n"));
}

#[test]
fn what_curl_tells_with_v_has_stars_instead_of_the_token() {
    let desk = Desk::signed_in();
    let api = api();
    let done = desk
        .program(&format!("curl {} -sv", api.url("/items")))
        .run()
        .expect_code(0);
    desk.no_secret_is_in(&done.stderr);
    assert!(
        done.stderr
            .to_ascii_lowercase()
            .contains("authorization: bearer ****"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("< HTTP/1.1 200"), "{}", done.stderr);
}

#[test]
fn what_is_not_encrypted_goes_through_no_proxy() {
    let desk = Desk::signed_in();
    let (api, proxy) = (api(), HttpServer::start());
    let url = api.url("/items");
    for arguments in [
        format!("curl {url} -s"),
        format!("curl {url} -s -x {}", proxy.origin()),
    ] {
        let done = desk
            .program(&arguments)
            .env("http_proxy", proxy.origin())
            .run();
        assert_eq!(done.expect_code(0).stdout, "{\"items\":[]}");
    }
    assert!(proxy.requests().is_empty());
}

#[test]
fn a_redirect_to_another_host_does_not_take_the_token_along() {
    let desk = Desk::signed_in();
    let (api, elsewhere) = (HttpServer::start(), HttpServer::start());
    elsewhere.on("GET", "/", Reply::new(200));
    api.on("GET", "/", Reply::redirect(302, &elsewhere.url("/")));
    desk.program(&format!("curl {} -sL", api.url("/")))
        .run()
        .expect_code(0);
    assert!(api.requests()[0].header("authorization").is_some());
    assert_eq!(elsewhere.requests()[0].header("authorization"), None);
}

#[test]
fn what_is_refused_is_refused_before_anything_is_sent() {
    let mut desk = Desk::signed_in();
    for arguments in [
        "curl http://api.example.com/",
        "curl api.example.com",
        "curl ftp://api.example.com/",
        "curl https://ada:pw@api.example.com/",
        "curl -s https://api.example.com/",
        "curl https://api.example.com/ https://elsewhere.example/",
        "curl https://api.example.com/ --url https://elsewhere.example/",
        "curl https://api.example.com/ --next",
        "curl https://api.example.com/ -L --location-trusted",
        "curl https://api.example.com/ --trace-ascii trace.txt",
        "curl",
    ] {
        desk.run(arguments).expect_code(2);
    }
    desk.check("curl-refused");
}

#[test]
fn without_curl_there_is_advice() {
    let mut desk = Desk::signed_in();
    desk.export("PATH", "/nowhere");
    desk.run("curl https://api.example.com/").expect_code(1);
    desk.check("no-curl");
}
