//! One request by curl, sent again as often as the API may ask for it: with its own nonce (RFC 9449, section
//! 9), after a stronger or fresher sign-in (RFC 9470), with a one-time password (`docs/step-up.md`). Each of
//! them has an end.
//!
//! Not responsible for how curl is started and what it hears (`curl_run`), for the sign-in (`step_up`), nor
//! for who types a password and what is said about it (`otp`).

use std::ffi::OsString;

use countersign_client::{
    Confirmation, ExitCategory, NotSteppedUp, OtpChallenge, OtpDemand, OtpFailed, OtpHeard, Secret,
    SystemClock, Target, TokenSource,
};
use url::Url;

use crate::app::{App, check_token, ready_made_token};
use crate::args::TargetArgs;
use crate::curl_args::Arguments;
use crate::curl_heads::{Follows, Wanted};
use crate::curl_run::{Came, Curl, Header, STEP_UP};
use crate::error::CliError;
use crate::{other_api, otp, step_up};

/// What helps where something can be read once.
const INTO_A_FILE: &str = "write it to a file, and name that: @FILE";

/// A request, and what authorizes it.
pub(crate) struct Request<'a> {
    curl: Curl<'a>,
    means: Means,
    api: String,
}

/// What came of it in the end.
pub(crate) struct Answered {
    pub(crate) came: Came,
    /// Whether a person has typed a password for it.
    pub(crate) confirmed: bool,
}

/// Where the token comes from.
enum Means {
    ReadyMade(Secret),
    Session {
        tokens: Box<TokenSource>,
        target: Option<Target>,
    },
}

/// What somebody is there for.
#[derive(Clone, Copy)]
struct People {
    sign_in: bool,
    type_passwords: bool,
}

impl<'a> Request<'a> {
    /// A request to `url` with these arguments for curl.
    ///
    /// # Errors
    /// When there is no token for it.
    pub(crate) fn new(
        app: &App,
        url: &'a Url,
        line: &'a [OsString],
        arguments: &'a Arguments,
        target: &TargetArgs,
    ) -> Result<Self, CliError> {
        Ok(Self {
            means: Means::find(app, target)?,
            api: step_up::origin(url),
            curl: Curl {
                url,
                line,
                arguments,
            },
        })
    }

    /// Sends it until there is an answer that is one.
    ///
    /// # Errors
    /// When the API asks for what it does not get. What it said has been printed, then.
    pub(crate) fn answered(&self, app: &mut App) -> Result<Answered, CliError> {
        let people = People {
            sign_in: step_up::may_sign_in(app),
            type_passwords: otp::may_ask(app),
        };
        let mut came = self.send(app, people.sign_in || people.type_passwords)?;
        let ended = self.follow(app, &mut came, people);
        // Nothing takes its place any more.
        came.show_held();
        ended.map(|confirmed| Answered { came, confirmed })
    }

    /// Does what the answer asks for, until it asks for nothing. Says whether a password was among it.
    fn follow(&self, app: &mut App, came: &mut Came, people: People) -> Result<bool, CliError> {
        if let Some(Wanted::StepUp(wanted)) = came.wanted() {
            match &self.means {
                Means::ReadyMade(_) => return Err(step_up::ready_made(app, &self.api, &wanted)),
                Means::Session { tokens, .. } => {
                    step_up::answer(app, tokens, &self.api, &wanted)?;
                }
            }
            self.can_repeat(|what| {
                CliError::new(ExitCategory::StepUp, "step_up_input", what)
                    .why("the API refused the request; the new sign-in is kept")
                    .hint("type the same command once more")
            })?;
            *came = self.send(app, people.type_passwords)?;
        }
        match came.wanted() {
            Some(Wanted::StepUp(still)) => Err(step_up::again(&self.api, &still)),
            Some(Wanted::Unreadable(error)) => Err(step_up::unreadable(&self.api, &error)),
            Some(Wanted::Scope(scope)) => {
                if let Means::Session { tokens, .. } = &self.means {
                    step_up::say_scope(app, &self.api, tokens, &scope);
                }
                Ok(false)
            }
            Some(Wanted::Nonce) => {
                self.can_repeat(|what| {
                    CliError::new(ExitCategory::Failure, "dpop_nonce_input", what)
                    .why("the API wants a nonce of its own in the proof that goes with the token")
                    .hint(INTO_A_FILE)
                })?;
                Ok(false)
            }
            // A program that brings one asks for another by itself.
            Some(Wanted::Otp(_)) if self.curl.arguments.steps_up => Ok(false),
            Some(Wanted::Otp(OtpDemand::Password(challenge))) => {
                if let Some(place) = came.moved_to() {
                    return Err(otp::moved(&self.api, &place));
                }
                if !people.type_passwords {
                    return Err(otp::challenge(&self.api, &challenge));
                }
                self.can_repeat(|what| {
                    CliError::new(ExitCategory::StepUp, "otp_input", what)
                        .why("the API asks for a one-time password, and that is for this request alone")
                        .hint(INTO_A_FILE)
                })?;
                self.confirm(app, came, challenge)?;
                Ok(true)
            }
            Some(Wanted::Otp(OtpDemand::Refused(refused))) => {
                let failed = NotSteppedUp::Otp(OtpFailed::Refused(refused));
                Err(otp::failed(&self.api, &failed))
            }
            Some(Wanted::Otp(_)) | None => Ok(false),
        }
    }

    /// Sends it with a password that a person types: three times at most.
    fn confirm(&self, app: &App, came: &mut Came, challenge: OtpChallenge) -> Result<(), CliError> {
        let clock = SystemClock::default();
        let method = self.curl.arguments.method();
        let mut confirmation = Confirmation::new(challenge, method, self.curl.url, &clock);
        loop {
            let header = confirmation.ask(&mut otp::Typist, &clock);
            let header = header.map_err(|failed| otp::failed(&self.api, &failed))?;
            let mut headers = self.means.headers(app, &self.curl)?;
            headers.push((STEP_UP, header));
            let url = self.curl.url;
            app.voice
                .detail(1, || format!("curl {url}, with the password"));
            let follows = Follows {
                person: true,
                nonce: false,
            };
            *came = self.curl.run(&headers, follows)?;
            self.learn(came);
            let heard = confirmation.heard(came.otp(), &clock);
            match heard.map_err(|failed| otp::failed(&self.api, &failed))? {
                OtpHeard::AskAgain => {}
                OtpHeard::Answer => {
                    if let Some(place) = came.leads_to() {
                        otp::say_redirect(app, &place);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Sends it, and once more where the proof was without the nonce that the API wants.
    fn send(&self, app: &App, person: bool) -> Result<Came, CliError> {
        let (url, arguments) = (self.curl.url, self.curl.arguments);
        app.voice.detail(1, || format!("curl {url}"));
        let headers = self.means.headers(app, &self.curl)?;
        let is_bound = headers.iter().any(|(name, _)| *name == "dpop");
        let nonce = is_bound && arguments.reads_once.is_none();
        let came = self.curl.run(&headers, Follows { person, nonce })?;
        let learned = self.learn(&came);
        if !(nonce && learned && came.wanted() == Some(Wanted::Nonce)) {
            return Ok(came);
        }
        app.voice
            .detail(1, || format!("curl {url}, with the nonce of the API"));
        let headers = self.means.headers(app, &self.curl)?;
        let nonce = false;
        let came = self.curl.run(&headers, Follows { person, nonce })?;
        self.learn(&came);
        Ok(came)
    }

    /// Keeps the nonce that came along, for the next request.
    fn learn(&self, came: &Came) -> bool {
        let (Means::Session { tokens, .. }, Some(nonce)) = (&self.means, came.nonce()) else {
            return false;
        };
        // A key that cannot be read has been missed before.
        tokens
            .take_dpop_nonce(self.curl.url, nonce)
            .unwrap_or(false)
    }

    /// Whether curl can send the same once more; the error is about what cannot.
    fn can_repeat(&self, error: impl FnOnce(String) -> CliError) -> Result<(), CliError> {
        let Some(argument) = &self.curl.arguments.reads_once else {
            return Ok(());
        };
        let argument = argument.split('=').next().unwrap_or_default();
        Err(error(format!(
            "curl has read what {argument} names, and cannot send it again"
        )))
    }
}

impl Means {
    fn find(app: &App, target: &TargetArgs) -> Result<Self, CliError> {
        if let Some(token) = ready_made_token()? {
            target.refuse_ready_made()?;
            return Ok(Self::ReadyMade(token));
        }
        let tokens = Box::new(app.tokens()?);
        let target = target.other(&tokens)?;
        Ok(Self::Session { tokens, target })
    }

    /// What authorizes the one request.
    fn headers(&self, app: &App, curl: &Curl<'_>) -> Result<Vec<Header>, CliError> {
        let (tokens, target) = match self {
            Self::ReadyMade(token) => {
                let bearer = Secret::new(format!("Bearer {}", token.expose()));
                return Ok(vec![("authorization", bearer)]);
            }
            Self::Session { tokens, target } => (tokens, target.as_ref()),
        };
        let method = curl.arguments.method();
        let authorization = other_api::authorization(app, tokens, target, method, curl.url)?;
        let headers = authorization.headers;
        for (_, value) in &headers {
            let bare = value.expose().rsplit(' ').next().unwrap_or_default();
            check_token(bare)?;
        }
        let is_bound = headers.iter().any(|(name, _)| *name == "dpop");
        match &curl.arguments.repeats {
            Some(argument) if is_bound => {
                let what = format!("curl's {argument} cannot be used with this token");
                Err(CliError::usage(what).why(
                    "it is bound to a key, and the proof that goes with it is for one request",
                ))
            }
            _ => Ok(headers),
        }
    }
}
