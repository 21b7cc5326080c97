//! Tokens for other APIs from the same login, and tokens exchanged for others: got once, kept apart, and
//! never at the cost of the session.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::sync::Barrier;
use std::time::Duration;

use countersign_client::{
    Error, Exchange, ExitCategory, LoginRequired, NoOtherApi, OtherToken, ScopeSet, Secret,
    ShownToken, SignIn, Subject, Target, TokenSource, TokenTypeId,
};
use countersign_oauth::TransportError;
use serde_json::{Value, json};
use support::{Fault, ISSUER, Recorder, Seen, World};

const MINUTE: Duration = Duration::from_secs(60);
const STOCK: &str = "https://stock.example.com";
const BILLS: &str = "https://bills.example.com";

fn open(world: &World) -> TokenSource {
    TokenSource::open(&world.context, &World::name()).unwrap()
}

fn api(resource: &str) -> Target {
    Target {
        resources: vec![resource.to_owned()],
        ..Target::default()
    }
}

fn token_for(world: &World, resource: &str) -> Result<OtherToken, Error> {
    open(world).token_for(&api(resource), MINUTE)
}

fn text_for(world: &World, resource: &str) -> String {
    token_for(world, resource)
        .unwrap()
        .token
        .expose()
        .to_owned()
}

fn own(world: &World) -> String {
    open(world)
        .access_token(MINUTE)
        .unwrap()
        .expose()
        .to_owned()
}

/// The requests for tokens since the login.
fn asked(world: &World) -> Vec<Seen> {
    let mut seen = world.server.seen("/token");
    seen.retain(|seen| !seen.form["grant_type"].ends_with("device_code"));
    seen
}

fn refused(world: &World, code: &str) {
    world
        .server
        .next("/token", Fault::Answer(400, json!({ "error": code })));
}

/// From now on, what the server issues is a JWT for these.
fn issues_for(world: &World, audience: &Value) {
    let token = world
        .server
        .sign("at+jwt", &json!({ "iss": ISSUER, "aud": audience }));
    world.server.edit("/token", move |body| {
        body["access_token"] = token.clone().into();
        body.as_object_mut().unwrap().remove("id_token");
    });
}

/// RFC 8707, section 2.2.
#[test]
fn one_login_serves_several_apis() {
    let world = World::signed_in();
    let before = own(&world);
    let stock = token_for(&world, STOCK).unwrap();
    assert_eq!(
        stock.expires_at.unwrap().as_secs(),
        world.clock.seconds() + 600
    );
    assert!(!stock.is_bound());
    let [request] = <[_; 1]>::try_from(asked(&world)).unwrap();
    assert_eq!(request.form["grant_type"], "refresh_token");
    assert_eq!(request.form["resource"], STOCK);
    assert!(stock.token.expose() != before);
    assert_eq!(own(&world), before);
    assert_eq!(asked(&world).len(), 1);
}

#[test]
fn each_is_kept_until_it_expires_and_none_loses_another() {
    let world = World::signed_in();
    let stock = text_for(&world, STOCK);
    world.clock.pass(300);
    let bills = text_for(&world, BILLS);
    assert_eq!(text_for(&world, STOCK), stock);
    assert_eq!(asked(&world).len(), 2);
    // The first is over, the second is not, and the session itself has to be renewed.
    world.clock.pass(300);
    assert_eq!(text_for(&world, BILLS), bills);
    let next = text_for(&world, STOCK);
    assert!(next != stock && next != bills);
    assert_eq!(text_for(&world, BILLS), bills);
    own(&world);
    assert_eq!(text_for(&world, STOCK), next);
    // Every refresh token was spent once: the family lives.
    assert_eq!(asked(&world).len(), 4);
}

#[test]
fn what_is_asked_for_makes_the_difference_and_not_its_order() {
    let world = World::signed_in();
    let token = |resources: &[&str], scopes: &str| {
        let target = Target {
            resources: resources.iter().copied().map(str::to_owned).collect(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            ..Target::default()
        };
        let token = open(&world).token_for(&target, MINUTE).unwrap();
        token.token.expose().to_owned()
    };
    let both = token(&[STOCK, BILLS], "read write");
    assert_eq!(token(&[BILLS, STOCK], "write read"), both);
    assert!(token(&[BILLS, STOCK], "read") != both);
    assert!(token(&[BILLS], "read write") != both);
    assert_eq!(asked(&world).len(), 3);
    assert_eq!(asked(&world)[0].form["scope"], "read write");
}

#[test]
fn a_new_one_is_got_when_that_is_what_is_wanted() {
    let world = World::signed_in();
    let first = text_for(&world, STOCK);
    let second = open(&world).new_token_for(&api(STOCK)).unwrap();
    assert!(second.token.expose() != first);
    assert_eq!(text_for(&world, STOCK), second.token.expose());
}

/// What the session was made for is what it has already.
#[test]
fn the_api_of_the_login_is_none_of_the_others() {
    let world = World::new();
    let login = world.login().resource(STOCK).resource(BILLS);
    login.run(&mut Recorder::default()).unwrap();
    let is_own = |resources: &[&str]| {
        let resources = resources.iter().copied().map(str::to_owned).collect();
        open(&world).is_own(&Target {
            resources,
            ..Target::default()
        })
    };
    assert!(is_own(&[BILLS, STOCK]));
    assert!(!is_own(&[STOCK]) && !is_own(&[]));
}

/// RFC 8707, section 2: `invalid_target` is about the API and never about the session.
#[test]
fn a_refusal_names_what_it_refused_and_the_session_goes_on() {
    let world = World::signed_in();
    let before = own(&world);
    for code in ["invalid_target", "invalid_scope", "unauthorized_client"] {
        refused(&world, code);
        let error = token_for(&world, STOCK).unwrap_err();
        assert!(matches!(error, Error::NotGiven(_)), "{code}: {error:?}");
        assert_eq!(
            error.to_string(),
            format!("the server gives no token for {STOCK}")
        );
        assert_eq!(error.exit_category(), ExitCategory::Configuration, "{code}");
        assert!(!error.hints().is_empty(), "{code}");
        assert!(!open(&world).session().has_ended(), "{code}");
    }
    assert_eq!(own(&world), before);
    assert_eq!(asked(&world).len(), 3);
    text_for(&world, STOCK);
}

/// Entra says `invalid_grant` of an API that the person has not consented to.
#[test]
fn a_refresh_token_that_is_good_for_all_but_this_api_is_kept() {
    let world = World::signed_in();
    refused(&world, "invalid_grant");
    let error = token_for(&world, STOCK).unwrap_err();
    assert!(matches!(error, Error::NotGiven(_)), "{error:?}");
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
    // It was tried without the API, and that went well.
    let requests = asked(&world);
    assert_eq!(requests.len(), 2);
    assert!(!requests[1].form.contains_key("resource"));
    text_for(&world, BILLS);
}

#[test]
fn a_session_that_is_over_is_told_as_that() {
    let world = World::signed_in();
    world.server.end_session();
    match token_for(&world, STOCK).unwrap_err() {
        Error::LoginRequired { reason, .. } => assert_eq!(reason, LoginRequired::Rejected),
        other => panic!("{other:?}"),
    }
    assert!(open(&world).session().has_ended());
}

#[test]
fn while_the_server_is_down_a_token_that_is_still_good_is_used() {
    let world = World::signed_in();
    let stock = text_for(&world, STOCK);
    world.clock.pass(560);
    world.server.go_down();
    assert_eq!(text_for(&world, STOCK), stock);
    world.clock.pass(40);
    let error = token_for(&world, STOCK).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    world.server.recover();
    text_for(&world, STOCK);
}

#[test]
fn many_who_ask_at_once_are_one_request_for_each_api() {
    let world = World::signed_in();
    world.clock.is_crowded();
    let start = Barrier::new(16);
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let (world, start) = (&world, &start);
            scope.spawn(move || {
                start.wait();
                text_for(
                    world,
                    if number.is_multiple_of(2) {
                        STOCK
                    } else {
                        BILLS
                    },
                )
            })
        };
        let threads: Vec<_> = (0..16).map(ask).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(asked(&world).len(), 2);
    for pair in tokens.chunks(2) {
        assert_eq!(pair, &tokens[..2]);
    }
    assert!(!open(&world).session().has_ended());
}

#[test]
fn a_session_without_a_refresh_token_has_no_others() {
    let world = World::new();
    world.server.edit("/token", |body| {
        body.as_object_mut().unwrap().remove("refresh_token");
    });
    world.login().run(&mut Recorder::default()).unwrap();
    match token_for(&world, STOCK).unwrap_err() {
        Error::OtherApi { why, .. } => assert_eq!(why, NoOtherApi::NoRefreshToken),
        other => panic!("{other:?}"),
    }
    assert!(asked(&world).is_empty());
}

#[test]
fn a_client_that_signs_in_as_itself_asks_again_for_the_other() {
    let world = World::new();
    let login = world.login().client_secret(Secret::new("secret-of-client"));
    let login = login.flow(SignIn::ClientCredentials).resource(BILLS);
    login.run(&mut Recorder::default()).unwrap();
    text_for(&world, STOCK);
    let last = asked(&world).pop().unwrap();
    assert_eq!(last.form["grant_type"], "client_credentials");
    assert_eq!(last.form["resource"], STOCK);
}

/// Each provider has its own way, or none.
#[test]
fn a_provider_is_asked_in_its_own_way() {
    for (preset, name, value) in [
        ("auth0", "audience", STOCK.to_owned()),
        ("entra", "scope", format!("{STOCK}/.default offline_access")),
    ] {
        let world = World::new();
        let login = world.login().preset(preset);
        login.run(&mut Recorder::default()).unwrap();
        text_for(&world, STOCK);
        let [request] = <[_; 1]>::try_from(asked(&world)).unwrap();
        assert_eq!(request.form[name], value, "{preset}");
        assert!(!request.form.contains_key("resource"), "{preset}");
    }
    let world = World::new();
    world
        .login()
        .preset("okta")
        .run(&mut Recorder::default())
        .unwrap();
    let error = token_for(&world, STOCK).unwrap_err();
    assert_eq!(error.code(), "no_other_api");
    assert!(
        error.hints()[0].contains("one audience"),
        "{:?}",
        error.hints()
    );
    assert!(asked(&world).is_empty());
}

/// A server that leaves out what it does not know, as Auth0 does without a policy for the API: the token
/// would be shown to an API that it is not for. RFC 9068, section 3.
#[test]
fn a_token_for_another_api_than_the_one_asked_for_is_not_handed_out() {
    let world = World::signed_in();
    issues_for(&world, &json!(["https://default.example.com", ISSUER]));
    let error = token_for(&world, STOCK).unwrap_err();
    assert_eq!(error.code(), "other_audience");
    let cause = std::error::Error::source(&error).unwrap();
    let causes = format!("{cause}: {:?}", cause.source().map(ToString::to_string));
    assert!(causes.contains("https://default.example.com"), "{causes}");
    // The refresh token was replaced by then, and the next is kept.
    assert!(token_for(&world, STOCK).is_err());
    assert!(!open(&world).session().has_ended());
    assert_eq!(asked(&world).len(), 2);
}

#[test]
fn a_token_that_names_the_api_among_others_is_for_it() {
    let world = World::signed_in();
    issues_for(&world, &json!([ISSUER, format!("{STOCK}/")]));
    text_for(&world, STOCK);
}

#[test]
fn what_cannot_be_read_cannot_be_seen_to_be_wrong() {
    let world = World::signed_in();
    let foreign = World::new();
    let token = foreign
        .server
        .sign("at+jwt", &json!({ "iss": ISSUER, "aud": BILLS }));
    world.server.edit("/token", move |body| {
        body["access_token"] = token.clone().into();
    });
    text_for(&world, STOCK);
}

fn exchanged(world: &World, exchange: &Exchange) -> Result<OtherToken, Error> {
    open(world).exchanged(exchange, MINUTE)
}

/// RFC 8693, section 2.1.
#[test]
fn the_session_s_token_is_exchanged_and_the_result_is_kept() {
    let world = World::signed_in();
    let mut exchange = Exchange::of(Subject::AccessToken);
    exchange.target = api(STOCK);
    let token = exchanged(&world, &exchange).unwrap();
    assert_eq!(token.issued, Some(TokenTypeId::ACCESS_TOKEN));
    let [request] = <[_; 1]>::try_from(asked(&world)).unwrap();
    assert_eq!(request.form["subject_token"], own(&world));
    assert_eq!(
        request.form["subject_token_type"],
        TokenTypeId::ACCESS_TOKEN.as_str()
    );
    assert_eq!(request.form["resource"], STOCK);
    let again = exchanged(&world, &exchange).unwrap();
    assert_eq!(again.token, token.token);
    assert_eq!(again.issued, token.issued);
    assert_eq!(asked(&world).len(), 1);
    // For the same API, but by another way: that is another token.
    assert!(text_for(&world, STOCK) != token.token.expose());
}

#[test]
fn a_token_from_elsewhere_is_kept_apart_from_any_other() {
    let world = World::signed_in();
    let given = |token: &str| {
        let mut exchange = Exchange::of(Subject::Given(ShownToken {
            token: Secret::new(token),
            kind: TokenTypeId::JWT,
        }));
        exchange.as_actor = true;
        exchanged(&world, &exchange).unwrap().token
    };
    let one = given("secret-of-ci-1");
    assert_eq!(given("secret-of-ci-1"), one);
    assert!(given("secret-of-ci-2") != one);
    let requests = asked(&world);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].form["subject_token"], "secret-of-ci-1");
    assert_eq!(requests[0].form["actor_token"], own(&world));
    // What was exchanged is nowhere on this computer.
    let kept = world.home.path().join("state/derived/default.json");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(!kept.contains("secret-of-ci"), "{kept}");
}

/// RFC 8693, section 2.2.1: `issued_token_type` is REQUIRED.
#[test]
fn an_answer_that_does_not_say_what_it_is_is_refused() {
    let world = World::signed_in();
    world.server.edit("/token", |body| {
        body.as_object_mut().unwrap().remove("issued_token_type");
    });
    let error = exchanged(&world, &Exchange::of(Subject::IdToken)).unwrap_err();
    assert_eq!(error.code(), "missing_member");
}

/// RFC 8693, section 2.2.2.
#[test]
fn an_exchange_that_is_refused_leaves_the_session_alone() {
    let world = World::signed_in();
    let before = own(&world);
    for code in [
        "invalid_request",
        "invalid_target",
        "invalid_grant",
        "unsupported_grant_type",
    ] {
        refused(&world, code);
        let error = exchanged(&world, &Exchange::of(Subject::AccessToken)).unwrap_err();
        assert!(matches!(error, Error::NotGiven(_)), "{code}: {error:?}");
        assert_eq!(error.to_string(), "the server does not exchange the token");
    }
    assert_eq!(own(&world), before);
    assert_eq!(asked(&world).len(), 4);
}

#[test]
fn an_exchanged_token_is_used_while_the_server_is_down() {
    let world = World::signed_in();
    let exchange = Exchange::of(Subject::AccessToken);
    let token = exchanged(&world, &exchange).unwrap();
    world.clock.pass(550);
    let reason = "connection refused".to_owned();
    world.server.always(
        "/token",
        Fault::Transport(TransportError::Connect { reason }),
    );
    assert_eq!(exchanged(&world, &exchange).unwrap().token, token.token);
}

#[test]
fn a_token_of_unknown_life_is_not_kept_for_long() {
    let world = World::signed_in();
    world.server.edit("/token", |body| {
        body.as_object_mut().unwrap().remove("expires_in");
    });
    let stock = token_for(&world, STOCK).unwrap();
    assert_eq!(stock.expires_at, None);
    assert_eq!(text_for(&world, STOCK), stock.token.expose());
    world.clock.pass(61);
    assert!(text_for(&world, STOCK) != stock.token.expose());
}
