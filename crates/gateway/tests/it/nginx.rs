//! Forward-auth with a real nginx in between, configured as `docs/gateway/nginx.md` says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_jose::dpop::Proof;
use countersign_jose::{Algorithm, SigningKey, Timestamp, base64url, crypto};
use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Answer, Issuer, Running, connect, exchange, parse, start_in, token};
use crate::stranger::{Stranger, blocks, fill, free, gateway};
use crate::upstream::{Bare, Upstream, read_head, say};
use crate::{step_up, tls};

const GUIDE: &str = include_str!("../../../../docs/gateway/nginx.md");

const MORE: &str = r#"
[[route]]
path = "/written/**"
scopes = ["stock:write"]

[[route]]
path = "/token/**"
forward_token = true

[[route]]
path = "/open/**"
public = true
"#;

const CERTIFICATE: &str = "ssl_certificate     /etc/ssl/api.example.com.pem;";
const KEY: &str = "ssl_certificate_key /etc/ssl/private/api.example.com.key;";

struct Nginx {
    _process: Stranger,
    address: SocketAddr,
    gateway: Running,
}

impl Nginx {
    fn start(upstream: SocketAddr) -> Self {
        let address = free();
        let listen = format!("listen {address};");
        let plain = [("listen 443 ssl;", &*listen), (CERTIFICATE, ""), (KEY, "")];
        Self::start_with(upstream, address, &plain, |text| text + MORE)
    }

    /// The server of the guide with these changes, and its gateway with others.
    fn start_with(
        upstream: SocketAddr,
        address: SocketAddr,
        changes: &[(&str, &str)],
        change: impl Fn(String) -> String,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let home = directory.path().to_owned();
        let socket = home.join("nginx.sock");
        let socket = [("/run/countersign/nginx.sock", socket.to_str().unwrap())];
        let gateway = start_in(&change(gateway(GUIDE, &socket, "")), directory);
        let service = upstream.to_string();
        let places = [socket[0], ("127.0.0.1:8080", &service)];
        let server = fill(&blocks(GUIDE, "nginx").remove(0), &places);
        let server = fill(&server, changes);
        // The socket is for its owner and group, and root's nginx would work as somebody else.
        let user = if rustix::process::getuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let home = home.display();
        let text = format!(
            "{user}\ndaemon off;\nworker_processes 1;\npid {home}/nginx.pid;\nerror_log stderr error;\nevents {{}}\n\
             http {{\naccess_log off;\nclient_body_temp_path {home}/body;\nproxy_temp_path {home}/proxy;\n\
             fastcgi_temp_path {home}/fastcgi;\nuwsgi_temp_path {home}/uwsgi;\nscgi_temp_path {home}/scgi;\n\
             keepalive_requests 100000;\n{server}\n}}\n"
        );
        let file = gateway.directory.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        let log = gateway.directory.path().join("nginx.log");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(gateway.directory.path());
        command.arg("-e").arg("stderr").arg("-c").arg(file);
        Self {
            _process: Stranger::start(&mut command, &log, address),
            address,
            gateway,
        }
    }

    fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        parse(&exchange(self.address, bytes.as_ref()))
    }

    fn send(&self, line: &str, headers: &[&str]) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n");
        for header in headers {
            text += header;
            text += "\r\n";
        }
        self.raw(text + "\r\n")
    }

    /// Connections that nginx has opened to the gateway.
    fn connections(&self) -> u64 {
        let metrics = self.gateway.admin("/metrics").body;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("countersign_gateway_connections_accepted_total "));
        line.unwrap().parse().unwrap()
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {}", token())
}

fn address_of(upstream: &Upstream) -> SocketAddr {
    upstream
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

fn header<'s>(seen: &'s Value, name: &str) -> Option<&'s str> {
    seen["headers"][name][0].as_str()
}

#[test]
fn what_passes_comes_with_who_calls_and_without_what_the_caller_said() {
    let upstream = Upstream::start();
    let nginx = Nginx::start(address_of(&upstream));
    let forged = [
        &*bearer(),
        "X-Auth-Subject: eve",
        "X-Auth-Scope: eve",
        "X-Countersign-Identity: eve",
        "Remote-User: eve",
        "X-Forwarded-User: eve",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Uri: /eve",
        "Forwarded: for=6.6.6.6",
        // nginx leaves these out by itself.
        "X_Auth_Subject: eve",
        "X_Countersign_Identity: eve",
        "Remote_User: eve",
        "DPoP: eve",
    ];
    let answer = nginx.send("GET /stock/7?q=1", &forged);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = answer.json();
    assert_eq!(seen["target"], "/stock/7?q=1");
    assert_eq!(header(&seen, "x-auth-subject"), Some("ada"));
    assert_eq!(header(&seen, "x-auth-scope"), Some("stock:read"));
    let assertion = header(&seen, "x-countersign-identity").unwrap();
    assert_eq!(assertion.split('.').count(), 3);
    assert_eq!(header(&seen, "authorization"), None);
    let text = seen.to_string();
    assert!(!text.contains("eve") && !text.contains("6.6.6.6"), "{text}");
    // A route for anybody tells nothing, whatever was sent.
    let seen = nginx.send("GET /open/x", &forged).json();
    assert_eq!(header(&seen, "x-auth-subject"), None);
    assert!(!seen.to_string().contains("eve"), "{seen}");
    let seen = nginx.send("GET /token/x", &[&bearer()]).json();
    assert!(
        header(&seen, "authorization")
            .unwrap()
            .starts_with("Bearer ey")
    );
    // A body goes to the service and not to us.
    let body = "POST /open/x HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(nginx.raw(body).json()["body"], 5);
}

#[test]
fn a_refusal_comes_to_the_caller_with_its_challenge() {
    let upstream = Upstream::start();
    let nginx = Nginx::start(address_of(&upstream));
    let challenges = |answer: &Answer| -> Vec<String> {
        let lines = answer.head.lines();
        lines
            .filter(|line| line.to_ascii_lowercase().starts_with("www-authenticate:"))
            .map(str::to_owned)
            .collect()
    };
    let none = nginx.send("GET /stock/7", &[]);
    assert_eq!((none.status, challenges(&none).len()), (401, 1), "{none:?}");
    let bad = nginx.send("GET /stock/7", &["Authorization: Bearer x.y.z"]);
    assert_eq!(bad.status, 401);
    assert!(
        challenges(&bad)[0].contains("error=\"invalid_token\""),
        "{bad:?}"
    );
    let scope = nginx.send("GET /written/7", &[&bearer()]);
    assert_eq!(
        (scope.status, challenges(&scope).len()),
        (403, 1),
        "{scope:?}"
    );
    assert!(
        challenges(&scope)[0].contains("error=\"insufficient_scope\""),
        "{scope:?}"
    );
    let elsewhere = nginx.send("GET /elsewhere", &[&bearer()]);
    assert_eq!((elsewhere.status, challenges(&elsewhere).len()), (403, 0));
    assert_eq!(nginx.send("DELETE /stock/7", &[&bearer()]).status, 403);
    // The place where nginx asks is not for callers.
    assert_eq!(nginx.send("GET /_countersign", &[&bearer()]).status, 404);
    assert_eq!(upstream.requests(), Vec::<Value>::new());
}

/// The challenge is in a 401 like any other; the password stays with nginx and us.
#[test]
fn a_person_confirms_a_request_by_a_one_time_password() {
    let upstream = Upstream::start();
    let address = free();
    let listen = format!("listen {address};");
    let plain = [("listen 443 ssl;", &*listen), (CERTIFICATE, ""), (KEY, "")];
    let home = TempDir::new().unwrap();
    let mut key = step_up::furnish(home.path());
    let route = r#"
[[route]]
path = "/resources/**"
step_up = { otp = ["yubikey"], danger_unbound_body = true }
"#;
    let otp = ["otp.sqlite", "otp.key"]
        .into_iter()
        .fold(step_up::OTP.to_owned(), |text, name| {
            let path = home.path().join(name);
            text.replace(name, path.to_str().unwrap())
        });
    let nginx = Nginx::start_with(address_of(&upstream), address, &plain, |text| {
        text + MORE + route + &otp
    });
    let bearer = bearer();
    let asked = nginx.send("DELETE /resources/7", &[&bearer]);
    assert_eq!(step_up::parameter(&asked, "otp_methods"), Some("yubikey"));
    let challenge = step_up::challenge(&asked);
    let otp = key.press(1);
    let answer = step_up::step_up(challenge, otp.expose());
    let other = nginx.send("DELETE /resources/8", &[&bearer, &answer]);
    assert_eq!(other.status, 401, "{other:?}");
    let done = nginx.send("DELETE /resources/7", &[&bearer, &answer]);
    assert_eq!(done.status, 200, "{done:?}");
    assert!(!done.body.contains(otp.expose()), "{done:?}");
    // What nginx knows no status for is a 403, with the word in its challenge.
    let grace = Issuer::get().token(&json!({ "sub": "grace" }));
    let grace = format!("Authorization: Bearer {grace}");
    let none = nginx.send("DELETE /resources/7", &[&grace]);
    let told = (none.status, step_up::parameter(&none, "otp_error"));
    assert_eq!(told, (403, Some("no_device")));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn no_trick_gets_a_caller_without_a_token_past_nginx() {
    let upstream = Upstream::start();
    let nginx = Nginx::start(address_of(&upstream));
    for header in [
        "X-Original-URI: /open/x",
        "X-Original-Uri: /open/x\r\nX-Original-Uri: /open/x",
        "X-Original-Method: GET\r\nX-Original-Host: api.example.com\r\nX-Original-URI: /open/x",
        "X-Original-URL: /open/x",
        "X_Original_URI: /open/x",
        "X-Rewrite-URL: /open/x",
        "X-Forwarded-Uri: /open/x",
        "X-Forwarded-Method: OPTIONS",
        "X-Forwarded-Prefix: /open",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-For: 127.0.0.1",
        "X-HTTP-Method-Override: OPTIONS",
        "X-Auth-Subject: ada",
        "X-Auth-Scope: stock:read",
        "Remote-User: ada",
        "User-Agent: GoogleHC/1.0",
        "User-Agent: kube-probe/1.30",
        "User-Agent: ELB-HealthChecker/2.0",
        "Connection: close, X-Original-URI",
        "Upgrade: websocket\r\nConnection: Upgrade",
        "Expect: 100-continue",
        "Range: bytes=0-1",
    ] {
        let answer = nginx.send("GET /stock/7", &[header]);
        assert!(
            [400, 401, 403].contains(&answer.status),
            "{header}: {answer:?}"
        );
    }
    for line in [
        "GET //stock/7",
        "GET /open//stock/7",
        "GET /open/../stock/7",
        "GET /open/%2e%2e/stock/7",
        "GET /open/..%2fstock/7",
        "GET /open/..;/stock/7",
        "GET /open/%2e%2e;/stock/7",
        "GET /stock/7;/open/x",
        "GET /stock%2f7",
        "GET /open%2f..%2fstock/7",
        "GET /open/%252e%252e/stock/7",
        "GET /open/..%5cstock",
        "GET /open/x#/../../stock/7",
        "GET /stock/7#/open/x",
        "GET /stock/7?/open/x",
        "GET /stock/7?x=/open/",
        "GET /stock/7%3f/open/x",
        "GET /stock/7%23/open/x",
        "GET /stock/7%00/open/x",
        "GET /Open/x",
        "GET /STOCK/7",
        "GET http://api.example.com/stock/7",
        "GET http://evil.test/stock/7",
        "GET http://api.example.com/open/../stock/7",
        "OPTIONS *",
        "OPTIONS /stock/7",
        "TRACE /open/x",
        "CONNECT api.example.com:443",
        "get /stock/7",
        "PROPFIND /stock/7",
    ] {
        let answer = nginx.send(line, &[]);
        assert!((400..500).contains(&answer.status), "{line}: {answer:?}");
    }
    for text in [
        // HTTP/1.0, with and without a host.
        "GET /stock/7 HTTP/1.0\r\n\r\n",
        "GET /stock/7 HTTP/1.0\r\nHost: api.example.com\r\n\r\n",
        "GET /stock/7\r\n\r\n",
        "GET /stock/7 HTTP/1.1\r\nHost: api.example.com\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: api.example.com\r\nHost: api.example.com\r\nConnection: close\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: api.example.com@evil.test\r\nConnection: close\r\n\r\n",
        "GET http://evil.test/open/x HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nConnection: close\r\n\r\n",
    ] {
        let answer = exchange(nginx.address, text.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        let refused = !answer.contains(" 200 OK") && !answer.contains("\"target\"");
        assert!(refused, "{text:?}: {answer}");
    }
    assert_eq!(upstream.requests(), Vec::<Value>::new());
}

/// A proof is for the address that callers write, not for the one by which nginx asks (RFC 9449, section 4.3).
#[test]
fn a_proof_of_possession_is_for_the_address_of_the_caller() {
    let upstream = Upstream::start();
    let nginx = Nginx::start(address_of(&upstream));
    let provider = crypto::aws_lc::provider();
    let key = SigningKey::generate(Algorithm::Es256, provider).unwrap();
    let token = Issuer::get().token(&json!({ "cnf": { "jkt": key.thumbprint() } }));
    let proof = |method: &str, address: &str, nonce: Option<&str>| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_secs(i64::try_from(now.as_secs()).unwrap());
        let proof = Proof {
            htm: method,
            htu: address,
            access_token: Some(&token),
            nonce,
        };
        proof.sign(&key, now).unwrap()
    };
    let send = |line: &str, proof: &str| {
        let bound = format!("Authorization: DPoP {token}");
        nginx.send(line, &[&bound, &format!("DPoP: {proof}")])
    };
    let htu = "https://api.example.com/stock/7";
    // A gateway that has just started does not know which proofs it has seen, and says so by a nonce.
    let asked = send("GET /stock/7", &proof("GET", htu, None));
    assert_eq!(asked.status, 401);
    assert!(asked.head.contains("use_dpop_nonce"), "{asked:?}");
    let nonce = asked.header("dpop-nonce").unwrap();
    let good = proof("GET", htu, Some(nonce));
    let passed = send("GET /stock/7?q", &good);
    assert_eq!(passed.status, 200, "{passed:?}");
    let replayed = send("GET /stock/7", &good);
    assert_eq!(replayed.status, 401);
    assert!(
        replayed
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_dpop_proof")
    );
    for (method, address) in [
        ("GET", "https://api.example.com/_countersign"),
        ("GET", "http://countersign/_countersign"),
        ("GET", "https://api.example.com/stock/8"),
        ("PUT", "https://api.example.com/stock/7"),
    ] {
        let wrong = send("GET /stock/7", &proof(method, address, Some(nonce)));
        assert_eq!(wrong.status, 401, "{method} {address}");
        assert!(wrong.head.contains("invalid_dpop_proof"), "{wrong:?}");
    }
}

/// RFC 8705, section 3, as the guide says it at its end.
#[test]
fn a_token_that_is_bound_to_a_certificate_is_good_with_it_behind_nginx() {
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    let served = tls::certificate(directory.path(), "gateway.test");
    let address = free();
    let files = directory.path().display();
    let listen = format!("listen {address} ssl;\nssl_verify_client optional_no_ca;");
    let certificate = format!("ssl_certificate {files}/cert.pem;");
    let key = format!("ssl_certificate_key {files}/key.pem;");
    let last = "proxy_set_header        X-Original-Host   $host;";
    let header = "proxy_set_header X-Client-Cert $ssl_client_escaped_cert;";
    for words in [header, "ssl_verify_client optional_no_ca;"] {
        assert!(GUIDE.contains(words), "{words}");
    }
    let changes = [
        ("listen 443 ssl;", &*listen),
        (CERTIFICATE, &certificate),
        (KEY, &key),
        (last, &format!("{last}\n{header}")),
    ];
    let _nginx = Nginx::start_with(address_of(&upstream), address, &changes, |text| {
        let origin = (
            "origin = \"https://api.example.com\"",
            "origin = \"https://gateway.test\"",
        );
        let table = "[client_certificate]\nheader = \"X-Client-Cert\"\nform = \"escaped-pem\"\ntrust = [\"127.0.0.1\"]\n";
        fill(&text, &[origin]) + table
    });
    let [own, other] = [(); 2].map(|()| {
        let made = generate_simple_self_signed(["ada".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        (made.cert.der().clone(), key, made.cert.pem())
    });
    let digest = base64url::encode(&crypto::aws_lc::provider().sha256(&own.0));
    let token = Issuer::get().token(&json!({ "cnf": { "x5t#S256": digest } }));
    // What the caller says is overwritten, also by nothing.
    let escaped = own.2.trim().replace('\n', "%0A").replace(' ', "%20");
    let forged = format!("Authorization: Bearer {token}\r\nX-Client-Cert: {escaped}\r\n");
    let status = |own| {
        let client = tls::client_with(&served, &[b"http/1.1"], own);
        let answer = tls::ask_with(address, &client, "/stock/7", &forged).unwrap();
        answer.split(' ').nth(1).unwrap_or("none").to_owned()
    };
    assert_eq!(status(Some((own.0.clone(), own.1))), "200");
    assert_eq!(status(Some((other.0, other.1))), "401");
    assert_eq!(status(None), "401");
}

#[test]
fn a_websocket_goes_through_nginx_once_it_may() {
    let service = Bare::start(|mut stream| {
        let head = read_head(&mut stream);
        assert!(head.contains("Upgrade: websocket"), "{head}");
        assert!(head.contains("X-Auth-Subject: ada"), "{head}");
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        let mut frame = [0; 4];
        while stream.read_exact(&mut frame).is_ok() {
            let _ = stream.write_all(&frame);
        }
    });
    let nginx = Nginx::start(service.address);
    let ask = |authorization: &str| {
        let mut stream = connect(nginx.address);
        let request = format!(
            "GET /stock/live HTTP/1.1\r\nHost: api.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        (stream, head)
    };
    let (_, refused) = ask("");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let (mut stream, head) = ask(&format!("{}\r\n", bearer()));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for frame in [b"ping", b"pong"] {
        stream.write_all(frame).unwrap();
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, frame);
    }
}

/// An answer with a body would cost nginx a connection for each request.
#[test]
fn nginx_keeps_its_connections_whatever_the_answer_is() {
    const CALLERS: usize = 2;
    const REQUESTS: usize = 2_100;

    let upstream = Upstream::start();
    let nginx = Nginx::start(address_of(&upstream));
    let before = nginx.connections();
    let bearer = bearer();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut stream = connect(nginx.address);
                for number in 0..REQUESTS {
                    let (path, status) =
                        [("/stock/7", 200), ("/written/7", 403), ("/stock/8", 401)][number % 3];
                    let authorization = if status == 401 { "X: y" } else { &*bearer };
                    let request = format!(
                        "GET {path} HTTP/1.1\r\nHost: api.example.com\r\n{authorization}\r\n\r\n"
                    );
                    stream.write_all(request.as_bytes()).unwrap();
                    let head = read_head(&mut stream);
                    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
                    let length: usize = head
                        .lines()
                        .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
                        .unwrap_or_else(|| panic!("{head}"));
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).unwrap();
                }
            });
        }
    });
    let opened = nginx.connections() - before;
    // Less than one for each thousand requests.
    assert!(
        opened * 1000 < (CALLERS * REQUESTS) as u64,
        "{opened} connections for {} requests",
        CALLERS * REQUESTS
    );
}

#[test]
fn without_the_gateway_nothing_passes() {
    let upstream = Upstream::start();
    let nginx = Nginx::start(address_of(&upstream));
    assert_eq!(nginx.send("GET /open/x", &[]).status, 200);
    let Nginx {
        _process,
        address,
        gateway,
    } = nginx;
    let Running {
        gateway, directory, ..
    } = gateway;
    gateway.stop();
    let request = "GET /open/x HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n";
    assert_eq!(parse(&exchange(address, request.as_bytes())).status, 500);
    assert_eq!(upstream.requests().len(), 1);
    drop(directory);
}
