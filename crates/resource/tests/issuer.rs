//! The default way to the keys, over real sockets: metadata, then the key set.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_resource::{Rejection, Validator, ValidatorBuilder};
use countersign_testkit::{HttpServer, Key, Reply, Signature};
use serde_json::{Value, json};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// An issuer on loopback that publishes `key`.
struct Issuer {
    server: HttpServer,
    key: Key,
}

impl Issuer {
    fn start() -> Self {
        let server = HttpServer::start();
        let key = Key::generate("k1");
        let issuer = Self { server, key };
        issuer.describes(OPENID, &issuer.metadata());
        issuer.publishes(Reply::json(200, &json!({ "keys": [issuer.key.jwk()] })));
        issuer
    }

    fn metadata(&self) -> Value {
        json!({ "issuer": self.server.origin(), "jwks_uri": self.server.url("/keys") })
    }

    fn describes(&self, place: &str, metadata: &Value) {
        self.server.on("GET", place, Reply::json(200, metadata));
    }

    fn publishes(&self, reply: Reply) {
        self.server.on("GET", "/keys", reply);
    }

    fn builder(&self) -> ValidatorBuilder {
        Validator::builder(self.server.origin()).audience("https://api.example.com")
    }

    fn token(&self) -> String {
        token(&self.server.origin(), &self.key)
    }

    async fn try_token(&self) -> Result<(), Rejection> {
        let validator = self.builder().build().unwrap();
        validator.validate(&self.token()).await.map(|_| ())
    }

    /// The code of what kept the keys from being fetched.
    async fn fetch_fails_with(&self) -> String {
        let rejection = self.try_token().await.unwrap_err();
        let Rejection::KeysUnavailable { cause, .. } = &rejection else {
            panic!("{rejection:?}")
        };
        cause.as_ref().unwrap().code().to_owned()
    }
}

fn token(issuer: &str, key: &Key) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "iss": issuer, "aud": "https://api.example.com", "sub": "ada", "client_id": "cli",
        "jti": "t-1", "iat": now, "exp": now + 600,
    });
    key.sign(&json!({ "typ": "at+jwt" }), &claims, Signature::Good)
}

#[tokio::test]
async fn keys_are_found_through_either_metadata_document() {
    for place in [OPENID, OAUTH] {
        let issuer = Issuer::start();
        issuer.server.on("GET", OPENID, Reply::new(404));
        issuer.describes(place, &issuer.metadata());
        issuer.try_token().await.unwrap();
        assert_eq!(issuer.server.requests_to("/keys").len(), 1, "{place}");
    }
}

#[tokio::test]
async fn keys_of_another_issuer_are_not_asked_for() {
    let issuer = Issuer::start();
    let mut metadata = issuer.metadata();
    metadata["issuer"] = json!("https://id.example.com");
    issuer.describes(OPENID, &metadata);
    assert_eq!(issuer.fetch_fails_with().await, "issuer_mismatch");
    assert_eq!(issuer.server.requests_to("/keys").len(), 0);
}

#[tokio::test]
async fn keys_on_another_machine_are_not_asked_for_in_the_clear() {
    let issuer = Issuer::start();
    let mut metadata = issuer.metadata();
    metadata["jwks_uri"] = json!("http://192.0.2.1/keys");
    issuer.describes(OPENID, &metadata);
    assert!(issuer.try_token().await.is_err());
    assert!(
        issuer
            .server
            .requests()
            .iter()
            .all(|request| request.path.starts_with("/.well-known"))
    );
}

/// RFC 9110, section 13.1.2: a set that has not changed is not sent again.
#[tokio::test]
async fn the_set_is_asked_for_with_the_entity_tag_of_the_last_one_from_that_address() {
    for moved in [false, true] {
        let issuer = Issuer::start();
        let keys = json!({ "keys": [issuer.key.jwk()] });
        issuer.publishes(Reply::json(200, &keys).with_header("ETag", "\"v1\""));
        let validator = issuer.builder().build().unwrap();
        validator.validate(&issuer.token()).await.unwrap();

        let place = if moved { "/moved" } else { "/keys" };
        let mut metadata = issuer.metadata();
        metadata["jwks_uri"] = json!(issuer.server.url(place));
        issuer.describes(OPENID, &metadata);
        let answer = if moved {
            Reply::json(200, &keys)
        } else {
            Reply::new(304)
        };
        issuer.server.on("GET", place, answer);
        // An unknown key makes it ask again.
        let stranger = token(&issuer.server.origin(), &Key::generate("k2"));
        let rejection = validator.validate(&stranger).await.unwrap_err();
        assert_eq!(rejection.code(), "unknown_key");

        let requests = issuer.server.requests_to(place);
        let last = requests.last().unwrap();
        let expected = (!moved).then_some("\"v1\"");
        assert_eq!(last.header("if-none-match"), expected, "{place}");
        assert!(validator.key_status().last_error.is_none());
        validator.validate(&issuer.token()).await.unwrap();
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let issuer = Issuer::start();
    issuer.server.on(
        "GET",
        "/elsewhere",
        Reply::json(200, &json!({ "keys": [issuer.key.jwk()] })),
    );
    issuer.publishes(Reply::redirect(302, &issuer.server.url("/elsewhere")));
    assert!(issuer.try_token().await.is_err());
    assert_eq!(issuer.server.requests_to("/elsewhere").len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let issuer = Issuer::start();
    issuer.publishes(Reply::new(200).flooding(64 * 1024 * 1024));
    assert_eq!(issuer.fetch_fails_with().await, "response_too_large");
}

#[tokio::test]
async fn a_key_set_beyond_its_limit_is_refused() {
    let issuer = Issuer::start();
    let padding = "x".repeat(300 * 1024);
    issuer.publishes(Reply::json(
        200,
        &json!({ "keys": [issuer.key.jwk()], "x": padding }),
    ));
    assert_eq!(
        issuer.try_token().await.unwrap_err().code(),
        "keys_unavailable"
    );
}

#[tokio::test]
async fn every_broken_answer_leaves_the_keys_unavailable() {
    for reply in [
        Reply::new(500),
        Reply::new(404),
        Reply::text(200, "text/html", "<html>sign in</html>"),
        Reply::text(200, "application/json", "{\"keys\":"),
        Reply::json(200, &json!({ "keys": [] })),
        Reply::json(200, &json!([])),
        Reply::raw("SSH-2.0-OpenSSH_9.9\r\n"),
        Reply::hangup(),
        Reply::json(200, &json!({ "keys": [] })).cut_after(5),
    ] {
        let issuer = Issuer::start();
        issuer.publishes(reply);
        let rejection = issuer.try_token().await.unwrap_err();
        assert_eq!(rejection.code(), "keys_unavailable");
        assert_eq!(rejection.status(), 503);
        assert!(rejection.source().is_some());
    }
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_reported_as_that() {
    let issuer = Issuer::start();
    let origin = issuer.server.origin();
    let key = Key::generate("k1");
    drop(issuer);
    let validator = Validator::builder(&*origin).audience("a").build().unwrap();
    let rejection = validator.validate(&token(&origin, &key)).await.unwrap_err();
    let Rejection::KeysUnavailable {
        cause: Some(cause),
        retry_after,
    } = rejection
    else {
        panic!("{rejection:?}")
    };
    assert_eq!(cause.code(), "connect_failed");
    assert!(retry_after <= Duration::from_secs(1));
}

/// Time stands still until everything waits, and then jumps: no test sleeps.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_given_up() {
    let issuer = Issuer::start();
    issuer.server.on("GET", OPENID, Reply::never());
    assert_eq!(issuer.fetch_fails_with().await, "timeout");
}

mod tls {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as CaIssuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// An `https` issuer on loopback whose certificate is of a CA of its own.
    struct TlsIssuer {
        origin: String,
        ca_pem: String,
        key: Key,
    }

    impl TlsIssuer {
        async fn start() -> Self {
            let ca_key = KeyPair::generate().unwrap();
            let mut ca = CertificateParams::new(vec![]).unwrap();
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
            let signer = CaIssuer::new(ca, ca_key);
            let server_key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec!["localhost".to_owned()])
                .unwrap()
                .signed_by(&server_key, &signer)
                .unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
                )
                .unwrap();

            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let origin = format!("https://localhost:{port}");
            let key = Key::generate("k1");
            let metadata = json!({ "issuer": origin, "jwks_uri": format!("{origin}/keys") });
            let jwks = json!({ "keys": [key.jwk()] });
            tokio::spawn(serve(
                listener,
                TlsAcceptor::from(Arc::new(config)),
                metadata,
                jwks,
            ));
            Self {
                origin,
                ca_pem,
                key,
            }
        }

        fn builder(&self) -> ValidatorBuilder {
            Validator::builder(&*self.origin).audience("https://api.example.com")
        }
    }

    async fn serve(listener: TcpListener, tls: TlsAcceptor, metadata: Value, jwks: Value) {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            // A client that does not trust us hangs up here.
            let Ok(mut connection) = tls.accept(connection).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap();
            let body = if request[..length].starts_with(b"GET /keys ") {
                jwks.to_string()
            } else {
                metadata.to_string()
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_added_ca_is_trusted_and_no_other() {
        let issuer = TlsIssuer::start().await;
        let token = token(&issuer.origin, &issuer.key);

        let stranger = issuer.builder().build().unwrap();
        let rejection = stranger.validate(&token).await.unwrap_err();
        let Rejection::KeysUnavailable {
            cause: Some(cause), ..
        } = rejection
        else {
            panic!("{rejection:?}")
        };
        assert_eq!(cause.code(), "tls_failed");

        let friend = issuer
            .builder()
            .add_ca_pem(&*issuer.ca_pem)
            .build()
            .unwrap();
        friend.validate(&token).await.unwrap();
    }
}
