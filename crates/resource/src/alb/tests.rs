//! Headers of load balancers, good and forged, and what they may cost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use countersign_oauth::TransportError;
use countersign_testkit::Key as TestKey;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::keys::PemFuture;
use super::*;
use crate::testing::{FakeClock, START};

const ISSUER: &str = "https://id.example.com";
const CLIENT: &str = "web";
const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";
const KID: &str = "b5e8ef2c-5b0e-4b8f-9c53-0a9a2a2f7d11";

/// What is at the addresses of keys, and how often somebody looked.
#[derive(Clone)]
struct FakeAws(Arc<Script>);

struct Script {
    asked: AtomicUsize,
    places: Mutex<Vec<String>>,
    pem: Mutex<Result<Option<Vec<u8>>, ()>>,
    gate: Semaphore,
}

impl FakeAws {
    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn has(&self, pem: Result<Option<Vec<u8>>, ()>) {
        *self.0.pem.lock().unwrap() = pem;
    }
}

impl FetchPem for FakeAws {
    fn fetch<'a>(&'a self, place: &'a str, kid: &'a str) -> PemFuture<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let place = format!("{place}/{kid}");
        self.0.places.lock().unwrap().push(place);
        Box::pin(async {
            self.0.gate.acquire().await.unwrap().forget();
            let pem = self.0.pem.lock().unwrap().clone();
            pem.map_err(|()| TransportError::Timeout)
        })
    }
}

/// The public key as AWS publishes it.
fn pem(key: &TestKey) -> Vec<u8> {
    let jwk = key.jwk();
    let mut der = vec![
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    for name in ["x", "y"] {
        der.extend(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    }
    let body = STANDARD.encode(&der);
    let (first, second) = body.split_at(64);
    format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
        .into_bytes()
}

struct Scene {
    clock: FakeClock,
    aws: FakeAws,
    key: TestKey,
    balancer: Arc<Balancer>,
}

impl Scene {
    fn new() -> Self {
        let key = TestKey::generate("alb");
        let aws = FakeAws(Arc::new(Script {
            asked: AtomicUsize::new(0),
            places: Mutex::default(),
            pem: Mutex::new(Ok(Some(pem(&key)))),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }));
        let clock = FakeClock::default();
        let balancer = LoadBalancer::aws(ISSUER, CLIENT)
            .signer(ARN.replace("/web/", "/other/"))
            .signer(ARN)
            .build_with(
                Box::new(aws.clone()),
                Duration::from_secs(60),
                Arc::new(clock.clone()),
            )
            .unwrap();
        Self {
            clock,
            aws,
            key,
            balancer: Arc::new(balancer),
        }
    }

    async fn meets(&self, text: &str) -> &'static str {
        match self.balancer.verify(text).await {
            Ok(_) => "ok",
            Err((rejection, _)) => rejection.code(),
        }
    }
}

/// The header as a load balancer writes it: padded.
struct Header {
    header: Value,
    claims: Value,
}

impl Header {
    fn new() -> Self {
        Self {
            header: json!({
                "typ": "JWT", "kid": KID, "alg": "ES256", "iss": ISSUER, "client": CLIENT,
                "signer": ARN, "exp": START + 120,
            }),
            claims: json!({
                "sub": "ada", "email": "ada@example.com", "exp": START + 120, "iss": ISSUER,
            }),
        }
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        set(&mut self.header, name, value);
        self
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        set(&mut self.claims, name, value);
        self
    }

    fn sign(&self, key: &TestKey) -> String {
        self.sign_by(key, &URL_SAFE)
    }

    fn sign_by(&self, key: &TestKey, base64: &impl base64::Engine) -> String {
        let part = |value: &Value| base64.encode(value.to_string());
        let input = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = base64.encode(key.raw_signature(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    if value.is_null() {
        object.as_object_mut().unwrap().remove(name);
    } else {
        object[name] = value;
    }
}

#[tokio::test]
async fn a_person_whom_the_load_balancer_signed_in_is_known() {
    let scene = Scene::new();
    let text = Header::new().sign(&scene.key);
    assert!(text.contains('='), "padding is what this is about: {text}");
    let (person, _) = scene.balancer.verify(&text).await.unwrap();
    assert_eq!((person.subject(), person.issuer()), ("ada", ISSUER));
    assert_eq!(
        person.claims().str("email").unwrap(),
        Some("ada@example.com")
    );
    assert_eq!(person.expires_at(), Timestamp::from_secs(START + 120));
    let places = scene.aws.0.places.lock().unwrap().clone();
    let expected = format!("https://public-keys.auth.elb.eu-west-1.amazonaws.com/{KID}");
    assert_eq!(places, [expected]);
    // Others of the same key need no fetch.
    let other = Header::new().claim("sub", json!("bob")).sign(&scene.key);
    assert_eq!(scene.meets(&other).await, "ok");
    assert_eq!(scene.aws.asked(), 1);
}

/// The padding is inside of what is signed: taken away, the signature is wrong;
/// never there, it is right.
#[tokio::test]
async fn the_signature_is_over_the_bytes_that_were_received() {
    let scene = Scene::new();
    let padded = Header::new().sign(&scene.key);
    assert_eq!(scene.meets(&padded).await, "ok");
    assert_eq!(scene.meets(&padded.replace('=', "")).await, "bad_signature");
    let bare = Header::new().sign_by(&scene.key, &URL_SAFE_NO_PAD);
    assert_eq!(scene.meets(&bare).await, "ok");
    let foreign = Header::new().sign(&TestKey::generate("x"));
    assert_eq!(scene.meets(&foreign).await, "bad_signature");
}

/// Anybody with an AWS account has a load balancer whose keys are on the same
/// server. Nothing of that may lead to a fetch.
#[tokio::test]
async fn everything_is_compared_before_a_key_is_fetched() {
    let scene = Scene::new();
    let evil = ARN.replace("123456789012", "999999999999");
    let good = Header::new;
    for (header, code) in [
        (good().header("signer", json!(evil)), "wrong_load_balancer"),
        (
            good().header("signer", json!(ARN.to_uppercase())),
            "wrong_load_balancer",
        ),
        (
            good().header("signer", json!(format!("{ARN}/"))),
            "wrong_load_balancer",
        ),
        (good().header("signer", json!([ARN])), "malformed_claim"),
        (good().header("signer", Value::Null), "missing_claim"),
        (good().header("client", json!("other")), "wrong_audience"),
        (good().header("client", Value::Null), "missing_claim"),
        (
            good().header("iss", json!("https://evil.example")),
            "wrong_issuer",
        ),
        (
            good().header("iss", json!("https://id.example.com/")),
            "wrong_issuer",
        ),
        (good().header("iss", Value::Null), "missing_claim"),
        (
            good().claim("iss", json!("https://evil.example")),
            "wrong_issuer",
        ),
        (good().header("exp", json!(START - 60)), "expired"),
        (good().claim("exp", json!(START - 60)), "expired"),
        (good().header("exp", Value::Null), "missing_claim"),
        (good().header("exp", json!("never")), "malformed_claim"),
        (good().header("exp", json!(1e300)), "malformed_claim"),
        (good().header("alg", json!("none")), "malformed_token"),
        (good().header("alg", json!("HS256")), "malformed_token"),
        (good().header("alg", json!("RS256")), "malformed_token"),
        (good().header("alg", Value::Null), "missing_claim"),
        (good().header("crit", json!(["exp"])), "malformed_token"),
        (good().header("b64", json!(false)), "malformed_token"),
        (good().header("kid", Value::Null), "missing_claim"),
        (good().header("kid", json!("")), "malformed_claim"),
        (good().header("kid", json!(7)), "malformed_claim"),
        (
            good().header("kid", json!(KID.to_uppercase())),
            "malformed_claim",
        ),
        (
            good().header("kid", json!(format!("{KID}/.."))),
            "malformed_claim",
        ),
        (
            good().header("kid", json!("../../evil.example/b5e8ef2c-5b0e-4b")),
            "malformed_claim",
        ),
        (
            good().header("kid", json!(KID.replace('-', "/"))),
            "malformed_claim",
        ),
        (
            good().header("kid", json!(KID.replace('b', "%"))),
            "malformed_claim",
        ),
    ] {
        let text = header.sign(&scene.key);
        assert_eq!(
            scene.meets(&text).await,
            code,
            "{} {}",
            header.header,
            header.claims
        );
    }
    assert_eq!(scene.aws.asked(), 0);
    // Claims are judged after the signature.
    for (header, code) in [
        (good().claim("sub", Value::Null), "missing_claim"),
        (good().claim("sub", json!("")), "malformed_claim"),
        (good().claim("acr", json!(7)), "malformed_claim"),
    ] {
        assert_eq!(scene.meets(&header.sign(&scene.key)).await, code);
    }
}

#[tokio::test]
async fn another_form_is_refused_without_a_fetch() {
    let scene = Scene::new();
    let good = Header::new().sign(&scene.key);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let twice = URL_SAFE.encode(format!(
        r#"{{"alg":"ES256","kid":"{KID}","signer":"{ARN}","signer":"x"}}"#
    ));
    for text in [
        String::new(),
        "..".to_owned(),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}==.{payload}.{signature}"),
        format!("={header}.{payload}.{signature}"),
        format!("{twice}.{payload}.{signature}"),
        format!(
            "{}.{payload}.{signature}",
            STANDARD.encode("{\"\u{ff}\u{3ff}\":1}")
        ),
        format!("{header}.{}.{signature}", URL_SAFE.encode("[]")),
        "x".repeat(20_000),
    ] {
        assert_eq!(scene.meets(&text).await, "malformed_token", "{text}");
    }
    assert_eq!(scene.aws.asked(), 0);
}

#[tokio::test]
async fn one_fetch_serves_everyone_who_waits_for_the_same_key() {
    let scene = Scene::new();
    scene.aws.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    let text = Header::new().sign(&scene.key);
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (balancer, text) = (Arc::clone(&scene.balancer), text.clone());
            tokio::spawn(async move { balancer.verify(&text).await.is_ok() })
        })
        .collect();
    while scene.aws.asked() == 0 {
        tokio::task::yield_now().await;
    }
    waiting[0].abort();
    scene.aws.0.gate.add_permits(1);
    for request in waiting.into_iter().skip(1) {
        assert!(request.await.unwrap());
    }
    assert_eq!(scene.aws.asked(), 1);
}

#[tokio::test]
async fn a_name_that_is_not_there_is_remembered_for_five_minutes() {
    let scene = Scene::new();
    let text = Header::new()
        .header("exp", json!(START + 1_000_000))
        .claim("exp", Value::Null)
        .sign(&scene.key);
    for (n, nothing) in [None, Some(b"<Error/>".to_vec()), Some(Vec::new())]
        .into_iter()
        .enumerate()
    {
        scene.aws.has(Ok(nothing));
        for _ in 0..5 {
            assert_eq!(scene.meets(&text).await, "unknown_key");
        }
        assert_eq!(scene.aws.asked(), n + 1);
        scene.clock.advance(Duration::from_secs(300));
    }
    scene.aws.has(Ok(Some(pem(&scene.key))));
    assert_eq!(scene.meets(&text).await, "ok");
}

/// aws-jwt-verify's cache: a stream of random names is one fetch each.
#[tokio::test]
async fn a_flood_of_names_costs_a_few_fetches_and_shuts_nobody_out() {
    let scene = Scene::new();
    let text = Header::new().sign(&scene.key);
    assert_eq!(scene.meets(&text).await, "ok");
    scene.aws.has(Ok(None));
    let name = |n: usize| format!("00000000-0000-4000-8000-{n:012x}");
    for n in 0..1000 {
        let junk = Header::new().header("kid", json!(name(n)));
        let code = scene.meets(&junk.sign(&scene.key)).await;
        let expected = if n < 3 {
            "unknown_key"
        } else {
            "keys_unavailable"
        };
        assert_eq!(code, expected, "{n}");
    }
    assert_eq!(scene.aws.asked(), 4);
    assert_eq!(scene.meets(&text).await, "ok");
    // A key that is new gets its turn.
    scene.aws.has(Ok(Some(pem(&scene.key))));
    scene.clock.advance(Duration::from_secs(10));
    let next = Header::new().header("kid", json!(KID.replace("b5e8", "c5e8")));
    assert_eq!(scene.meets(&next.sign(&scene.key)).await, "ok");
}

#[tokio::test]
async fn without_an_answer_nobody_is_let_in_and_nobody_is_called_a_liar() {
    let scene = Scene::new();
    scene.aws.has(Err(()));
    let text = Header::new().sign(&scene.key);
    assert_eq!(scene.meets(&text).await, "keys_unavailable");
    scene.aws.has(Ok(Some(pem(&scene.key))));
    assert_eq!(scene.meets(&text).await, "ok");
}

#[tokio::test]
async fn a_key_is_fetched_again_after_a_day() {
    let scene = Scene::new();
    let text = Header::new()
        .header("exp", json!(START + 1_000_000))
        .claim("exp", Value::Null)
        .sign(&scene.key);
    assert_eq!(scene.meets(&text).await, "ok");
    scene.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(scene.meets(&text).await, "ok");
    assert_eq!(scene.aws.asked(), 1);
    // It was withdrawn.
    scene.aws.has(Ok(None));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.meets(&text).await, "unknown_key");
}

fn found(headers: &[(&'static str, &str)], source: Option<&str>) -> String {
    let network = "10.0.0.0/8".parse().unwrap();
    let balancer = LoadBalancer::aws(ISSUER, CLIENT)
        .signer(ARN)
        .from_network(network);
    let clock = Arc::new(FakeClock::default());
    let balancer = balancer.build(Duration::ZERO, clock).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let request = Presented::new(&method, &uri, &map);
    found_in(
        &balancer,
        &request.source(source.map(|source| source.parse().unwrap())),
    )
}

fn found_in(balancer: &Balancer, request: &Presented<'_>) -> String {
    match balancer.find(request) {
        Ok(found) => found.unwrap_or("nothing").to_owned(),
        Err(rejection) => rejection.code().to_owned(),
    }
}

#[tokio::test]
async fn only_the_signed_header_counts_once_and_from_the_right_place() {
    let inside = Some("10.1.2.3");
    assert_eq!(found(&[("x-amzn-oidc-data", "a.b.c")], inside), "a.b.c");
    assert_eq!(
        found(&[("x-amzn-oidc-data", "a.b.c")], Some("11.1.2.3")),
        "nothing"
    );
    assert_eq!(found(&[("x-amzn-oidc-data", "a.b.c")], None), "nothing");
    let twice = [("x-amzn-oidc-data", "a.b.c"), ("x-amzn-oidc-data", "d.e.f")];
    assert_eq!(found(&twice, inside), "several_credentials");
    let unsigned = [
        ("x-amzn-oidc-identity", "ada"),
        ("x-amzn-oidc-accesstoken", "eyJ.e30.AA"),
    ];
    assert_eq!(found(&unsigned, inside), "nothing");
}

/// The header is the word of whoever hands the request over, and not of the address that is said to
/// have sent it.
#[tokio::test]
async fn a_load_balancer_is_known_by_its_connection() {
    let balancer = LoadBalancer::aws(ISSUER, CLIENT)
        .signer(ARN)
        .from_network("10.0.0.0/8".parse().unwrap());
    let clock = Arc::new(FakeClock::default());
    let balancer = balancer.build(Duration::ZERO, clock).unwrap();
    let mut map = HeaderMap::new();
    map.append("x-amzn-oidc-data", HeaderValue::from_static("a.b.c"));
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let (inside, outside) = ("10.1.2.3".parse().ok(), "11.1.2.3".parse().ok());
    let request = || Presented::new(&method, &uri, &map);
    let by_balancer = request().source(outside).peer(inside);
    assert_eq!(found_in(&balancer, &by_balancer), "a.b.c");
    let by_another = request().source(inside).peer(outside);
    assert_eq!(found_in(&balancer, &by_another), "nothing");
}

#[test]
fn a_load_balancer_is_described_fully_or_not_at_all() {
    let build = |balancer: LoadBalancer| {
        let clock = Arc::new(FakeClock::default());
        balancer
            .build(Duration::ZERO, clock)
            .map(|_| ())
            .map_err(|error| error.code())
    };
    let good = || LoadBalancer::aws(ISSUER, CLIENT).signer(ARN);
    assert_eq!(build(good()), Ok(()));
    for bad in [
        LoadBalancer::aws(ISSUER, CLIENT),
        LoadBalancer::aws("", CLIENT).signer(ARN),
        LoadBalancer::aws(ISSUER, "").signer(ARN),
        good().signer("arn:aws:elasticloadbalancing:eu-west-1:123456789012:*"),
    ] {
        assert_eq!(build(bad), Err("load_balancer_unusable"));
    }
}
