//! One access token is exchanged for another (RFC 8693).

use countersign_issuer::core::{
    Audiences, ClientCredentials, ClientRejected, ExchangeRequest, Failure, GrantType,
    NewAuthentication, NewClient, Refusal, Tokens,
};
use countersign_oauth::{ScopeSet, Secret, TokenTypeId};
use serde_json::json;

use crate::dpop::Key;
use crate::fixture::{Fixture, claims, cli, code_of, refused, request};
use crate::over_both;

over_both!(
    a_service_passes_a_call_on_and_says_that_it_does,
    a_chain_of_services_can_be_read_from_the_token_and_has_an_end,
    a_client_narrows_its_own_token_and_cannot_widen_it,
    a_service_exchanges_what_is_meant_for_it_and_nothing_else,
    only_a_client_that_may_exchanges,
    the_new_token_never_outlives_the_old_one,
    the_new_token_ends_with_the_login_and_with_its_client,
    introspection_tells_who_acts,
    an_actor_is_the_client_itself,
    a_client_s_own_token_is_about_no_person,
    a_bound_token_is_narrowed_with_its_key_and_passed_on_without,
);

const ORDERS: &str = "https://orders.example";
const STOCK: &str = "https://stock.example";
const BILLS: &str = "https://bills.example";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A service that is one API and may call others.
async fn service(f: &Fixture, id: &str, serves: &str, calls: &[&str]) -> ClientCredentials {
    let client = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: vec![GrantType::TokenExchange, GrantType::ClientCredentials],
        audiences: Audiences::Listed(calls.iter().copied().map(str::to_owned).collect()),
        serves: vec![serves.to_owned()],
        ..NewClient::new(id)
    };
    register(f, client).await
}

async fn register(f: &Fixture, client: NewClient) -> ClientCredentials {
    let added = f.core.put_client(client, f.now()).await.unwrap().unwrap();
    match added.secret {
        Some(secret) => ClientCredentials::with_secret(added.client.id, secret),
        None => ClientCredentials::public(added.client.id),
    }
}

/// A person's login with `client` for these APIs.
async fn log_in(
    f: &Fixture,
    client: &ClientCredentials,
    scope: &str,
    resources: &[&str],
) -> Tokens {
    let mut device = request(scope);
    device.credentials = client.clone();
    device.resources = resources.iter().copied().map(str::to_owned).collect();
    let started = f.core.start_device(device, f.now()).await.unwrap();
    f.approve(&started, &f.sign_in("ada").await).await;
    let code = started.device_code.expose();
    let redeemed = f.core.redeem_device(client, code, &[], f.now()).await;
    redeemed.unwrap()
}

fn asked(client: &ClientCredentials, subject: &Secret) -> ExchangeRequest {
    ExchangeRequest {
        credentials: client.clone(),
        subject_token: subject.clone(),
        subject_token_type: ACCESS_TOKEN.to_owned(),
        actor_token: None,
        actor_token_type: None,
        requested_token_type: None,
        scope: None,
        resources: Vec::new(),
        audiences: Vec::new(),
    }
}

async fn exchange(f: &Fixture, request: ExchangeRequest) -> Result<Tokens, Failure> {
    f.core.exchange(request, f.now()).await
}

/// Passes a call on to the one API that the service may call.
async fn pass_on(f: &Fixture, client: &ClientCredentials, subject: &Secret) -> Tokens {
    exchange(f, asked(client, subject)).await.unwrap()
}

async fn a_service_passes_a_call_on_and_says_that_it_does(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let scope = "openid profile read offline_access";
    let person = log_in(&f, &cli(), scope, &[ORDERS]).await;
    let tokens = pass_on(&f, &orders, &person.access_token).await;
    assert_eq!(tokens.issued_token_type, Some(TokenTypeId::ACCESS_TOKEN));
    assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none());
    // What is for a client with a login of its own is not passed on.
    assert_eq!(tokens.scope, "profile read");
    let (old, new) = (claims(&person.access_token), claims(&tokens.access_token));
    assert_eq!(new["aud"], STOCK);
    assert_eq!(new["client_id"], "orders");
    assert_eq!(new["act"], json!({ "sub": "orders" }));
    for same in ["iss", "sub", "sid", "auth_time", "acr", "exp", "name"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert!(new["sub"] != "orders" && new["jti"] != old["jti"]);
}

/// Section 4.1: the outermost actor is the present one.
async fn a_chain_of_services_can_be_read_from_the_token_and_has_an_end(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let stock = service(&f, "stock", STOCK, &[ORDERS]).await;
    let mut token = log_in(&f, &cli(), "openid read", &[ORDERS])
        .await
        .access_token;
    for round in 0..2 {
        token = pass_on(&f, &orders, &token).await.access_token;
        token = pass_on(&f, &stock, &token).await.access_token;
        let act = &claims(&token)["act"];
        assert_eq!(
            (&act["sub"], &act["act"]["sub"]),
            (&json!("stock"), &json!("orders"))
        );
        assert_eq!(act["act"]["act"].is_null(), round == 0);
    }
    let refusal = exchange(&f, asked(&orders, &token)).await;
    assert_eq!(code_of(refusal), "invalid_request");
}

async fn a_client_narrows_its_own_token_and_cannot_widen_it(f: Fixture) {
    let narrower = NewClient {
        grant_types: vec![GrantType::DeviceCode, GrantType::TokenExchange],
        audiences: Audiences::Any,
        ..NewClient::new("tool")
    };
    let tool = register(&f, narrower).await;
    let wide = log_in(&f, &tool, "read write", &[ORDERS, STOCK])
        .await
        .access_token;
    let ask = |subject: &Secret, scope: Option<&str>, resource: Option<&str>| ExchangeRequest {
        scope: scope.map(str::to_owned),
        resources: resource.map(str::to_owned).into_iter().collect(),
        ..asked(&tool, subject)
    };
    let narrow = exchange(&f, ask(&wide, Some("read"), Some(STOCK)))
        .await
        .unwrap();
    let told = claims(&narrow.access_token);
    assert_eq!(
        (&told["aud"], &told["scope"]),
        (&json!(STOCK), &json!("read"))
    );
    // Nobody else has come into it.
    assert!(told.get("act").is_none());
    let narrow = narrow.access_token;
    for (subject, scope, resource, code) in [
        (&wide, Some("admin"), None, "invalid_scope"),
        (&wide, None, Some(BILLS), "invalid_target"),
        // Who was given the narrow one cannot get the rest with it.
        (&narrow, Some("read write"), None, "invalid_scope"),
        (&narrow, None, Some(ORDERS), "invalid_target"),
        (&narrow, None, Some("orders"), "invalid_target"),
    ] {
        let refusal = exchange(&f, ask(subject, scope, resource)).await;
        assert_eq!(code_of(refusal), code, "{scope:?} {resource:?}");
    }
}

async fn a_service_exchanges_what_is_meant_for_it_and_nothing_else(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK, BILLS]).await;
    let tokens = log_in(&f, &cli(), "openid read offline_access", &[ORDERS]).await;
    let ask = |subject: &Secret, scope: Option<&str>, resource: &str| ExchangeRequest {
        scope: scope.map(str::to_owned),
        resources: vec![resource.to_owned()],
        ..asked(&orders, subject)
    };
    let meant = &tokens.access_token;
    assert!(exchange(&f, ask(meant, Some("read"), BILLS)).await.is_ok());
    let of_stock = log_in(&f, &cli(), "read", &[STOCK]).await.access_token;
    let of_nobody = log_in(&f, &cli(), "read", &[]).await.access_token;
    let id_token = tokens.id_token.clone().unwrap();
    let refresh_token = tokens.refresh_token.clone().unwrap();
    for (subject, scope, resource, code) in [
        (&of_stock, None, STOCK, "invalid_request"),
        (&of_nobody, None, STOCK, "invalid_request"),
        (&id_token, None, STOCK, "invalid_request"),
        (&refresh_token, None, STOCK, "invalid_request"),
        (&Secret::new("nonsense"), None, STOCK, "invalid_request"),
        (meant, None, "https://elsewhere.example", "invalid_target"),
        (meant, None, ORDERS, "invalid_target"),
        (meant, Some("write"), STOCK, "invalid_scope"),
    ] {
        let refusal = exchange(&f, ask(subject, scope, resource)).await;
        assert_eq!(code_of(refusal), code, "{scope:?} {resource}");
    }
    // Which of the two it is to be has to be said.
    assert_eq!(
        refused(exchange(&f, asked(&orders, meant)).await),
        Refusal::InvalidTarget
    );
    let others = [
        ExchangeRequest {
            subject_token_type: TokenTypeId::JWT.to_string(),
            ..ask(meant, None, STOCK)
        },
        ExchangeRequest {
            requested_token_type: Some(TokenTypeId::SAML2.to_string()),
            ..ask(meant, None, STOCK)
        },
        ExchangeRequest {
            actor_token_type: Some(ACCESS_TOKEN.to_owned()),
            ..ask(meant, None, STOCK)
        },
    ];
    for other in others {
        assert_eq!(code_of(exchange(&f, other).await), "invalid_request");
    }
}

async fn only_a_client_that_may_exchanges(f: Fixture) {
    let token = log_in(&f, &cli(), "read", &[ORDERS]).await.access_token;
    let refusal = exchange(&f, asked(&cli(), &token)).await;
    assert_eq!(refused(refusal), Refusal::UnauthorizedClient);
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let without = ClientCredentials::public(orders.id());
    assert_eq!(
        refused(exchange(&f, asked(&without, &token)).await),
        Refusal::InvalidClient
    );
    // Anybody could say to be a public client, and exchange what was stolen from an API.
    for (authentication, grant_types, rejected) in [
        (
            NewAuthentication::Public,
            vec![GrantType::TokenExchange],
            ClientRejected::PublicServes,
        ),
        (
            NewAuthentication::Secret,
            vec![],
            ClientRejected::ServesWithoutUse,
        ),
    ] {
        let client = NewClient {
            authentication,
            grant_types,
            serves: vec![ORDERS.to_owned()],
            ..NewClient::new("x")
        };
        let outcome = f.core.put_client(client, f.now()).await.unwrap();
        assert_eq!(outcome.unwrap_err(), rejected);
    }
}

async fn the_new_token_never_outlives_the_old_one(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let old = log_in(&f, &cli(), "read", &[ORDERS]).await.access_token;
    f.advance_secs(400);
    let tokens = pass_on(&f, &orders, &old).await;
    assert_eq!(tokens.expires_in.as_secs(), 200);
    assert_eq!(claims(&tokens.access_token)["exp"], claims(&old)["exp"]);
    f.advance_secs(200);
    assert_eq!(
        code_of(exchange(&f, asked(&orders, &old)).await),
        "invalid_request"
    );
}

async fn the_new_token_ends_with_the_login_and_with_its_client(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let is_good = async |f: &Fixture, token: &Secret| {
        let told = f.core.introspect(&orders, token.expose(), f.now()).await;
        told.unwrap().active
    };
    let login = log_in(&f, &cli(), "read offline_access", &[ORDERS]).await;
    let derived = pass_on(&f, &orders, &login.access_token).await.access_token;
    assert!(is_good(&f, &derived).await);
    let refresh_token = login.refresh_token.unwrap();
    let revoked = f.core.revoke(&cli(), refresh_token.expose(), f.now()).await;
    revoked.unwrap();
    assert!(!is_good(&f, &derived).await);
    let login = log_in(&f, &cli(), "read offline_access", &[ORDERS]).await;
    let derived = pass_on(&f, &orders, &login.access_token).await.access_token;
    assert!(is_good(&f, &derived).await);
    // Registered again, and not for this.
    let client = NewClient {
        authentication: NewAuthentication::Secret,
        ..NewClient::new("orders")
    };
    let orders = register(&f, client).await;
    let told = f.core.introspect(&orders, derived.expose(), f.now()).await;
    assert!(!told.unwrap().active);
}

async fn introspection_tells_who_acts(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let stock = service(&f, "stock", STOCK, &[]).await;
    let login = log_in(&f, &cli(), "read", &[ORDERS]).await.access_token;
    let derived = pass_on(&f, &orders, &login).await.access_token;
    for who in [&orders, &stock] {
        let told = f
            .core
            .introspect(who, derived.expose(), f.now())
            .await
            .unwrap();
        let told = serde_json::to_value(told).unwrap();
        assert_eq!(told["act"], json!({ "sub": "orders" }));
        assert_eq!(
            (&told["client_id"], &told["username"]),
            (&json!("orders"), &json!("ada"))
        );
    }
    // It is meant for somebody else than the person's own client.
    let told = f.core.introspect(&cli(), derived.expose(), f.now()).await;
    assert!(!told.unwrap().active);
}

async fn an_actor_is_the_client_itself(f: Fixture) {
    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let stock = service(&f, "stock", STOCK, &[ORDERS]).await;
    let own = async |client: &ClientCredentials| {
        let tokens = f.core.client_credentials(client, None, &[], &[], f.now());
        tokens.await.unwrap().access_token
    };
    let login = log_in(&f, &cli(), "read", &[ORDERS]).await.access_token;
    let with = |actor: Secret| ExchangeRequest {
        actor_token: Some(actor),
        actor_token_type: Some(ACCESS_TOKEN.to_owned()),
        ..asked(&orders, &login)
    };
    let tokens = exchange(&f, with(own(&orders).await)).await.unwrap();
    assert_eq!(
        claims(&tokens.access_token)["act"],
        json!({ "sub": "orders" })
    );
    for actor in [own(&stock).await, login.clone(), Secret::new("nonsense")] {
        assert_eq!(code_of(exchange(&f, with(actor)).await), "invalid_request");
    }
}

async fn a_client_s_own_token_is_about_no_person(f: Fixture) {
    let client = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: vec![GrantType::TokenExchange, GrantType::ClientCredentials],
        scopes: ScopeSet::parse("read").unwrap(),
        ..NewClient::new("robot")
    };
    let robot = register(&f, client).await;
    let tokens = f.core.client_credentials(&robot, None, &[], &[], f.now());
    let own = tokens.await.unwrap().access_token;
    assert_eq!(
        code_of(exchange(&f, asked(&robot, &own)).await),
        "invalid_request"
    );
}

/// RFC 9449, section 5: a copy of a token is no better here than at an API. A service is sent the token
/// with a proof that was made for the service, and has nothing else to show.
async fn a_bound_token_is_narrowed_with_its_key_and_passed_on_without(f: Fixture) {
    let client = NewClient {
        grant_types: vec![GrantType::DeviceCode, GrantType::TokenExchange],
        audiences: Audiences::Any,
        ..NewClient::new("tool")
    };
    let tool = register(&f, client).await;
    let (key, other) = (Key::new(), Key::new());
    let mut device = request("read");
    device.credentials = tool.clone();
    device.resources = vec![ORDERS.to_owned()];
    let started = f.core.start_device(device, f.now()).await.unwrap();
    f.approve(&started, &f.sign_in("ada").await).await;
    let proved = |key: &Key| tool.clone().with_dpop(Some(key.proof(&f)));
    let code = started.device_code.expose();
    let with_key = proved(&key);
    let redeemed = f.core.redeem_device(&with_key, code, &[], f.now());
    let bound = redeemed.await.unwrap().access_token;

    let narrowed = exchange(&f, asked(&proved(&key), &bound)).await.unwrap();
    assert_eq!(claims(&narrowed.access_token)["cnf"], claims(&bound)["cnf"]);
    let refusal = exchange(&f, asked(&proved(&other), &bound)).await;
    assert_eq!(code_of(refusal), "invalid_request");
    let refusal = exchange(&f, asked(&tool, &bound)).await;
    assert_eq!(code_of(refusal), "invalid_dpop_proof");

    let orders = service(&f, "orders", ORDERS, &[STOCK]).await;
    let passed_on = pass_on(&f, &orders, &bound).await.access_token;
    assert!(claims(&passed_on).get("cnf").is_none());
}
