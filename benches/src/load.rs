//! A load generator: a few threads, each with connections that stay open, each waiting for its
//! answer before it asks again. Loopback only, and it ends by itself.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// One connection that is used for many requests (HTTP/1.1 keep-alive).
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            stream: BufReader::new(stream),
            address,
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        let host = format!("Host: {}", self.address);
        self.get_with(path, &[host])
    }

    /// A GET with these header lines, `Host` among them.
    pub(crate) fn get_with(&mut self, path: &str, headers: &[String]) -> io::Result<Answer> {
        let headers = headers.join("\r\n");
        let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n\r\n");
        self.exchange(request.as_bytes())
    }

    pub(crate) fn post(&mut self, path: &str, form: &str) -> io::Result<Answer> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        );
        self.exchange(request.as_bytes())
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        let mut line = String::with_capacity(128);
        self.stream.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other("not an HTTP status line"))?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }
}

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Lets every worker repeat `once` for `time` and counts. The first answer that is not right ends
/// everything: wrong answers are fast.
pub(crate) fn run<W: Send>(
    workers: Vec<W>,
    time: Duration,
    once: impl Fn(&mut W) -> io::Result<()> + Sync,
) -> io::Result<Throughput> {
    let start = Instant::now();
    let once = &once;
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || -> io::Result<Vec<Duration>> {
                    let mut times = Vec::new();
                    while start.elapsed() < time {
                        let asked = Instant::now();
                        once(&mut worker)?;
                        times.push(asked.elapsed());
                    }
                    Ok(times)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| io::Error::other("a worker panicked"))?
            })
            .collect::<io::Result<Vec<_>>>()
    })?;
    let elapsed = start.elapsed();
    let mut times: Vec<Duration> = taken.into_iter().flatten().collect();
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of requests fits")]
    let per_second = times.len() as f64 / elapsed.as_secs_f64();
    Ok(Throughput {
        per_second,
        p50: at(50),
        p99: at(99),
    })
}
