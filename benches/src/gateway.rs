//! The gateway beside Debian's nginx: the same requests through both to the same upstream.
//!
//! The servers share one processor, and whoever asks them shares the other one with the upstream.
//! They take turns, round after round, and each is compared with nginx's plain proxy of its own
//! round. The time on the processor for a request is the figure that others on the machine move
//! least.

mod servers;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use countersign_jose::crypto::aws_lc;
use countersign_jose::{Algorithm, SigningKey};
use countersign_testkit::{HttpServer, Reply};
use serde_json::json;

use crate::load::{Connection, Throughput};
use crate::report::{self, Row, Target, median};
use crate::{backend, validate, wrk};
use servers::{AUDIENCE, HOST, OTHERS, Server};

/// Measures for `rounds` rounds, in each of which everybody has so many seconds.
pub(crate) fn measure(binaries: &Path, rounds: usize, seconds: u32) -> io::Result<()> {
    let (issuer, token) = issuer()?;
    let upstream = servers::backend()?;
    let stock = upstream.address.to_string();
    let plain = servers::nginx(
        &[("stock", &stock)],
        "location / { proxy_pass http://stock; }",
    )?;
    let gateway = |more| servers::gateway(binaries, &issuer, &upstream, more);
    let cached = gateway("")?;
    let uncached = gateway("[limits]\ntoken_cache = \"0\"\n")?;
    let audited = gateway("[audit]\nfile = \"audit.jsonl\"\n")?;
    let asked = gateway("")?;
    let asking = servers::nginx(
        &[("stock", &stock), ("countersign", &asked.forward()?)],
        servers::ASKING,
    )?;
    // Long enough for what a start leaves behind to settle.
    std::thread::sleep(Duration::from_secs(1));
    let idle = cached.memory_kib("VmRSS")?;

    let good = [
        format!("Host: {HOST}"),
        format!("Authorization: Bearer {token}"),
    ];
    let setups = [
        Setup::new("nginx, proxy_pass", [&plain]),
        Setup::new("gateway, remembered token", [&cached]),
        Setup::new("gateway, RS256 each time", [&uncached]),
        Setup::new("nginx, auth_request, remembered", [&asking, &asked]),
        Setup::new("gateway, remembered, audit log", [&audited]),
    ];
    for setup in &setups {
        setup.expect(&good, 200)?;
    }
    let bad = [
        format!("Host: {HOST}"),
        format!("Authorization: Bearer {token}A"),
    ];
    let refusing = Setup::new("nginx, auth_request, refused", [&asking, &asked]);
    refusing.expect(&bad, 401)?;
    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); setups.len()];
    for _ in 0..rounds {
        for (setup, turns) in setups.iter().zip(&mut turns) {
            turns.push(setup.run(&good, seconds, Answers::Pass)?);
        }
    }
    let allowed = asked.new_connections()?;
    let refused = refusing.run(&bad, seconds, Answers::Refuse)?;
    report::title("the gateway beside nginx: one processor, 32 connections, a token of 1.6 kB");
    println!(
        "  {:<32} {:>8} {:>7} {:>8} {:>7} {:>8} {:>8}",
        "", "/s", "of P", "cpu us", "of P", "p50 ms", "p99 ms"
    );
    let plain_turns = turns.first().cloned().unwrap_or_default();
    let mut ratios = Vec::new();
    for (setup, turns) in setups.iter().zip(&turns) {
        ratios.push(print(setup.name, turns, &plain_turns));
    }
    print(refusing.name, &[refused], &plain_turns);
    let mut rows = Vec::new();
    let goals = [
        ("proxy, remembered token", 0.80),
        ("proxy, RS256 each time", 0.45),
        ("nginx with auth_request, remembered token", 0.48),
    ];
    for ((name, goal), ratio) in goals.into_iter().zip(ratios.into_iter().skip(1)) {
        let target = Target::AtLeast(goal);
        rows.extend([
            Row::times(&format!("{name}, requests of P"), ratio.requests, target),
            Row::times(&format!("{name}, by processor time"), ratio.time, target),
        ]);
    }
    let most = Target::AtMost(1.0);
    for (name, connections) in [
        (
            "from us to the upstream",
            cached.new_upstream_connections()?,
        ),
        ("from nginx to us, on allow", allowed),
        ("from nginx to us, with refusals", asked.new_connections()?),
    ] {
        rows.push(Row::connections(
            &format!("{name}, new for 1,000 requests"),
            connections,
            most,
        ));
    }
    let size = fs::metadata(binaries.join(servers::GATEWAY))?.len();
    rows.extend([
        Row::mebibytes("idle memory", idle, Target::AtMost(15.0)),
        Row::mebibytes(
            "most memory under the load",
            cached.memory_kib("VmHWM")?,
            Target::AtMost(40.0),
        ),
        Row::mebibytes("the program", size / 1024, Target::AtMost(12.0)),
    ]);
    report::targets(&rows);
    Ok(())
}

/// A way from the caller to the upstream: the server that is asked, and whom it asks on its processor.
struct Setup<'s> {
    name: &'static str,
    servers: Vec<&'s Server>,
}

/// What all answers have to be.
#[derive(Clone, Copy, Debug)]
enum Answers {
    Pass,
    Refuse,
}

/// What one setup did in one round.
#[derive(Clone, Copy, Debug)]
struct Turn {
    throughput: Throughput,
    /// Of the processor, for one request.
    micros: f64,
}

impl<'s> Setup<'s> {
    fn new(name: &'static str, servers: impl Into<Vec<&'s Server>>) -> Self {
        Self {
            name,
            servers: servers.into(),
        }
    }

    fn front(&self) -> io::Result<SocketAddr> {
        let front = self.servers.first();
        front.map_or_else(
            || Err(io::Error::other("no server")),
            |front| Ok(front.address),
        )
    }

    /// What is wrong is fast, and is not measured.
    fn expect(&self, headers: &[String], status: u16) -> io::Result<()> {
        let answer = Connection::open(self.front()?)?.get_with("/stock/7", headers)?;
        let is_whole = status != 200 || answer.body == backend::BODY.as_bytes();
        if answer.status == status && is_whole {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} answered {}",
            self.name, answer.status
        )))
    }

    fn run(&self, headers: &[String], seconds: u32, expected: Answers) -> io::Result<Turn> {
        let before = self.processor_time()?;
        let load = wrk::run(self.front()?, headers, seconds, OTHERS)?;
        let taken = self.processor_time()?.saturating_sub(before);
        let wanted = match expected {
            Answers::Pass => 0,
            Answers::Refuse => load.requests,
        };
        if load.refused != wanted {
            return Err(io::Error::other(format!(
                "{} refused {} requests of {}",
                self.name, load.refused, load.requests
            )));
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of requests fits")]
        let requests = load.requests.max(1) as f64;
        Ok(Turn {
            throughput: load.throughput,
            micros: taken.as_secs_f64() * 1e6 / requests,
        })
    }

    fn processor_time(&self) -> io::Result<Duration> {
        let times = self.servers.iter().map(|server| server.processor_time());
        times.sum::<io::Result<Duration>>()
    }
}

/// Beside nginx's plain proxy of the same rounds.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    requests: f64,
    /// How often the processor time of one of our requests goes into the other's: more is better.
    time: f64,
}

/// Medians over the rounds.
fn print(name: &str, turns: &[Turn], plain: &[Turn]) -> Ratio {
    let of = |figure: &dyn Fn(&Turn) -> f64| median(turns.iter().map(figure).collect());
    let beside = |figure: &dyn Fn(&Turn, &Turn) -> f64| {
        let pairs = turns.iter().zip(plain);
        median(pairs.map(|(ours, plain)| figure(ours, plain)).collect())
    };
    let ratio = Ratio {
        requests: beside(&|ours, plain| ours.throughput.per_second / plain.throughput.per_second),
        time: beside(&|ours, plain| plain.micros / ours.micros),
    };
    println!(
        "  {name:<32} {:>8.0} {:>7.2} {:>8.1} {:>7.2} {:>8.2} {:>8.2}",
        of(&|turn| turn.throughput.per_second),
        ratio.requests,
        of(&|turn| turn.micros),
        ratio.time,
        of(&|turn| turn.throughput.p50.as_secs_f64() * 1e3),
        of(&|turn| turn.throughput.p99.as_secs_f64() * 1e3),
    );
    ratio
}

/// An issuer with a key for RS256, and a token of common size.
fn issuer() -> io::Result<(HttpServer, String)> {
    let key = SigningKey::generate(Algorithm::Rs256, aws_lc::provider());
    let key = key.map_err(io::Error::other)?;
    let server = HttpServer::start();
    let metadata = json!({ "issuer": server.origin(), "jwks_uri": server.url("/keys") });
    let keys = json!({ "keys": [key.public_jwk()] });
    let place = "/.well-known/openid-configuration";
    server.on("GET", place, Reply::json(200, &metadata));
    server.on("GET", "/keys", Reply::json(200, &keys));
    let mut claims = validate::claims(0).map_err(io::Error::other)?;
    if let Some(claims) = claims.as_object_mut() {
        claims.insert("iss".to_owned(), json!(server.origin()));
        claims.insert("aud".to_owned(), json!(AUDIENCE));
    }
    let token = key.sign("at+jwt", &claims).map_err(io::Error::other)?;
    Ok((server, token))
}
