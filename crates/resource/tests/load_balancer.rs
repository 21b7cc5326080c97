//! Keys of load balancers over a real socket, and what a request may carry
//! beside the header of one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use countersign_resource::{Demands, LoadBalancer, Presented, Validator};
use countersign_testkit::{HttpServer, Key, Reply};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::json;

const ARN: &str = "arn:aws:elasticloadbalancing:us-east-2:123456789012:loadbalancer/app/a/0123";
const KID: &str = "12345678-1234-1234-1234-123456789abc";

fn header(key: &Key) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let header = json!({
        "typ": "JWT", "kid": KID, "alg": "ES256", "iss": "https://id.example.com",
        "client": "web", "signer": ARN, "exp": now.as_secs() + 120,
    });
    let claims = json!({ "sub": "ada", "scope": "admin" });
    let part = |value: &serde_json::Value| URL_SAFE.encode(value.to_string());
    let input = format!("{}.{}", part(&header), part(&claims));
    let signature = URL_SAFE.encode(key.raw_signature(input.as_bytes()));
    format!("{input}.{signature}")
}

fn pem(key: &Key) -> String {
    let prefix = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let mut der = STANDARD.decode(prefix).unwrap();
    for name in ["x", "y"] {
        let coordinate = key.jwk()[name].as_str().unwrap().to_owned();
        der.extend(URL_SAFE_NO_PAD.decode(coordinate).unwrap());
    }
    let body = STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

async fn meets(validator: &Validator, headers: &[(&'static str, &str)]) -> String {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let presented = Presented::new(&method, &uri, &map);
    match validator.check(&presented, &Demands::none()).await {
        Ok(caller) => {
            assert!(!caller.has_scope("admin"), "a person grants no scope");
            format!("{} {}", caller.presentation().code(), caller.subject())
        }
        Err(rejection) => rejection.code().to_owned(),
    }
}

#[tokio::test]
async fn the_key_is_fetched_by_its_name_and_the_person_is_let_in() {
    let server = HttpServer::start();
    let key = Key::generate("k");
    let answer = Reply::text(200, "binary/octet-stream", pem(&key));
    server.on("GET", &format!("/{KID}"), answer);
    let balancer = LoadBalancer::aws("https://id.example.com", "web")
        .signer(ARN)
        .danger_key_server(server.origin().parse().unwrap());
    let builder = || Validator::builder("https://id.example.com").audience("api");
    let validator = builder().load_balancer(balancer).build().unwrap();

    let data = header(&key);
    let signed = [("x-amzn-oidc-data", &*data)];
    assert_eq!(meets(&validator, &signed).await, "load_balancer ada");
    assert_eq!(server.requests().len(), 1);

    let identity = [("x-amzn-oidc-identity", "ada")];
    assert_eq!(meets(&validator, &identity).await, "no_credentials");
    let both = [signed[0], ("authorization", "Bearer a.b.c")];
    assert_eq!(meets(&validator, &both).await, "several_credentials");

    // Where no load balancer is configured, its header is nothing.
    let without = builder().build().unwrap();
    assert_eq!(meets(&without, &signed).await, "no_credentials");
}
