//! Everything a server was ever seen to do wrong, done to the real `countersign`.
//!
//! A row spoils one thing at a scripted provider and names the error that must come of it. For every
//! row, whatever it is, the program ends in bounded time with that code, the exit code that belongs
//! to it and something to do about it; it prints nothing on standard output, no control character, no
//! panic and no secret; and a login that failed leaves no session.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod fault;

use countersign_e2e::Cli;
use countersign_testkit::{Endpoint, Provider};
use fault::{Fault, Flow, run_all};

#[test]
fn discovery_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::Login, &fault::discovery::ROWS);
}

#[test]
fn a_device_authorization_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::Login, &fault::device::ROWS);
}

#[test]
fn polling_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::Login, &fault::token::ROWS);
}

#[test]
fn a_pushed_request_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::Pushed, &fault::authorization::PUSHED);
}

#[test]
fn an_answer_from_the_browser_that_is_wrong_ends_in_a_named_error() {
    run_all(Flow::Browser(""), &fault::authorization::ROWS);
}

#[test]
fn what_is_no_answer_from_the_browser_is_not_taken_for_one() {
    run_all(
        Flow::Browser("--login-timeout 3s"),
        &fault::authorization::STRAY,
    );
}

#[test]
fn the_exchange_of_a_code_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::Browser(""), &fault::code::ROWS);
}

#[test]
fn tokens_that_cannot_be_bound_end_in_a_named_error() {
    run_all(Flow::Browser("--dpop=required"), &fault::code::BOUND);
}

#[test]
fn an_id_token_that_is_wrong_ends_in_a_named_error() {
    run_all(Flow::Login, &fault::id_token::ROWS);
}

#[test]
fn a_renewal_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::Renewal, &fault::renewal::ROWS);
}

#[test]
fn userinfo_that_goes_wrong_ends_in_a_named_error() {
    run_all(Flow::WhoAmI, &fault::userinfo::ROWS);
}

#[test]
fn a_session_is_gone_from_here_whatever_the_server_does() {
    fault::userinfo::sign_out_from_all();
}

#[test]
fn what_real_servers_do_differently_is_tolerated() {
    fault::tolerated::run_all();
}

#[test]
fn keys_that_rotate_in_the_middle_are_fetched_again() {
    let provider = Provider::start();
    let cli = Cli::new();
    let login = format!(
        "login --issuer {} --client-id cli --no-browser",
        provider.issuer()
    );
    cli.run(&login).expect_code(0);
    // Keys of this very moment are not fetched again, or forged tokens would cause requests; these
    // have been kept for a minute when the server rotates its keys, between request and answer.
    cli.age_cache(60_000);
    provider.pending_polls(1);
    let waiting = cli.start_login(&provider.issuer(), "cli");
    provider.rotate_keys();
    waiting.finish().expect_code(0);
    assert_eq!(provider.requests(Endpoint::Jwks).len(), 2);
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let cli = Cli::new();
    let port = Provider::start().server().port();
    let done = cli.run(&format!(
        "login --issuer http://127.0.0.1:{port} --no-browser"
    ));
    assert!(
        done.stderr.contains("code: connect_failed"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("\nhint: "), "{}", done.stderr);
    done.expect_code(3);
}

#[test]
fn a_server_without_tls_is_not_spoken_to_without() {
    let provider = Provider::start();
    let port = provider.server().port();
    let done = Cli::new().run(&format!(
        "login --issuer https://127.0.0.1:{port} --no-browser"
    ));
    assert!(done.stderr.contains("code: tls_failed"), "{}", done.stderr);
    assert!(done.stderr.contains("\nhint: "), "{}", done.stderr);
    done.expect_code(7);
    assert_eq!(provider.server().requests().len(), 0);
}

#[test]
fn no_two_rows_are_the_same() {
    let all: Vec<&Fault> = [
        &fault::discovery::ROWS[..],
        &fault::device::ROWS,
        &fault::token::ROWS,
        &fault::id_token::ROWS,
        &fault::authorization::STRAY,
        &fault::authorization::ROWS,
        &fault::authorization::PUSHED,
        &fault::code::ROWS,
        &fault::code::BOUND,
        &fault::renewal::ROWS,
        &fault::userinfo::ROWS,
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut names: Vec<&str> = all.iter().map(|fault| fault.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
