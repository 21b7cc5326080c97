//! The servers that are compared, each on the same processor, and what they take of it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_testkit::{HttpServer, Program, Running};
use tempfile::TempDir;

use crate::load::Connection;

/// Where the servers run that are measured.
pub(super) const SERVERS: &str = "0";
/// Where whoever asks them runs, and the upstream behind them.
pub(super) const OTHERS: &str = "1";

pub(super) const AUDIENCE: &str = "https://api.example.com";
/// By which name callers ask.
pub(super) const HOST: &str = "api.example.com";

/// Longer than all rounds together.
const LIMIT: Duration = Duration::from_secs(600);
pub(super) const GATEWAY: &str = "countersign-gateway";
const NGINX: &str = "/usr/sbin/nginx";

/// A running server. It is killed when this is dropped.
pub(super) struct Server {
    process: Running,
    pub(super) address: SocketAddr,
    forward: Option<PathBuf>,
    admin: Option<SocketAddr>,
    _files: TempDir,
}

impl Server {
    /// Time on a processor of all its threads so far (`/proc/PID/task/TID/schedstat`).
    pub(super) fn processor_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let ran = text
                .split(' ')
                .next()
                .and_then(|ran| ran.parse::<u64>().ok());
            nanoseconds += ran.ok_or_else(|| io::Error::other("no schedstat"))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// A size from `/proc/PID/status`, such as `VmRSS`.
    pub(super) fn memory_kib(&self, name: &str) -> io::Result<u64> {
        crate::process::memory_kib(self.process.id(), name)
    }

    /// Where our gateway takes the questions of other proxies.
    pub(super) fn forward(&self) -> io::Result<String> {
        let socket = self.forward.as_ref();
        let socket = socket.ok_or_else(|| io::Error::other("no gateway"))?;
        Ok(format!("unix:{}", socket.display()))
    }

    /// How many connections our gateway has taken so far, for 1,000 answers.
    pub(super) fn new_connections(&self) -> io::Result<f64> {
        self.for_answers("connections_accepted_total")
    }

    /// How many connections to upstreams it has opened so far, for 1,000 answers.
    pub(super) fn new_upstream_connections(&self) -> io::Result<f64> {
        self.for_answers("upstream_connections_total")
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of requests fits")]
    fn for_answers(&self, counter: &str) -> io::Result<f64> {
        let admin = self.admin.ok_or_else(|| io::Error::other("no metrics"))?;
        let metrics = Connection::open(admin)?.get("/metrics")?;
        let metrics = String::from_utf8_lossy(&metrics.body);
        let read = |name: &str| {
            let name = format!("countersign_gateway_{name} ");
            let mut lines = metrics.lines();
            let value = lines.find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok());
            value.ok_or_else(|| io::Error::other(format!("no {name}among the metrics")))
        };
        Ok(read(counter)? as f64 * 1e3 / read("answer_seconds_count")?.max(1) as f64)
    }
}

/// The upstream of all of them.
pub(super) fn backend() -> io::Result<Server> {
    let process = pinned(OTHERS, &std::env::current_exe()?)
        .arg("backend")
        .limit(LIMIT)
        .start();
    Ok(Server {
        address: said(&process, "listening="),
        process,
        forward: None,
        admin: None,
        _files: tempfile::tempdir()?,
    })
}

/// Our gateway with one worker, in front of this upstream; `more` is written to the end of its file.
pub(super) fn gateway(
    binaries: &Path,
    issuer: &HttpServer,
    upstream: &Server,
    more: &str,
) -> io::Result<Server> {
    let files = tempfile::tempdir()?;
    let file = files.path().join("gateway.toml");
    let socket = files.path().join("nginx.sock");
    let text = format!(
        r#"
[listen]
address = "127.0.0.1:0"
admin = "127.0.0.1:0"
origin = "http://{HOST}"
workers = 1

[[forward_auth]]
preset = "nginx"
address = "unix:{}"

[[issuer]]
url = "{}"
audience = "{AUDIENCE}"

[[upstream]]
name = "stock"
address = "http://{}"

[[route]]
path = "/stock/**"
methods = ["GET"]
scopes = ["stock:read"]
upstream = "stock"
{more}"#,
        socket.display(),
        issuer.origin(),
        upstream.address
    );
    fs::write(&file, text)?;
    let process = pinned(SERVERS, &binaries.join(GATEWAY))
        .arg("run")
        .arg(&file)
        .limit(LIMIT)
        .start();
    let admin = said(&process, "admin=");
    let server = Server {
        address: said(&process, "listening="),
        forward: Some(socket),
        admin: Some(admin),
        process,
        _files: files,
    };
    let began = Instant::now();
    while Connection::open(admin)?.get("/readyz")?.status != 200 {
        if began.elapsed() > Duration::from_secs(10) {
            return Err(io::Error::other("the gateway has no keys"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

/// Debian's nginx with one worker, whose `server` block is this. Connections to `upstreams`, each by
/// a name, are kept.
pub(super) fn nginx(upstreams: &[(&str, &str)], locations: &str) -> io::Result<Server> {
    let files = tempfile::tempdir()?;
    let place = files.path().display();
    // nginx does not say which port the system has chosen.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut kept = String::new();
    for (name, address) in upstreams {
        let _ = writeln!(
            kept,
            "upstream {name} {{ server {address}; keepalive 64; keepalive_requests 100000; }}"
        );
    }
    let text = format!(
        r#"
daemon off;
master_process off;
pid {place}/pid;
error_log {place}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {kept}
    server {{
        listen {address};
        {locations}
    }}
}}
"#
    );
    let file = files.path().join("nginx.conf");
    fs::write(&file, text)?;
    let process = pinned(SERVERS, Path::new(NGINX))
        .args(["-p".as_ref(), files.path().as_os_str()])
        .args(["-c".as_ref(), file.as_os_str()])
        .limit(LIMIT)
        .start();
    let began = Instant::now();
    while Connection::open(address).is_err() {
        if began.elapsed() > Duration::from_secs(10) {
            return Err(io::Error::other(format!(
                "nginx does not start: {}",
                process.stderr()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Server {
        process,
        address,
        forward: None,
        admin: None,
        _files: files,
    })
}

/// The locations of an nginx that asks our gateway about every request, as the guide has it.
pub(super) const ASKING: &str = r#"
location / {
    auth_request     /_countersign;
    auth_request_set $countersign_identity   $upstream_http_x_countersign_identity;
    auth_request_set $countersign_request_id $upstream_http_x_request_id;
    proxy_pass       http://stock;
    proxy_set_header X-Countersign-Identity $countersign_identity;
    proxy_set_header X-Request-Id           $countersign_request_id;
    proxy_set_header X-Forwarded-For        $remote_addr;
    proxy_set_header X-Forwarded-Host       $host;
    proxy_set_header Authorization          "";
    proxy_set_header Connection             "";
}
location = /_countersign {
    internal;
    proxy_pass              http://countersign;
    proxy_pass_request_body off;
    proxy_set_header        Connection        "";
    proxy_set_header        Content-Length    "";
    proxy_set_header        Host              countersign;
    proxy_set_header        X-Original-Method $request_method;
    proxy_set_header        X-Original-URI    $request_uri;
    proxy_set_header        X-Original-Host   $host;
    proxy_set_header        X-Forwarded-For   $remote_addr;
}
"#;

/// A program that runs on this processor alone.
fn pinned(processor: &str, program: &Path) -> Program {
    Program::new("taskset")
        .args(["--cpu-list", processor])
        .arg(program)
}

/// The address that a program says after this word.
fn said(process: &Running, word: &'static str) -> SocketAddr {
    process.wait_for_stdout(|printed| {
        printed
            .lines()
            .find_map(|line| line.strip_prefix(word)?.parse().ok())
    })
}
