//! Keys of load balancers over a real socket, and what a request may carry
//! beside the header of one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use countersign_resource::{
    Caller, Clock, Demands, LoadBalancer, Presented, Rejection, Timestamp, Validator,
    ValidatorBuilder,
};
use countersign_testkit::{HttpServer, Key, Reply};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::json;

const ARN: &str = "arn:aws:elasticloadbalancing:us-east-2:123456789012:loadbalancer/app/a/0123";
const KID: &str = "12345678-1234-1234-1234-123456789abc";

fn header(key: &Key) -> String {
    header_of(key, "ada", Duration::from_secs(120))
}

fn header_of(key: &Key, sub: &str, life: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let header = json!({
        "typ": "JWT", "kid": KID, "alg": "ES256", "iss": "https://id.example.com",
        "client": "web", "signer": ARN, "exp": (now + life).as_secs(),
    });
    let claims = json!({ "sub": sub, "scope": "admin" });
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

async fn check(
    validator: &Validator,
    headers: &[(&'static str, &str)],
) -> Result<Caller, Rejection> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let presented = Presented::new(&method, &uri, &map);
    validator.check(&presented, &Demands::none()).await
}

async fn meets(validator: &Validator, headers: &[(&'static str, &str)]) -> String {
    match check(validator, headers).await {
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

/// A server of keys, and a validator with a clock that goes when it is told to.
struct Scene {
    server: HttpServer,
    key: Key,
    passed: Arc<Mutex<Duration>>,
}

struct FakeClock(Arc<Mutex<Duration>>);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_secs(i64::try_from((now + self.monotonic()).as_secs()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            server: HttpServer::start(),
            key: Key::generate("k"),
            passed: Arc::default(),
        };
        scene.publish(&scene.key);
        scene
    }

    fn publish(&self, key: &Key) {
        let answer = Reply::text(200, "binary/octet-stream", pem(key));
        self.server.on("GET", &format!("/{KID}"), answer);
    }

    fn builder(&self) -> ValidatorBuilder {
        let balancer = LoadBalancer::aws("https://id.example.com", "web")
            .signer(ARN)
            .danger_key_server(self.server.origin().parse().unwrap());
        Validator::builder("https://id.example.com")
            .audience("api")
            .clock(FakeClock(Arc::clone(&self.passed)))
            .load_balancer(balancer)
    }

    fn passes(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }

    async fn person(&self, validator: &Validator, data: &str) -> Result<Caller, Rejection> {
        check(validator, &[("x-amzn-oidc-data", data)]).await
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Whether both are the person of one verification.
fn is_remembered(first: &Caller, second: &Caller) -> bool {
    std::ptr::eq(&raw const **first, &raw const **second)
}

#[tokio::test]
async fn a_header_that_comes_again_is_not_verified_again_and_ends_with_its_time() {
    let scene = Scene::new();
    let validator = scene.builder().build().unwrap();
    let data = header_of(&scene.key, "ada", HOUR);
    let first = scene.person(&validator, &data).await.unwrap();
    let second = scene.person(&validator, &data).await.unwrap();
    assert!(is_remembered(&first, &second));
    assert_eq!(validator.remembered_tokens().0, 1);
    // Forgotten, it is verified anew.
    validator.forget(&data);
    let third = scene.person(&validator, &data).await.unwrap();
    assert!(!is_remembered(&first, &third));
    validator.forget_all();
    let fourth = scene.person(&validator, &data).await.unwrap();
    assert!(!is_remembered(&third, &fourth));
    // Another one, be it by one letter, is another one.
    let other = header_of(&scene.key, "bob", HOUR);
    assert_eq!(
        scene.person(&validator, &other).await.unwrap().subject(),
        "bob"
    );
    let spoilt = format!("{}A", &data[..data.len() - 1]);
    assert!(scene.person(&validator, &spoilt).await.is_err());
    scene.passes(HOUR + Duration::from_secs(61));
    for _ in 0..2 {
        let ended = scene.person(&validator, &data).await.unwrap_err();
        assert_eq!(ended.code(), "expired");
    }
}

#[tokio::test]
async fn what_a_key_has_signed_is_forgotten_with_the_key() {
    let scene = Scene::new();
    let validator = scene.builder().build().unwrap();
    let data = header_of(&scene.key, "ada", 100 * HOUR);
    let forged = header_of(&Key::generate("f"), "eve", 100 * HOUR);
    assert!(scene.person(&validator, &data).await.is_ok());
    for _ in 0..2 {
        let refused = scene.person(&validator, &forged).await.unwrap_err();
        assert_eq!(refused.code(), "bad_signature");
    }
    // The key has had its day, and the name is that of another one now.
    let next = Key::generate("n");
    scene.publish(&next);
    assert!(scene.person(&validator, &data).await.is_ok());
    scene.passes(25 * HOUR);
    for _ in 0..2 {
        let refused = scene.person(&validator, &data).await.unwrap_err();
        assert_eq!(refused.code(), "bad_signature");
    }
    let data = header_of(&next, "ada", 100 * HOUR);
    assert!(scene.person(&validator, &data).await.is_ok());
    assert_eq!(scene.server.requests().len(), 2);
}

#[tokio::test]
async fn the_memory_for_headers_is_bounded_and_can_be_left_out() {
    let scene = Scene::new();
    let small = scene.builder().token_cache(16 * 1024).build().unwrap();
    for number in 0..64 {
        let data = header_of(&scene.key, &format!("person {number}"), HOUR);
        scene.person(&small, &data).await.unwrap();
        let (count, bytes) = small.remembered_tokens();
        assert!(bytes <= 16 * 1024 && count < 64, "{count} in {bytes}");
    }
    assert!(small.remembered_tokens().0 > 4);
    let without = scene.builder().token_cache(0).build().unwrap();
    let data = header_of(&scene.key, "ada", HOUR);
    let first = scene.person(&without, &data).await.unwrap();
    let second = scene.person(&without, &data).await.unwrap();
    assert!(!is_remembered(&first, &second));
}

#[tokio::test]
async fn a_header_that_is_remembered_is_no_token() {
    let scene = Scene::new();
    let validator = scene.builder().build().unwrap();
    let data = header_of(&scene.key, "ada", HOUR);
    scene.person(&validator, &data).await.unwrap();
    for _ in 0..2 {
        let bearer = format!("Bearer {data}");
        assert!(
            check(&validator, &[("authorization", &bearer)])
                .await
                .is_err()
        );
        assert!(validator.validate(&data).await.is_err());
    }
    assert!(scene.person(&validator, &data).await.is_ok());
}
