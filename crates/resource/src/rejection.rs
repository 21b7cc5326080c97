//! Why a request is refused, and what the caller is told.
//!
//! Two audiences: the API's own operator reads `Display`, `code` and the source
//! chain; the caller reads the status and the `WWW-Authenticate` header. Only
//! fixed sentences and the API's own configuration reach the caller, never a
//! word of the token.

use std::sync::Arc;
use std::time::Duration;

use countersign_jose as jose;
use countersign_oauth::challenge::BearerChallenge;
use countersign_oauth::{ErrorCode, ScopeSet};
use http::header::{CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::step_up::StepUpRefusal;
use crate::{Advice, Error, grpc};

/// Why a request was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No bearer token in the `Authorization` header.
    #[error("the request carries no bearer token")]
    NoCredentials,

    /// More than one `Authorization` header, or a token in the query as well
    /// (RFC 6750, section 2).
    #[error("the request carries more than one credential")]
    SeveralCredentials,

    /// The `Authorization` header is not `Bearer <b64token>` (RFC 6750,
    /// section 2.1).
    #[error("the authorization header is malformed")]
    MalformedCredentials,

    /// Not a JWT, or one that uses what we refuse: another algorithm, `crit`,
    /// duplicate members, too long.
    #[error("the token is malformed")]
    MalformedToken(#[source] jose::Error),

    /// `typ` is not `at+jwt` (RFC 9068, section 4): an ID token, for example.
    #[error("the token's type is {found:?}, not at+jwt")]
    WrongType {
        /// What it says instead.
        found: String,
    },

    /// A claim says that this is another kind of token, or lacks what tells an
    /// access token of this provider from its other tokens.
    #[error("the token is not an access token, as its {0} claim says")]
    OtherKind(&'static str),

    /// `iss` is not a configured issuer.
    #[error("the token is from the issuer {found:?}, not {expected:?}")]
    WrongIssuer {
        /// The configured issuers, separated by spaces.
        expected: String,
        /// What the token says; not verified.
        found: String,
    },

    /// The header of a load balancer is signed by one that is not configured.
    #[error("the header is signed by the load balancer {found:?}")]
    WrongLoadBalancer {
        /// What the header says; not verified.
        found: String,
    },

    /// None of the issuer's keys is the one that the token names.
    #[error("the token is signed by a key that the issuer does not publish")]
    UnknownKey,

    /// There are no keys to verify the token with, because they could not be
    /// fetched. It is neither good nor bad.
    #[error("there are no keys to verify the token with")]
    KeysUnavailable {
        /// When it makes sense to try again.
        retry_after: Duration,
        /// Why the last fetch failed.
        #[source]
        cause: Option<Arc<Error>>,
    },

    /// The key that the token names cannot verify it: it is for another
    /// algorithm (RFC 8725, section 3.1), unusable, or one of too many.
    #[error("the key that the token names cannot verify it")]
    UnfitKey(#[source] jose::Error),

    /// The signature is not the issuer's.
    #[error("the token's signature is not valid")]
    BadSignature,

    /// A claim that RFC 9068, section 2.2 requires is missing.
    #[error("the token has no {0} claim")]
    MissingClaim(&'static str),

    /// A claim is not of its type.
    #[error("the token's {0} claim is malformed")]
    MalformedClaim(&'static str),

    /// `aud` does not name this API.
    #[error("the token is for {found:?}, not for {expected:?}")]
    WrongAudience {
        /// The configured audiences.
        expected: Vec<String>,
        /// Whom the token is for.
        found: Vec<String>,
    },

    /// `exp` has passed.
    #[error("the token expired {ago:?} ago")]
    Expired {
        /// How long ago; the leeway is not subtracted.
        ago: Duration,
    },

    /// `nbf` has not come yet.
    #[error("the token is not valid before {ahead:?} from now")]
    NotYetValid {
        /// How far ahead it is.
        ahead: Duration,
    },

    /// `iat` has not come yet: one of the two clocks is wrong.
    #[error("the token was issued {ahead:?} in the future")]
    IssuedInFuture {
        /// How far ahead it is.
        ahead: Duration,
    },

    /// The token is bound to a key (`cnf`, RFC 7800) and came as a plain bearer
    /// token, without proof of that key. It may be stolen.
    #[error("the token is bound to a key and came without proof of it")]
    SenderConstrained,

    /// The proof of possession is missing or wrong (RFC 9449, section 4.3).
    #[error("the proof of possession is not good")]
    InvalidProof(#[source] jose::dpop::ProofError),

    /// The proof has to hold a nonce of ours (RFC 9449, section 9).
    #[error("the proof of possession lacks a nonce of ours")]
    ProofNonce {
        /// The nonce to use.
        nonce: String,
    },

    /// The proof has been seen before (RFC 9449, section 11.1).
    #[error("the proof of possession was used before")]
    ProofReplayed,

    /// The key behind the proof has used more of them in a minute than it may.
    #[error("too many proofs of possession by one key")]
    TooManyProofs {
        /// When there is room for more.
        retry_after: Duration,
    },

    /// The token is bound to a certificate (RFC 8705, section 3) that is not the
    /// one of this connection.
    #[error("the token is bound to another client certificate")]
    CertificateMismatch,

    /// The route wants a token that is bound to its sender, and this one is not.
    #[error("the token is not bound to its sender")]
    NotSenderConstrained,

    /// The token, its session or its subject is on the deny list, or its issuer
    /// says that it is not active (RFC 7662, section 2.2).
    #[error("the token has been revoked")]
    Revoked,

    /// What must be remembered or looked up cannot be now. The token is neither
    /// good nor bad.
    #[error("the shared state cannot be reached")]
    StateUnavailable {
        /// When it makes sense to try again.
        retry_after: Duration,
    },

    /// The issuer has to be asked about the token (RFC 7662), and does not
    /// answer. The token is neither good nor bad.
    #[error("the issuer does not say whether the token is good")]
    IssuerUnavailable {
        /// When it makes sense to try again.
        retry_after: Duration,
        /// Why there was no answer; nothing, when it was not asked because it
        /// did not answer before, or because too many questions are under way.
        #[source]
        cause: Option<Arc<Error>>,
    },

    /// The person signed in too weakly or too long ago (RFC 9470, section 3).
    #[error("the sign-in behind the token is too weak or too old")]
    InsufficientUserAuthentication {
        /// The authentication context classes that will do; empty when any.
        acr_values: Vec<String>,
        /// How long ago the person may have signed in.
        max_age: Option<Duration>,
    },

    /// The request has to be confirmed by a one-time password, and is not.
    #[error("{0}")]
    StepUp(Box<StepUpRefusal>),

    /// A policy refuses this caller, and no other token of theirs would change that.
    #[error("the policy refuses it{}", by(rule.as_deref()))]
    Denied {
        /// The rule that refuses; none when no rule allows.
        rule: Option<String>,
    },

    /// The token is good but does not reach far enough.
    #[error("the token lacks the scope {missing}")]
    InsufficientScope {
        /// The scope that the API asks for.
        required: ScopeSet,
        /// What of it the token lacks.
        missing: ScopeSet,
    },
}

fn by(rule: Option<&str>) -> String {
    match rule {
        Some(rule) => format!(" by its rule {rule:?}"),
        None => ": none of its rules allows it".to_owned(),
    }
}

impl Rejection {
    /// What an error of the signature layer says about a token.
    pub(crate) fn of_token(error: jose::Error) -> Self {
        match error {
            jose::Error::BadSignature => Self::BadSignature,
            jose::Error::UnknownKey { .. } => Self::UnknownKey,
            jose::Error::AlgorithmMismatch { .. }
            | jose::Error::AmbiguousKey { .. }
            | jose::Error::Key(_) => Self::UnfitKey(error),
            // `iss` is the one claim that is looked at before the signature.
            jose::Error::ClaimMissing { .. } => Self::MissingClaim("iss"),
            jose::Error::ClaimType { .. } => Self::MalformedClaim("iss"),
            other => Self::MalformedToken(other),
        }
    }

    /// A stable name for this rejection, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::SeveralCredentials => "several_credentials",
            Self::MalformedCredentials => "malformed_credentials",
            Self::MalformedToken(_) => "malformed_token",
            Self::WrongType { .. } => "wrong_type",
            Self::OtherKind(_) => "other_kind",
            Self::WrongIssuer { .. } => "wrong_issuer",
            Self::WrongLoadBalancer { .. } => "wrong_load_balancer",
            Self::UnknownKey => "unknown_key",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::UnfitKey(_) => "unfit_key",
            Self::BadSignature => "bad_signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::MalformedClaim(_) => "malformed_claim",
            Self::WrongAudience { .. } => "wrong_audience",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::IssuedInFuture { .. } => "issued_in_future",
            Self::SenderConstrained => "sender_constrained",
            Self::InvalidProof(_) => "invalid_proof",
            Self::ProofNonce { .. } => "proof_nonce",
            Self::ProofReplayed => "proof_replayed",
            Self::TooManyProofs { .. } => "too_many_proofs",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::NotSenderConstrained => "not_sender_constrained",
            Self::Revoked => "revoked",
            Self::StateUnavailable { .. } => "state_unavailable",
            Self::IssuerUnavailable { .. } => "issuer_unavailable",
            Self::Denied { .. } => "denied",
            Self::InsufficientUserAuthentication { .. } => "insufficient_user_authentication",
            Self::StepUp(refusal) => refusal.code(),
            Self::InsufficientScope { .. } => "insufficient_scope",
        }
    }

    /// The status of the answer (RFC 6750, section 3.1).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SeveralCredentials | Self::MalformedCredentials => StatusCode::BAD_REQUEST,
            Self::InsufficientScope { .. } | Self::Denied { .. } => StatusCode::FORBIDDEN,
            // The token may well be good, so neither 401, after which a client
            // would log in again, nor anything that lets it in.
            Self::KeysUnavailable { .. }
            | Self::StateUnavailable { .. }
            | Self::IssuerUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyProofs { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::StepUp(refusal) => refusal.status(),
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// What the caller is told, as a sentence for the client's developer.
    /// Nothing, when no credentials were sent (RFC 6750, section 3.1).
    pub(crate) fn told(&self) -> Option<(ErrorCode, &'static str)> {
        use ErrorCode::{
            InsufficientScope, InsufficientUserAuthentication, InvalidDpopProof, InvalidRequest,
            InvalidToken, UseDpopNonce,
        };
        Some(match self {
            Self::NoCredentials
            | Self::KeysUnavailable { .. }
            | Self::StateUnavailable { .. }
            | Self::IssuerUnavailable { .. }
            | Self::TooManyProofs { .. }
            | Self::Denied { .. } => return None,
            Self::StepUp(refusal) => return refusal.told(),
            Self::SeveralCredentials => (InvalidRequest, "more than one credential was sent"),
            Self::MalformedCredentials => (InvalidRequest, "the authorization header is malformed"),
            Self::MalformedToken(_) => (InvalidToken, "the token is malformed"),
            Self::WrongType { .. } | Self::OtherKind(_) => {
                (InvalidToken, "the token is not an access token")
            }
            Self::WrongIssuer { .. } => (InvalidToken, "the token is from another issuer"),
            Self::WrongLoadBalancer { .. } => {
                (InvalidToken, "the header is of another load balancer")
            }
            Self::UnknownKey => (InvalidToken, "the token is signed by an unknown key"),
            Self::UnfitKey(_) => (InvalidToken, "the key does not fit the token"),
            Self::BadSignature => (InvalidToken, "the signature is not valid"),
            Self::MissingClaim(_) => (InvalidToken, "a required claim is missing"),
            Self::MalformedClaim(_) => (InvalidToken, "a claim is malformed"),
            Self::WrongAudience { .. } => (InvalidToken, "the token is not for this API"),
            Self::Expired { .. } => (InvalidToken, "the token has expired"),
            Self::NotYetValid { .. } => (InvalidToken, "the token is not valid yet"),
            Self::IssuedInFuture { .. } => (InvalidToken, "the token was issued in the future"),
            Self::SenderConstrained => (InvalidToken, "the token needs proof of possession"),
            Self::InvalidProof(_) => (InvalidDpopProof, "the proof of possession is not good"),
            Self::ProofNonce { .. } => (UseDpopNonce, "the proof needs the nonce of this answer"),
            Self::ProofReplayed => (InvalidDpopProof, "the proof was used before"),
            Self::CertificateMismatch => (InvalidToken, "the client certificate is another one"),
            Self::NotSenderConstrained => (InvalidToken, "the token is not bound to its sender"),
            Self::Revoked => (InvalidToken, "the token has been revoked"),
            Self::InsufficientUserAuthentication { .. } => (
                InsufficientUserAuthentication,
                "a stronger or more recent sign-in is needed",
            ),
            Self::InsufficientScope { .. } => (InsufficientScope, "the token lacks a scope"),
        })
    }

    /// The values of the `WWW-Authenticate` headers (RFC 6750, section 3; RFC
    /// 9449, section 7.1; RFC 9728, section 5.1), one for each scheme that is
    /// offered; none when credentials are not what is wrong.
    pub fn challenges(&self, advice: &Advice) -> Vec<String> {
        // A challenge asks for other credentials.
        let is_moot = match self {
            Self::Denied { .. } => true,
            // Says what a person cannot mend, and why.
            Self::StepUp(refusal) => refusal.told().is_none(),
            _ => matches!(
                self.status(),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
            ),
        };
        if is_moot {
            return Vec::new();
        }
        let mut challenge = BearerChallenge {
            realm: advice.realm_text().map(str::to_owned),
            ..BearerChallenge::default()
        };
        if let Some((error, description)) = self.told() {
            challenge.error = Some(error);
            challenge.error_description = Some(description.to_owned());
        }
        let mut extra = |name: &str, value: String| challenge.extra.push((name.to_owned(), value));
        match self {
            Self::InsufficientUserAuthentication {
                acr_values,
                max_age,
            } => {
                if !acr_values.is_empty() {
                    extra("acr_values", acr_values.join(" "));
                }
                if let Some(max_age) = max_age {
                    extra("max_age", max_age.as_secs().to_string());
                }
            }
            Self::InsufficientScope { required, .. } => challenge.scope = Some(required.clone()),
            Self::StepUp(refusal) => {
                for (name, value) in refusal.parameters() {
                    extra(&name, value);
                }
            }
            _ => {}
        }
        if let Some(url) = advice.metadata_url() {
            let url = url.to_owned();
            challenge.extra.push(("resource_metadata".to_owned(), url));
        }
        let bearer = challenge.header_value();
        // It goes back with the token that it was made for, under the scheme of that one.
        if let Self::StepUp(refusal) = self {
            let parameters = bearer.strip_prefix("Bearer").unwrap_or_default();
            return vec![format!("{}{parameters}", refusal.scheme())];
        }
        let algorithms = advice.offers_dpop();
        if algorithms.is_none() && !self.is_of_proof() {
            return vec![bearer];
        }
        if let Some(algorithms) = algorithms {
            let algs = ("algs".to_owned(), algorithms.to_owned());
            challenge.extra.push(algs);
        }
        let proof = challenge.header_value();
        let proof = proof.strip_prefix("Bearer").unwrap_or_default();
        let proof = format!("DPoP{proof}");
        // What is wrong with a proof can be put right by another proof alone.
        if self.is_of_proof() {
            vec![proof]
        } else {
            vec![bearer, proof]
        }
    }

    /// Whether it is the proof, or the lack of one, that is refused.
    fn is_of_proof(&self) -> bool {
        matches!(
            self,
            Self::InvalidProof(_) | Self::ProofNonce { .. } | Self::ProofReplayed
        )
    }

    /// The whole answer: status, challenges, an empty body, and nothing that a
    /// cache would keep.
    pub fn response<B: Default>(&self, advice: &Advice) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        for challenge in self.challenges(advice) {
            if let Ok(value) = challenge.try_into() {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
        match self {
            Self::KeysUnavailable { retry_after, .. }
            | Self::StateUnavailable { retry_after }
            | Self::IssuerUnavailable { retry_after, .. }
            | Self::TooManyProofs { retry_after } => {
                headers.insert(RETRY_AFTER, in_whole_seconds(*retry_after).into());
            }
            Self::StepUp(refusal) => {
                if let Some(retry_after) = refusal.retry_after() {
                    headers.insert(RETRY_AFTER, in_whole_seconds(retry_after).into());
                }
            }
            Self::ProofNonce { nonce } => {
                if let Ok(nonce) = nonce.try_into() {
                    headers.insert(HeaderName::from_static("dpop-nonce"), nonce);
                }
            }
            _ => {}
        }
        response
    }

    /// As [`response`](Self::response), for a caller by gRPC: the same status and the same headers, and
    /// `grpc-status` and `grpc-message`, which such a caller reads first.
    /// [`ValidatorLayer`](crate::ValidatorLayer) answers so where the request is a call by gRPC.
    pub fn grpc_response<B: Default>(&self, advice: &Advice) -> Response<B> {
        let mut response = self.response(advice);
        grpc::tell(&mut response, self);
        response
    }
}

/// Rounded up, as nobody should come back too early.
fn in_whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl From<StepUpRefusal> for Rejection {
    fn from(refusal: StepUpRefusal) -> Self {
        Self::StepUp(Box::new(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Rejection> {
        let scope = |text| ScopeSet::parse(text).unwrap();
        vec![
            Rejection::NoCredentials,
            Rejection::SeveralCredentials,
            Rejection::MalformedCredentials,
            Rejection::MalformedToken(jose::Error::NotCompact),
            Rejection::WrongType {
                found: String::new(),
            },
            Rejection::WrongIssuer {
                expected: String::new(),
                found: String::new(),
            },
            Rejection::OtherKind("token_use"),
            Rejection::WrongLoadBalancer {
                found: String::new(),
            },
            Rejection::UnknownKey,
            Rejection::KeysUnavailable {
                retry_after: Duration::from_millis(1),
                cause: None,
            },
            Rejection::UnfitKey(jose::Error::AmbiguousKey { candidates: 5 }),
            Rejection::BadSignature,
            Rejection::MissingClaim("sub"),
            Rejection::MalformedClaim("sub"),
            Rejection::WrongAudience {
                expected: vec![],
                found: vec![],
            },
            Rejection::Expired {
                ago: Duration::from_secs(61),
            },
            Rejection::NotYetValid {
                ahead: Duration::from_secs(61),
            },
            Rejection::IssuedInFuture {
                ahead: Duration::from_secs(61),
            },
            Rejection::SenderConstrained,
            Rejection::InvalidProof(jose::dpop::ProofError::WrongType),
            Rejection::ProofNonce {
                nonce: "n".to_owned(),
            },
            Rejection::ProofReplayed,
            Rejection::CertificateMismatch,
            Rejection::NotSenderConstrained,
            Rejection::Revoked,
            Rejection::Denied {
                rule: Some("leavers".to_owned()),
            },
            Rejection::IssuerUnavailable {
                retry_after: Duration::from_secs(1),
                cause: None,
            },
            Rejection::TooManyProofs {
                retry_after: Duration::from_secs(1),
            },
            Rejection::StateUnavailable {
                retry_after: Duration::from_secs(1),
            },
            Rejection::InsufficientUserAuthentication {
                acr_values: vec!["mfa".to_owned()],
                max_age: None,
            },
            Rejection::InsufficientScope {
                required: scope("a b"),
                missing: scope("b"),
            },
        ]
    }

    /// RFC 6750, section 3.1.
    #[test]
    fn the_status_belongs_to_the_error_that_is_told() {
        for rejection in all() {
            let code = rejection.code();
            let challenge = rejection.challenges(&Advice::none());
            let scheme = if rejection.is_of_proof() {
                "DPoP"
            } else {
                "Bearer"
            };
            let challenge = challenge.iter().map(String::as_str);
            let challenge = BearerChallenge::find_of(scheme, challenge);
            let status = rejection.status();
            match challenge {
                None if code == "too_many_proofs" => {
                    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
                }
                None if code == "denied" => assert_eq!(status, StatusCode::FORBIDDEN),
                None => assert_eq!(
                    (code.ends_with("_unavailable"), status),
                    (true, StatusCode::SERVICE_UNAVAILABLE)
                ),
                Some(BearerChallenge { error: None, .. }) => {
                    assert_eq!((code, status), ("no_credentials", StatusCode::UNAUTHORIZED));
                }
                Some(BearerChallenge {
                    error: Some(error),
                    error_description,
                    ..
                }) => {
                    let expected = match error {
                        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
                        // RFC 9449, section 7.1; RFC 9470, section 3.
                        ErrorCode::InvalidToken
                        | ErrorCode::InvalidDpopProof
                        | ErrorCode::UseDpopNonce
                        | ErrorCode::InsufficientUserAuthentication => StatusCode::UNAUTHORIZED,
                        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
                        other => panic!("{other:?} is no error of a resource server"),
                    };
                    assert_eq!(status, expected, "{code}");
                    assert!(error_description.is_some(), "{code}");
                }
            }
        }
    }

    fn told(rejection: &Rejection, advice: &Advice) -> Vec<String> {
        let response: Response<()> = rejection.response(advice);
        let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// RFC 9728, section 5.1 and RFC 9449, section 7.1.
    #[test]
    fn every_challenge_says_where_the_metadata_are_and_which_schemes_do() {
        let url = "https://api.example.com/.well-known/oauth-protected-resource";
        let advice = Advice::none().realm("a \"stock\"");
        let advice = advice
            .dpop_algorithms("ES256")
            .resource_metadata(url)
            .unwrap();
        assert_eq!(
            told(&Rejection::NoCredentials, &advice),
            [
                format!(r#"Bearer realm="a \"stock\"", resource_metadata="{url}""#),
                format!(r#"DPoP realm="a \"stock\"", resource_metadata="{url}", algs="ES256""#),
            ]
        );
        let nonce = Rejection::ProofNonce {
            nonce: "n-1".to_owned(),
        };
        let [challenge] = &told(&nonce, &advice)[..] else {
            panic!("one challenge")
        };
        assert!(challenge.starts_with("DPoP ") && challenge.contains("use_dpop_nonce"));
        let response: Response<()> = nonce.response(&advice);
        assert_eq!(response.headers()["dpop-nonce"], "n-1");
    }

    /// RFC 9470, section 3.
    #[test]
    fn a_weak_sign_in_is_told_what_would_do() {
        let rejection = Rejection::InsufficientUserAuthentication {
            acr_values: vec!["phr".to_owned(), "mfa".to_owned()],
            max_age: Some(Duration::from_secs(300)),
        };
        let challenge = told(&rejection, &Advice::none()).remove(0);
        assert!(
            challenge.contains(r#"error="insufficient_user_authentication""#)
                && challenge.ends_with(r#", acr_values="phr mfa", max_age="300""#),
            "{challenge}"
        );
    }

    #[test]
    fn every_rejection_has_a_code_and_a_line_of_its_own() {
        let mut codes: Vec<_> = all().iter().map(Rejection::code).collect();
        let mut lines: Vec<_> = all().iter().map(ToString::to_string).collect();
        assert!(lines.iter().all(|line| !line.contains('\n')));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!((codes.len(), lines.len()), (count, count));
    }
}
