//! Why a request is not confirmed, and what the caller is told: a fresh challenge where another
//! password would do, and none where it would not.
//!
//! Not responsible for the header fields around it, which are `rejection`'s.

use std::time::Duration;

use countersign_oauth::ErrorCode;
use http::StatusCode;

use super::grammar::MalformedStepUp;
use crate::otp::Method;
use crate::{Caller, Presentation};

/// Why a request with a good token is not confirmed by a one-time password.
#[derive(Debug, Clone)]
pub struct StepUpRefusal {
    pub(super) why: Unconfirmed,
    /// The scheme that the token came under, which the challenge is told in.
    pub(super) presentation: Presentation,
    /// What the client needs to try again.
    pub(super) offer: Option<Offer>,
}

/// A challenge, and what a person has to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) challenge: String,
    pub(super) methods: Vec<Method>,
    pub(super) life: Duration,
    pub(super) action: Option<String>,
}

/// Why a request is not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unconfirmed {
    /// No password came yet.
    #[error("the request needs a one-time password")]
    Needed,
    /// The `Step-Up` header field cannot be read.
    #[error(transparent)]
    Malformed(#[from] MalformedStepUp),
    /// The challenge is none of ours, or was made for another request.
    #[error("the challenge is none of ours, or for another request")]
    ForeignChallenge,
    /// The challenge was good once.
    #[error("the challenge has expired")]
    ExpiredChallenge,
    /// The challenge has let a request pass before.
    #[error("the challenge was used before")]
    UsedChallenge,
    /// The password is not right, or of nobody's device.
    #[error("the one-time password is not right")]
    WrongOtp,
    /// The password was right and has been used before.
    #[error("the one-time password was used before")]
    ReplayedOtp,
    /// Too many passwords were wrong.
    #[error("too many one-time passwords were wrong")]
    Locked {
        /// When it makes sense to try again.
        retry_after: Duration,
    },
    /// The person has no device that the rule takes.
    #[error("the person has no device for one-time passwords that would do")]
    NoDevice,
    /// What is needed to judge a password cannot be asked now.
    #[error("one-time passwords cannot be verified now")]
    Unavailable {
        /// When it makes sense to try again.
        retry_after: Duration,
    },
    /// The request has no access token that a challenge could be bound to.
    #[error("the request has no access token that a challenge could be bound to")]
    NoToken,
    /// The body is longer than what a challenge can be bound to here.
    #[error("the body is longer than the rule reads")]
    BodyTooLong,
    /// The body did not come in time, or broke off.
    #[error("the body did not come whole")]
    BodyBroken,
}

impl Unconfirmed {
    /// Whether another password, or the same one with a fresh challenge, may do.
    pub(super) fn may_try_again(self) -> bool {
        matches!(
            self,
            Self::Needed
                | Self::ForeignChallenge
                | Self::ExpiredChallenge
                | Self::UsedChallenge
                | Self::WrongOtp
                | Self::ReplayedOtp
        )
    }
}

impl StepUpRefusal {
    /// One that no challenge comes with.
    pub(super) fn final_of(why: Unconfirmed, caller: &Caller) -> Self {
        Self {
            why,
            presentation: caller.presentation(),
            offer: None,
        }
    }

    /// Why.
    pub fn why(&self) -> Unconfirmed {
        self.why
    }

    /// A stable name, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self.why {
            Unconfirmed::Needed => "otp_needed",
            Unconfirmed::Malformed(MalformedStepUp::Several) => "step_up_twice",
            Unconfirmed::Malformed(MalformedStepUp::Method) => "otp_method",
            Unconfirmed::Malformed(_) => "step_up_malformed",
            Unconfirmed::ForeignChallenge => "otp_challenge_foreign",
            Unconfirmed::ExpiredChallenge => "otp_challenge_expired",
            Unconfirmed::UsedChallenge => "otp_challenge_used",
            Unconfirmed::WrongOtp => "otp_wrong",
            Unconfirmed::ReplayedOtp => "otp_replayed",
            Unconfirmed::Locked { .. } => "otp_locked",
            Unconfirmed::NoDevice => "otp_no_device",
            Unconfirmed::Unavailable { .. } => "otp_unavailable",
            Unconfirmed::NoToken => "otp_no_token",
            Unconfirmed::BodyTooLong => "otp_body_too_long",
            Unconfirmed::BodyBroken => "otp_body_broken",
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self.why {
            Unconfirmed::Malformed(_) | Unconfirmed::BodyBroken => StatusCode::BAD_REQUEST,
            // A sign-in would not help, which is what a client would try after 401.
            Unconfirmed::NoDevice | Unconfirmed::NoToken => StatusCode::FORBIDDEN,
            Unconfirmed::Locked { .. } => StatusCode::TOO_MANY_REQUESTS,
            Unconfirmed::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Unconfirmed::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// When it makes sense to try again, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.why {
            Unconfirmed::Locked { retry_after } | Unconfirmed::Unavailable { retry_after } => {
                Some(retry_after)
            }
            _ => None,
        }
    }

    /// The scheme of the challenge.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.presentation {
            Presentation::Dpop => "DPoP",
            _ => "Bearer",
        }
    }

    /// Error and sentence for the client's developer; nothing where the status says it all.
    pub(crate) fn told(&self) -> Option<(ErrorCode, &'static str)> {
        let authentication = ErrorCode::InsufficientUserAuthentication;
        Some(match self.why {
            Unconfirmed::Malformed(problem) => (ErrorCode::InvalidRequest, told(problem)),
            Unconfirmed::BodyTooLong | Unconfirmed::BodyBroken => return None,
            Unconfirmed::Locked { .. } => (authentication, "too many wrong one-time passwords"),
            Unconfirmed::NoToken => (authentication, "one-time passwords need an access token"),
            Unconfirmed::NoDevice => (authentication, "there is no device for one-time passwords"),
            Unconfirmed::Unavailable { .. } => (
                authentication,
                "one-time passwords cannot be verified at the moment",
            ),
            _ => (authentication, "this request needs a one-time password"),
        })
    }

    /// What the answer just given lacked, in the words of the specification.
    fn otp_error(&self) -> Option<&'static str> {
        Some(match self.why {
            Unconfirmed::ForeignChallenge
            | Unconfirmed::ExpiredChallenge
            | Unconfirmed::UsedChallenge => "expired",
            Unconfirmed::WrongOtp => "wrong_otp",
            Unconfirmed::ReplayedOtp => "replayed_otp",
            Unconfirmed::Locked { .. } => "locked",
            Unconfirmed::NoDevice => "no_device",
            Unconfirmed::Unavailable { .. } => "unavailable",
            Unconfirmed::Needed
            | Unconfirmed::Malformed(_)
            | Unconfirmed::NoToken
            | Unconfirmed::BodyTooLong
            | Unconfirmed::BodyBroken => return None,
        })
    }

    /// The parameters of the challenge, in the order of the specification.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = Vec::new();
        let mut add = |name: &str, value: String| parameters.push((name.to_owned(), value));
        if let Some(offer) = &self.offer {
            add("otp_challenge", offer.challenge.clone());
            add("otp_methods", words(&offer.methods));
            add("otp_expires_in", offer.life.as_secs().to_string());
            if let Some(action) = &offer.action {
                add("otp_action", action.clone());
            }
        }
        if let Some(error) = self.otp_error() {
            add("otp_error", error.to_owned());
        }
        parameters
    }
}

/// The methods as they travel, and as a challenge is bound to them.
pub(super) fn words(methods: &[Method]) -> String {
    let words: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    words.join(" ")
}

fn told(problem: MalformedStepUp) -> &'static str {
    match problem {
        MalformedStepUp::Several => "the Step-Up header field is there twice",
        MalformedStepUp::TooLong => "the Step-Up header field is too long",
        MalformedStepUp::Dictionary => "the Step-Up header field is no dictionary",
        MalformedStepUp::Twice => "the Step-Up header field has a member twice",
        MalformedStepUp::Unknown => "the Step-Up header field has an unknown member",
        MalformedStepUp::Missing(_) => "the Step-Up header field lacks a member",
        MalformedStepUp::Member(_) => "a member of the Step-Up header field is malformed",
        MalformedStepUp::Method => "the method is none that was asked for",
    }
}

impl std::fmt::Display for StepUpRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.why.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
    use serde_json::Value;

    use super::*;
    use crate::{Advice, Rejection};

    const CHALLENGE: &str = "v1.1795219200000.1795219260000.AAECAwQFBgcICQoLDA0ODw.";

    fn refusal(why: Unconfirmed, presentation: Presentation) -> StepUpRefusal {
        let offer = Offer {
            challenge: CHALLENGE.to_owned() + "M9C6CJZ6a0WjBvHUQmh0b5YJJVBH7XQYkjRLWA5hQ7E",
            methods: vec![Method::Yubikey, Method::Totp],
            life: Duration::from_secs(60),
            action: Some("delete resource foobar".to_owned()),
        };
        StepUpRefusal {
            why,
            presentation,
            offer: why.may_try_again().then_some(offer),
        }
    }

    fn all() -> Vec<Unconfirmed> {
        let retry_after = Duration::from_millis(1500);
        vec![
            Unconfirmed::Needed,
            Unconfirmed::Malformed(MalformedStepUp::Several),
            Unconfirmed::Malformed(MalformedStepUp::Method),
            Unconfirmed::Malformed(MalformedStepUp::Unknown),
            Unconfirmed::ForeignChallenge,
            Unconfirmed::ExpiredChallenge,
            Unconfirmed::UsedChallenge,
            Unconfirmed::WrongOtp,
            Unconfirmed::ReplayedOtp,
            Unconfirmed::Locked { retry_after },
            Unconfirmed::NoDevice,
            Unconfirmed::Unavailable { retry_after },
            Unconfirmed::NoToken,
            Unconfirmed::BodyTooLong,
            Unconfirmed::BodyBroken,
        ]
    }

    #[test]
    fn every_refusal_has_a_code_and_a_line_of_its_own() {
        let (mut codes, mut lines) = (Vec::new(), Vec::new());
        for why in all() {
            let rejection = Rejection::from(refusal(why, Presentation::Bearer));
            codes.push(rejection.code());
            lines.push(rejection.to_string());
        }
        codes.sort_unstable();
        codes.dedup();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!((codes.len(), lines.len()), (all().len(), all().len()));
    }

    /// `docs/step-up.md`, "The challenge": a challenge where another password may do, and none else.
    #[test]
    fn the_answer_is_one_of_the_specification() {
        let vectors = include_str!("../../vectors/step-up.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        for why in all() {
            for presentation in [Presentation::Bearer, Presentation::Dpop] {
                let rejection = Rejection::from(refusal(why, presentation));
                let response: Response<()> = rejection.response(&Advice::none());
                let status = response.status().as_u16();
                let told = response.headers().get(WWW_AUTHENTICATE);
                let Some(told) = told.map(|value| value.to_str().unwrap()) else {
                    assert!(
                        matches!(why, Unconfirmed::BodyTooLong | Unconfirmed::BodyBroken),
                        "{why:?}"
                    );
                    continue;
                };
                let has_challenge = told.contains("otp_challenge=");
                assert_eq!(has_challenge, status == 401, "{told}");
                assert_eq!(has_challenge, why.may_try_again(), "{told}");
                let waits = matches!(status, 429 | 503);
                assert_eq!(response.headers().contains_key(RETRY_AFTER), waits);
                let scheme = told.split(' ').next();
                assert_eq!(
                    scheme,
                    Some(if presentation == Presentation::Dpop {
                        "DPoP"
                    } else {
                        "Bearer"
                    })
                );
                let error = told.split_once("otp_error=\"").map(|(_, rest)| rest);
                let error = error.and_then(|rest| rest.split('"').next());
                // What the specification shows of this error has this status.
                let shown = vectors["answers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|answer| {
                        let shown = answer["www_authenticate"].as_str().unwrap();
                        error.is_some_and(|error| shown.contains(&format!("otp_error=\"{error}\"")))
                    });
                assert_eq!(error.is_some(), shown.is_some(), "{told}");
                if let Some(shown) = shown {
                    assert_eq!(shown["status"], status, "{told}");
                }
            }
        }
    }

    #[test]
    fn the_parameters_stand_in_the_order_of_the_specification() {
        let rejection = Rejection::from(refusal(Unconfirmed::WrongOtp, Presentation::Bearer));
        let told = rejection.challenges(&Advice::none()).join("");
        let expected = "Bearer error=\"insufficient_user_authentication\", \
                        error_description=\"this request needs a one-time password\", \
                        otp_challenge=\"v1.";
        assert!(told.starts_with(expected), "{told}");
        let rest = "otp_methods=\"yubikey totp\", otp_expires_in=\"60\", \
                    otp_action=\"delete resource foobar\", otp_error=\"wrong_otp\"";
        assert!(told.ends_with(rest), "{told}");
    }
}
