//! `countersign credential aws`: credentials of a role, as `credential_process` of the AWS programs
//! wants them (AWS SDKs and Tools Reference Guide, "Process credential provider").
//!
//! The token of the session is exchanged at STS (`AssumeRoleWithWebIdentity`) for credentials that are
//! good for an hour or so. They are kept with the session: every `aws` command runs this anew, and the
//! programs themselves keep nothing.

use std::time::Duration;

use countersign_client::{Derived, ExitCategory, Secret, TokenSource, TransportError, printable};
use serde_json::{Value, json};
use url::Url;

use super::{Kind, bearer};
use crate::app::{App, ready_made_token};
use crate::args::AwsArgs;
use crate::aws::{AwsSettings, session_name};
use crate::error::CliError;
use crate::sts::{self, Credentials, Question};
use crate::{output, time};

/// The AWS programs ask again when less than this is left (the advisory time of botocore). Of shorter
/// credentials, half of their life.
const MARGIN: Duration = Duration::from_secs(15 * 60);

pub(super) fn run(app: &App, args: &AwsArgs) -> Result<(), CliError> {
    let settings = settings(app, args);
    let role = settings.role()?;
    let endpoint = settings.endpoint(&role)?;
    let kind = Kind::access_if(args.access_token);
    let tokens = match ready_made_token()? {
        Some(_) => None,
        None => Some(app.tokens()?),
    };
    let name = settings
        .session_name
        .clone()
        .unwrap_or_else(|| called(tokens.as_ref()));
    let asked = Asked {
        endpoint,
        role_arn: role.arn.to_owned(),
        name,
        duration: settings.duration,
        kind,
    };
    let kept = tokens.as_ref().and_then(|tokens| asked.kept(app, tokens));
    if let Some((derived, credentials)) = &kept
        && !args.force_refresh
        && is_enough(derived)
    {
        return give(credentials);
    }
    match asked.ask(app) {
        Ok(credentials) => {
            if let Some(tokens) = &tokens {
                asked.keep(app, tokens, &credentials);
            }
            give(&credentials)
        }
        // As with tokens: what is still good is given while the server is down.
        Err(error) => match kept {
            Some((_, credentials))
                if error.exit() == ExitCategory::Unreachable && !args.force_refresh =>
            {
                app.voice
                    .warn(&format!("{}; those kept are given", error.summary()));
                give(&credentials)
            }
            _ => Err(error),
        },
    }
}

/// Flags before the profile, and for the region what all AWS programs go by.
fn settings(app: &App, args: &AwsArgs) -> AwsSettings {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let by_environment = AwsSettings {
        region: region
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
        ..AwsSettings::default()
    };
    let flags = AwsSettings {
        role_arn: args.role_arn.clone(),
        region: args.region.clone(),
        sts_endpoint: args.sts_endpoint.clone(),
        session_name: args.session_name.clone(),
        duration: args.duration,
    };
    let profile = app.settings.aws.as_ref();
    let profile = profile
        .map(|setting| setting.value.clone())
        .unwrap_or_default();
    flags.or(profile).or(by_environment)
}

fn called(tokens: Option<&TokenSource>) -> String {
    let session = tokens.map(TokenSource::session);
    let identity = session.as_ref().map(countersign_client::Session::identity);
    session_name(identity.and_then(|identity| {
        let names = [
            &identity.email,
            &identity.preferred_username,
            &identity.subject,
        ];
        names.into_iter().find_map(Option::as_deref)
    }))
}

fn is_enough(derived: &Derived) -> bool {
    let life = derived.expires_at.since(derived.obtained_at);
    derived.expires_at.since(time::now()) >= MARGIN.min(life / 2)
}

/// Version 1 is the only one there is.
fn give(credentials: &Credentials) -> Result<(), CliError> {
    let mut answer = json!(credentials);
    if let Some(object) = answer.as_object_mut() {
        object.insert("Version".to_owned(), Value::from(1));
    }
    output::artefact(&format!("{answer}\n"))
}

/// Everything that makes one set of credentials another one.
struct Asked {
    endpoint: Url,
    role_arn: String,
    name: String,
    duration: Option<Duration>,
    kind: Kind,
}

impl Asked {
    fn ask(&self, app: &App) -> Result<Credentials, CliError> {
        let bearer = bearer(app, self.kind)?;
        let question = Question {
            role_arn: &self.role_arn,
            role_session_name: &self.name,
            duration_seconds: self.duration.map(|duration| duration.as_secs()),
            token: &bearer.token,
        };
        let context = app.context()?;
        let request = question.request(&self.endpoint);
        let answer = context
            .transport()
            .send(&request, app.settings.timeout.value)
            .map_err(|error| self.not_reached(&error))?;
        sts::read(&answer)
    }

    fn not_reached(&self, error: &TransportError) -> CliError {
        let host = printable(self.endpoint.host_str().unwrap_or_default());
        let (exit, code) = match error {
            TransportError::Timeout
            | TransportError::Connect { .. }
            | TransportError::Proxy { .. }
            | TransportError::Closed => (ExitCategory::Unreachable, "sts_unreachable"),
            TransportError::Interrupted => (ExitCategory::Interrupted, "interrupted"),
            _ => (ExitCategory::Configuration, "sts_transport"),
        };
        CliError::new(exit, code, format!("STS at {host} could not be asked"))
            .why(printable(&error.to_string()))
    }

    /// What it is kept under.
    fn what(&self) -> String {
        let seconds = self.duration.map_or(0, |duration| duration.as_secs());
        let (endpoint, role, name, kind) = (&self.endpoint, &self.role_arn, &self.name, self.kind);
        format!("aws {endpoint} {role} {name} {seconds} {kind:?}")
    }

    /// That it cannot be read or written costs a request and nothing else.
    fn kept(&self, app: &App, tokens: &TokenSource) -> Option<(Derived, Credentials)> {
        let derived = tokens.derived(&self.what()).unwrap_or_else(|error| {
            let why = CliError::from(error).summary();
            app.voice
                .detail(1, || format!("no credentials are kept: {why}"));
            None
        })?;
        let credentials = serde_json::from_str(derived.value.expose()).ok()?;
        Some((derived, credentials))
    }

    fn keep(&self, app: &App, tokens: &TokenSource, credentials: &Credentials) {
        let (Ok(text), Some(expires_at)) =
            (serde_json::to_string(credentials), credentials.expires_at())
        else {
            return;
        };
        if let Err(error) = tokens.keep_derived(&self.what(), &Secret::new(text), expires_at) {
            let why = CliError::from(error).summary();
            app.voice
                .detail(1, || format!("the credentials are not kept: {why}"));
        }
    }
}
