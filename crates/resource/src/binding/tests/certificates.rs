//! RFC 8705, section 3, and certificates that a proxy passes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Nobody here reads a certificate, so any bytes are one.
const CERTIFICATE: &[u8] = b"the certificate of a client\xff\x00";

fn digest(der: &[u8]) -> String {
    base64url::encode(&crypto::aws_lc::provider().sha256(der))
}

fn escaped_pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN%20CERTIFICATE-----%0A{body}%0A-----END%20CERTIFICATE-----%0A")
}

fn bound(scene: &Scene) -> String {
    scene.token(&json!({ "x5t#S256": digest(CERTIFICATE) }))
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_wants_that_certificate() {
    let scene = Scene::new();
    let mut sent = Sent::new("Bearer", &bound(&scene));
    assert_eq!(sent.meets(&scene).await, "certificate_mismatch");
    sent.certificate = Some(b"another".to_vec());
    assert_eq!(sent.meets(&scene).await, "certificate_mismatch");
    sent.certificate = Some(CERTIFICATE.to_vec());
    assert_eq!(sent.meets(&scene).await, "certificate");
    assert!(scene.validator.validate(&bound(&scene)).await.is_err());
    // A certificate makes no plain token better, and no worse.
    let mut plain = Sent::new("Bearer", &scene.plain_token());
    plain.certificate = Some(CERTIFICATE.to_vec());
    assert_eq!(plain.meets(&scene).await, "bearer");
}

#[tokio::test]
async fn a_token_bound_to_both_wants_both() {
    let scene = Scene::new();
    let cnf = json!({ "x5t#S256": digest(CERTIFICATE), "jkt": scene.thumbprint() });
    let token = scene.token(&cnf);
    let mut sent = Sent::new("DPoP", &token);
    assert_eq!(sent.meets(&scene).await, "certificate_mismatch");
    sent.certificate = Some(CERTIFICATE.to_vec());
    assert_eq!(sent.meets(&scene).await, "dpop_absent");
    let mut as_bearer = Sent::new("Bearer", &token);
    as_bearer.certificate = Some(CERTIFICATE.to_vec());
    assert_eq!(as_bearer.meets(&scene).await, "sender_constrained");
}

/// Behind a proxy that is trusted from these networks.
fn behind(form: CertificateForm) -> Scene {
    let header = CertificateHeader::new("client-cert", form, ["10.0.0.0/8"]).unwrap();
    Scene::with(|builder| builder.certificate_header(header))
}

#[tokio::test]
async fn a_header_is_believed_from_the_named_proxies_alone() {
    let scene = behind(CertificateForm::EscapedPem);
    let mut sent =
        Sent::new("Bearer", &bound(&scene)).header("client-cert", &escaped_pem(CERTIFICATE));
    assert_eq!(sent.meets(&scene).await, "certificate_mismatch");
    for (source, expected) in [
        ("10.1.2.3", "certificate"),
        ("::ffff:10.1.2.3", "certificate"),
        ("11.0.0.1", "certificate_mismatch"),
        ("127.0.0.1", "certificate_mismatch"),
    ] {
        sent.source = Some(source.parse().unwrap());
        assert_eq!(sent.meets(&scene).await, expected, "{source}");
    }
    // The certificate of the connection itself is the better evidence.
    sent.source = Some("10.1.2.3".parse().unwrap());
    sent.certificate = Some(b"another".to_vec());
    assert_eq!(sent.meets(&scene).await, "certificate_mismatch");

    let unconfigured = Scene::new();
    let mut sent =
        Sent::new("Bearer", &bound(&unconfigured)).header("client-cert", &escaped_pem(CERTIFICATE));
    sent.source = Some("10.1.2.3".parse().unwrap());
    assert_eq!(sent.meets(&unconfigured).await, "certificate_mismatch");
}

async fn header_gives(form: CertificateForm, values: &[&str]) -> &'static str {
    let scene = behind(form);
    let mut sent = Sent::new("Bearer", &bound(&scene));
    sent.source = Some("10.1.2.3".parse().unwrap());
    for value in values {
        sent = sent.header("client-cert", value);
    }
    sent.meets(&scene).await
}

#[tokio::test]
async fn both_forms_of_a_header_are_read_strictly() {
    use CertificateForm::{EscapedPem, Rfc9440};
    let pem = escaped_pem(CERTIFICATE);
    let rfc = format!(":{}:", STANDARD.encode(CERTIFICATE));
    assert_eq!(header_gives(EscapedPem, &[&pem]).await, "certificate");
    assert_eq!(header_gives(Rfc9440, &[&rfc]).await, "certificate");
    let two = format!("{pem}{pem}");
    let spaced = pem.replace("%20", "+");
    for (form, values) in [
        (EscapedPem, vec![&*pem, &*pem]),
        (EscapedPem, vec![&*rfc]),
        (EscapedPem, vec![&*two]),
        (EscapedPem, vec![&*spaced]),
        (EscapedPem, vec!["%zz"]),
        (EscapedPem, vec!["%2"]),
        (EscapedPem, vec![""]),
        (Rfc9440, vec![&*rfc, &*rfc]),
        (Rfc9440, vec![&*pem]),
        (Rfc9440, vec![":"]),
        (Rfc9440, vec!["::"]),
        (Rfc9440, vec![]),
    ] {
        let found = header_gives(form, &values).await;
        assert_eq!(found, "certificate_mismatch", "{form:?} {values:?}");
    }
}

#[test]
fn a_header_without_a_trusted_network_cannot_be_configured() {
    let new = |name, networks: &[&str]| {
        let form = CertificateForm::EscapedPem;
        CertificateHeader::new(name, form, networks.iter().copied()).is_ok()
    };
    assert!(new("x-client-cert", &["::1"]));
    assert!(!new("x-client-cert", &[]));
    assert!(!new("x-client-cert", &["everywhere"]));
    assert!(!new("x client", &["::1"]));
}
