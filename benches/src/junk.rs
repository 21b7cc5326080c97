//! What a flood of junk tokens, each naming another key, costs those who have good ones: in one
//! process, against an issuer on loopback.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_resource::Validator;
use countersign_testkit::{HttpServer, Key, Reply, Signature};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::report::{self, Row, Target};

/// As many as the flood of the issue has.
const JUNK: usize = 100_000;

/// Times good tokens alone, and again while another thread presents junk as fast as it can.
pub(crate) fn measure(rounds: usize) -> io::Result<()> {
    let (server, key) = issuer();
    // Every good token is verified: one that is remembered would measure the memory.
    let validator = Validator::builder(server.origin())
        .audience("api")
        .token_cache(0)
        .build()
        .map_err(io::Error::other)?;
    let good = sign(&server, &key, "k1");
    // Signed beforehand: the flood shall not wait for its own signatures.
    let stranger = Key::generate("stranger");
    let junk: Vec<String> = (0..JUNK)
        .map(|number| sign(&server, &stranger, &format!("junk-{number}")))
        .collect();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    // Not a round number of milliseconds, and long enough for a p99.
    let samples = rounds.saturating_mul(100).max(2_000);
    let idle = present(&runtime, &validator, &good, || samples)?;
    let fetches = server.requests_to("/keys").len();

    let done = AtomicBool::new(false);
    let (under_flood, took) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let began = Instant::now();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            for token in &junk {
                if runtime.block_on(validator.validate(token)).is_ok() {
                    return Err(io::Error::other("junk was taken for a good token"));
                }
            }
            done.store(true, Ordering::Relaxed);
            Ok(began.elapsed())
        });
        let under_flood = present(&runtime, &validator, &good, || {
            if done.load(Ordering::Relaxed) || flood.is_finished() {
                0
            } else {
                usize::MAX
            }
        });
        let took = flood
            .join()
            .map_err(|_| io::Error::other("the flood broke off"))?;
        Ok::<_, io::Error>((under_flood?, took?))
    })?;
    let fetches = server.requests_to("/keys").len() - fetches;

    report::title("good tokens (ES256, verified each time) beside 100,000 junk tokens");
    for (name, times) in [("alone", &idle), ("beside the flood", &under_flood)] {
        println!(
            "  {name:<36} p50 {:>8.1} µs   p99 {:>8.1} µs",
            micros(times.at(50)),
            micros(times.at(99)),
        );
    }
    let cooldowns = took.as_secs() / 30 + 1;
    println!(
        "  {JUNK} junk tokens in {:.1} s: {fetches} fetches of the keys in {cooldowns} cooldowns",
        took.as_secs_f64()
    );
    report::targets(&[Row::times(
        "p99 beside the flood, of p99 alone",
        micros(under_flood.at(99)) / micros(idle.at(99)),
        Target::AtMost(2.0),
    )]);
    Ok(())
}

fn issuer() -> (HttpServer, Key) {
    let server = HttpServer::start();
    let key = Key::generate("k1");
    let metadata = json!({ "issuer": server.origin(), "jwks_uri": server.url("/keys") });
    let place = "/.well-known/openid-configuration";
    server.on("GET", place, Reply::json(200, &metadata));
    server.on(
        "GET",
        "/keys",
        Reply::json(200, &json!({ "keys": [key.jwk()] })),
    );
    (server, key)
}

fn sign(server: &HttpServer, key: &Key, kid: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let claims = json!({
        "iss": server.origin(), "aud": "api", "sub": "ada", "client_id": "cli", "jti": kid,
        "iat": now, "exp": now + 3600,
    });
    key.sign(
        &json!({ "typ": "at+jwt", "kid": kid }),
        &claims,
        Signature::Good,
    )
}

/// How long presentations took, shortest first.
struct Times(Vec<Duration>);

impl Times {
    fn at(&self, percent: usize) -> Duration {
        let place = self.0.len().saturating_sub(1) * percent / 100;
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// Presents the token again and again, as often as `wanted` says, which is asked each time.
fn present(
    runtime: &Runtime,
    validator: &Validator,
    token: &str,
    wanted: impl Fn() -> usize,
) -> io::Result<Times> {
    runtime.block_on(async {
        let mut times = Vec::new();
        while times.len() < wanted() {
            let began = Instant::now();
            validator.validate(token).await.map_err(io::Error::other)?;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        Ok(Times(times))
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
