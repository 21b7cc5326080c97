//! The messages of AWS STS: `AssumeRoleWithWebIdentity`, as the AWS STS API Reference (version
//! 2011-06-15) documents them.
//!
//! Says what to send and what came back. Not responsible for sending, nor for keeping.

use countersign_client::{
    ExitCategory, HeaderValue, HttpRequest, HttpResponse, Method, Secret, Timestamp, printable,
};
use roxmltree::{Document, Node, ParsingOptions};
use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::error::CliError;

/// An answer has a few dozen elements.
const MOST_NODES: u32 = 256;

/// What to ask for.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) role_arn: &'a str,
    pub(crate) role_session_name: &'a str,
    pub(crate) duration_seconds: Option<u64>,
    pub(crate) token: &'a Secret,
}

/// Credentials for a while, as `credential_process` gives them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    #[serde(serialize_with = "exposed")]
    pub(crate) secret_access_key: Secret,
    #[serde(serialize_with = "exposed")]
    pub(crate) session_token: Secret,
    /// As STS wrote it, which is as `credential_process` wants it: ISO 8601.
    pub(crate) expiration: String,
}

fn exposed<S: serde::Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

impl Question<'_> {
    /// The request to `endpoint`.
    pub(crate) fn request(&self, endpoint: &Url) -> HttpRequest {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", self.role_arn)
            .append_pair("RoleSessionName", self.role_session_name);
        if let Some(seconds) = self.duration_seconds {
            form.append_pair("DurationSeconds", &seconds.to_string());
        }
        form.append_pair("WebIdentityToken", self.token.expose());
        let plain = |value: &str| HeaderValue::Plain(value.to_owned());
        let mut request = HttpRequest::get(endpoint.clone());
        request.method = Method::Post;
        request.headers = vec![
            ("accept", plain("text/xml")),
            ("content-type", plain("application/x-www-form-urlencoded")),
        ];
        request.body = Some(Secret::new(form.finish()));
        request
    }
}

/// What came back.
///
/// # Errors
/// When STS refused, with its reason, and when it did not answer as documented.
pub(crate) fn read(answer: &HttpResponse) -> Result<Credentials, CliError> {
    let text = std::str::from_utf8(&answer.body).map_err(|_| strange(answer, "it is not text"))?;
    let options = ParsingOptions {
        nodes_limit: MOST_NODES,
        ..ParsingOptions::default()
    };
    let Ok(document) = Document::parse_with_options(text, options) else {
        return Err(strange(answer, "it is not XML"));
    };
    let root = document.root_element();
    if answer.status != 200 {
        return Err(refusal(answer, root));
    }
    credentials(root).ok_or_else(|| strange(answer, "it has no credentials in it"))
}

fn credentials(root: Node<'_, '_>) -> Option<Credentials> {
    let root = Some(root).filter(|root| root.has_tag_name_of("AssumeRoleWithWebIdentityResponse"));
    let result = only(root?, "AssumeRoleWithWebIdentityResult")?;
    let found = only(result, "Credentials")?;
    // None of the four has a character that would have to be escaped anywhere.
    let text = |name| {
        let visible = |byte: u8| (b'!'..=b'~').contains(&byte) && !b"\"<>&".contains(&byte);
        let text = only(found, name)?.text()?.trim();
        (!text.is_empty() && text.bytes().all(visible)).then(|| text.to_owned())
    };
    let credentials = Credentials {
        access_key_id: text("AccessKeyId")?,
        secret_access_key: Secret::new(text("SecretAccessKey")?),
        session_token: Secret::new(text("SessionToken")?),
        expiration: text("Expiration")?,
    };
    credentials.expires_at().map(|_| credentials)
}

impl Credentials {
    /// When they expire, by the clock of AWS.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        let at: jiff::Timestamp = self.expiration.parse().ok()?;
        Some(Timestamp::from_secs(at.as_second()))
    }
}

trait Named {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl Named for Node<'_, '_> {
    /// Whatever the namespace: its year is not what an answer is judged by.
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// The child of this name, if there is exactly one.
fn only<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    let mut found = parent
        .children()
        .filter(|child| child.has_tag_name_of(name));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// An answer that is none.
fn strange(answer: &HttpResponse, why: &str) -> CliError {
    let status = format!("status {}", answer.status);
    if answer.status == 429 || answer.status >= 500 {
        let what = "STS is busy or out of order";
        return CliError::new(ExitCategory::Unreachable, "sts_unavailable", what).why(status);
    }
    let what = "STS did not answer as documented";
    CliError::new(ExitCategory::Failure, "sts_answer", what).why(format!("{status}: {why}"))
}

/// What STS says no with, and what can be done about it.
fn refusal(answer: &HttpResponse, root: Node<'_, '_>) -> CliError {
    let error = Some(root)
        .filter(|root| root.has_tag_name_of("ErrorResponse"))
        .and_then(|root| only(root, "Error"));
    let text = |name| {
        let text = error.and_then(|error| only(error, name)?.text());
        text.map(printable).unwrap_or_default()
    };
    let (code, message) = (text("Code"), text("Message"));
    if code.is_empty() {
        return strange(answer, "it is not an answer of STS");
    }
    let (exit, ours, hint) = meaning(answer.status, &code);
    let mut error =
        CliError::new(exit, ours, "AWS gave no credentials").why(format!("{code}: {message}"));
    if let Some(id) = only(root, "RequestId").and_then(|id| id.text()) {
        error = error.why(format!("AWS request id: {}", printable(id)));
    }
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The documented errors of the action, and those that all actions have in common.
fn meaning(status: u16, code: &str) -> (ExitCategory, &'static str, Option<&'static str>) {
    match code {
        "AccessDenied" => (
            ExitCategory::Denied,
            "aws_access_denied",
            Some(
                "ask whether the trust policy of the role lets you in: its conditions compare `aud` and `sub`",
            ),
        ),
        "IDPRejectedClaim" => (
            ExitCategory::Denied,
            "aws_rejected_claim",
            Some("sign in again: countersign login"),
        ),
        "ExpiredTokenException" => (
            ExitCategory::LoginRequired,
            "aws_token_expired",
            Some("compare the clock of this computer with the server's: countersign doctor"),
        ),
        "InvalidIdentityToken" => (
            ExitCategory::Configuration,
            "aws_invalid_token",
            Some(
                "in IAM, the identity provider has to have this issuer's URL, and the client id among its audiences",
            ),
        ),
        "IDPCommunicationError" => (
            ExitCategory::Unreachable,
            "aws_idp_unreachable",
            Some("AWS could not fetch the keys of the authorization server; try again in a moment"),
        ),
        "RegionDisabledException" => (
            ExitCategory::Configuration,
            "aws_region_disabled",
            Some("STS is not activated in this region; name another with --region"),
        ),
        "ValidationError" | "MalformedPolicyDocument" | "PackedPolicyTooLarge" => {
            (ExitCategory::Configuration, "aws_validation", None)
        }
        "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "ServiceUnavailable"
        | "InternalFailure" => (ExitCategory::Unreachable, "sts_unavailable", None),
        _ if status == 429 || status >= 500 => (ExitCategory::Unreachable, "sts_unavailable", None),
        _ => (ExitCategory::Failure, "aws_refused", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn success(credentials: &str) -> HttpResponse {
        answer(
            200,
            &format!(
                "<?xml version=\"1.0\"?>\n<AssumeRoleWithWebIdentityResponse \
                 xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleWithWebIdentityResult><Audience>cli</Audience>{credentials}\
                 </AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>r</RequestId>\
                 </ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
            ),
        )
    }

    const GOOD: &str = "<Credentials><SessionToken>tok/+=</SessionToken>\
        <SecretAccessKey> sec/ret+ </SecretAccessKey><Expiration>2026-11-15T09:30:00Z</Expiration>\
        <AccessKeyId>ASIAEXAMPLE</AccessKeyId></Credentials>";

    #[test]
    fn credentials_are_read_in_whatever_order() {
        let credentials = read(&success(GOOD)).unwrap();
        assert_eq!(credentials.access_key_id, "ASIAEXAMPLE");
        assert_eq!(credentials.secret_access_key.expose(), "sec/ret+");
        assert_eq!(credentials.session_token.expose(), "tok/+=");
        assert_eq!(
            credentials.expires_at(),
            Some(Timestamp::from_secs(1_794_735_000))
        );
        assert!(!format!("{credentials:?}").contains("sec/ret"));
    }

    #[test]
    fn what_is_not_as_documented_gives_no_credentials() {
        let twice = format!("{GOOD}{GOOD}");
        for credentials in [
            "",
            "<Credentials/>",
            &twice,
            &GOOD.replace("ASIAEXAMPLE", ""),
            &GOOD.replace("ASIAEXAMPLE", "ASIA\nEXAMPLE"),
            &GOOD.replace("ASIAEXAMPLE", "ASIA&quot;"),
            &GOOD.replace("2026-11-15T09:30:00Z", "soon"),
            &GOOD.replace("<SessionToken>tok/+=</SessionToken>", ""),
            &GOOD.replace("tok/+=", "<b>tok</b>"),
        ] {
            assert_eq!(
                read(&success(credentials)).unwrap_err().code(),
                "sts_answer"
            );
        }
        let bomb = "<!DOCTYPE a [<!ENTITY a \"aaaa\">]><AssumeRoleWithWebIdentityResponse/>";
        let many = format!("<a>{}</a>", "<b/>".repeat(1000));
        for body in ["", "{}", "<html>", bomb, &many] {
            assert_eq!(
                read(&answer(200, body)).unwrap_err().code(),
                "sts_answer",
                "{body}"
            );
            let unavailable = read(&answer(503, body)).unwrap_err();
            assert_eq!(unavailable.exit(), ExitCategory::Unreachable);
        }
    }

    #[test]
    fn a_refusal_says_why_and_never_what_it_would_do_to_a_terminal() {
        let refusal = |status, code: &str| {
            let body = format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                 <Type>Sender</Type><Code>{code}</Code><Message>no&#x9b;2J&#10;way</Message></Error>\
                 <RequestId>r-1</RequestId></ErrorResponse>"
            );
            read(&answer(status, &body)).unwrap_err()
        };
        let cases = [
            (403, "AccessDenied", ExitCategory::Denied),
            (400, "ExpiredTokenException", ExitCategory::LoginRequired),
            (400, "InvalidIdentityToken", ExitCategory::Configuration),
            (400, "IDPCommunicationError", ExitCategory::Unreachable),
            (403, "IDPRejectedClaim", ExitCategory::Denied),
            (403, "RegionDisabledException", ExitCategory::Configuration),
            (400, "ValidationError", ExitCategory::Configuration),
            (400, "Throttling", ExitCategory::Unreachable),
            (500, "Unknown", ExitCategory::Unreachable),
            (400, "Unknown", ExitCategory::Failure),
        ];
        for (status, code, exit) in cases {
            let error = refusal(status, code);
            assert_eq!(error.exit(), exit, "{code}");
            let (_, why, _) = error.parts();
            assert_eq!(
                why,
                [
                    format!("{code}: no2J way"),
                    "AWS request id: r-1".to_owned()
                ]
            );
        }
    }
}
