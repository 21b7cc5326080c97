//! Debian's `wrk`: one thread that keeps many connections busy, and takes less for a request than any
//! server does for its answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use countersign_testkit::Program;

use crate::load::Throughput;

/// Connections at once.
const CONNECTIONS: u32 = 32;

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    /// Answers that were neither 2xx nor 3xx.
    pub(crate) refused: u64,
    pub(crate) throughput: Throughput,
}

/// Asks for `/stock/7` for so many seconds, from the processor with this number.
pub(crate) fn run(
    address: SocketAddr,
    headers: &[String],
    seconds: u32,
    processor: &str,
) -> io::Result<Load> {
    let finished = Program::new("taskset")
        .args(["--cpu-list", processor, "wrk", "--threads", "1"])
        .args(["--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--latency"])
        .args(headers.iter().flat_map(|header| ["--header", header]))
        .arg(format!("http://{address}/stock/7"))
        .run()
        .expect_code(0);
    let printed = &finished.stdout;
    if printed.contains("Socket errors:") {
        return Err(io::Error::other(format!("answers are missing: {printed}")));
    }
    let after = |word: &str| {
        let mut lines = printed.lines();
        lines.find_map(|line| Some(line.trim().strip_prefix(word)?.trim()))
    };
    let parse = || {
        let (requests, _) = printed.split_once(" requests in ")?;
        Some(Load {
            requests: requests.split_whitespace().last()?.parse().ok()?,
            refused: match after("Non-2xx or 3xx responses:") {
                None => 0,
                Some(count) => count.parse().ok()?,
            },
            throughput: Throughput {
                per_second: after("Requests/sec:")?.parse().ok()?,
                p50: time(after("50%")?)?,
                p99: time(after("99%")?)?,
            },
        })
    };
    parse().ok_or_else(|| io::Error::other(format!("wrk said something else: {printed}")))
}

/// `1.25ms` and the like.
fn time(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(end)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(
        number.parse::<f64>().ok()? * seconds,
    ))
}
