//! How a login by the device grant runs (RFC 8628): from the first request to the kept session.
//!
//! Not responsible for the rules of the exchange (`countersign-oauth`), nor for what it looks like.

use countersign_jose::crypto::ring;
use countersign_oauth::preset::DevicePkce;
use countersign_oauth::{DeviceAuthorization, DeviceFlow};

use crate::attempt::{Attempt, tell_of_clocks};
use crate::browser::{self, Opening};
use crate::drive::{Asleep, Attentive, drive};
use crate::person::Person;
use crate::{DevicePrompt, Error, Notice, Prompt, Session, SignIn, Timestamp};

/// Signs a person in and keeps the session.
pub(crate) fn sign_in(attempt: &Attempt<'_>, prompt: &mut dyn Prompt) -> Result<Session, Error> {
    let clock = attempt.context.clock();
    let metadata = attempt.provider.metadata();
    let mut client = attempt.client(SignIn::Device)?;
    let attentive = Attentive::new(attempt.context.transport(), clock);

    let asking_client = attempt.device_client(&client);
    let mut asking = attempt.request.start_device(metadata, &asking_client)?;
    if attempt.quirks().device_pkce == DevicePkce::Taken {
        asking = asking.with_pkce(ring::provider())?;
    }
    let authorization = drive(&mut asking, &attentive, clock, &mut Asleep(clock))?;
    // By the time of day, like everything the server's answer is measured by.
    let now = clock.now();
    let opening = show(attempt, &authorization, now, prompt);
    tell_of_clocks(&attentive, prompt);

    let life = authorization.expires_at.since(now);
    let mut person = Person::new(prompt, clock, opening, life, attempt.login.limit());
    let tokens = attempt.tokens(&mut client, |client| {
        let mut polling = DeviceFlow::new(metadata, client, &authorization, clock.now())?;
        drive(&mut polling, &attentive, clock, &mut person)
    });
    prompt.finished();
    let tokens = tokens?;

    let expected = attempt.expected(&tokens)?;
    attempt.finish(SignIn::Device, &client, tokens, expected, &attentive)
}

/// Shows the codes, then opens a browser if there is one.
fn show(
    attempt: &Attempt<'_>,
    authorization: &DeviceAuthorization,
    now: Timestamp,
    prompt: &mut dyn Prompt,
) -> Opening {
    let login = attempt.login;
    let complete = authorization.verification_uri_complete.as_ref();
    prompt.show_device(&DevicePrompt {
        user_code: authorization.user_code.clone(),
        verification_uri: authorization.verification_uri.to_string(),
        verification_uri_complete: complete.map(ToString::to_string),
        expires_in: authorization.expires_at.since(now),
        issuer: login.issuer().as_str().to_owned(),
        client_id: login.client_id().to_owned(),
    });
    let address = complete.unwrap_or(&authorization.verification_uri);
    let clock = attempt.context.clock();
    let opening = browser::open(login.browser_wanted(), &attempt.place, address, clock);
    prompt.notice(&Notice::Browser(opening.outcome()));
    opening
}
