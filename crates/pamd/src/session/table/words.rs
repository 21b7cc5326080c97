//! What people and the journal are told about sessions.

use std::time::Duration;

use countersign_client::printable;

use super::held::{End, Why};
use super::{Left, Seat};
use crate::audit::{Event, Outcome};
use crate::{Answer, Grant, Process, Verdict};

/// Reasons for refusing, for the person; each a clause without a full stop.
pub(crate) const NOBODY_SIGNED_IN: &str =
    "a key alone does not do here; sign in to this account in another terminal first";
pub(crate) const SEVERAL_PEOPLE: &str =
    "several people are signed in to this account, and a key does not say whose it is";
pub(crate) const CANNOT_BE_CONFIRMED: &str =
    "the sign-in to this account is too long ago and cannot be confirmed; sign in once more";
pub(crate) const ANOTHER_ACCOUNT: &str = "the sign-in was for another account";
pub(crate) const ACCESS_ENDED: &str = "your access has ended";
pub(crate) const NO_GRANT: &str = "nothing is known of this login; start it anew";

/// The longest reason from outside that a terminal is shown: two of its lines.
const LONGEST_REASON: usize = 128;

/// The warning, fit for a terminal of 80 columns.
pub(crate) fn warning(grant: &Grant, end: &End, now: Duration) -> String {
    let reason: String = printable(end.why.reason())
        .chars()
        .take(LONGEST_REASON)
        .collect();
    let reference = &grant.reference;
    match end.at {
        None => format!(
            "countersign: your access to this host was withdrawn:\n    {reason}\n\
             Please finish and log out. Reference: {reference}\n"
        ),
        Some(at) if at <= now => {
            format!("countersign: access ends now:\n    {reason}\nReference: {reference}\n")
        }
        Some(at) => format!(
            "countersign: access ends in {}:\n    {reason}\n\
             Save your work: every process of this login is ended. Reference: {reference}\n",
            span(at.saturating_sub(now)),
        ),
    }
}

/// What is said when a warning no longer holds.
pub(crate) fn taken_back() -> String {
    "countersign: your access was confirmed again; this session goes on\n".to_owned()
}

/// A session is opened.
pub(crate) fn opened(grant: &Grant, login: Process, seat: &Seat) -> Event {
    let known = seat.audit_session.is_some() || seat.scope.is_some();
    let message = format!("a session of {} as {} opened", grant.name, grant.account);
    let event = about("session open", Outcome::Granted, &message, grant, login);
    if known {
        return event
            .with("audit_session", number(seat.audit_session))
            .with("scope", seat.scope.as_ref().map_or("", |scope| &scope.path));
    }
    let message = format!(
        "{message}; it has neither an audit session nor a scope of its own, so what it leaves in the \
         background cannot be ended (is pam_loginuid or pam_systemd before this module?)"
    );
    about("session open", Outcome::Noted, &message, grant, login)
}

/// The account or session phase of a login was refused.
pub(crate) fn not_let_in(login: &crate::Login, answer: &Answer) -> Event {
    let outcome = match answer.verdict {
        Verdict::Denied => Outcome::Refused,
        _ => Outcome::Failed,
    };
    let event = Event::new("session open", outcome, &answer.text)
        .with("user", &login.user)
        .with("service", &login.service)
        .with("rhost", &login.rhost)
        .with("pid", login.monitor.to_string());
    match &answer.reference {
        Some(reference) => event.about(reference),
        None => event,
    }
}

/// Somebody was let in, and no session came of it.
pub(crate) fn never_opened(grant: &Grant, login: Process, why: &str) -> Event {
    let message = format!(
        "{} signed in as {}, and no session opened: {why}",
        grant.name, grant.account
    );
    about("session end", Outcome::Noted, &message, grant, login).with("why", "never_opened")
}

/// A session is closed and nothing is left of it.
pub(crate) fn closed(grant: &Grant, login: Process, was_left: bool) -> Event {
    let message = if was_left {
        format!(
            "the last process that {} left behind is gone",
            grant.account
        )
    } else {
        format!("a session of {} closed", grant.account)
    };
    about("session close", Outcome::Noted, &message, grant, login).with("why", "closed")
}

/// A session is closed and processes are left.
pub(crate) fn left_behind(grant: &Grant, login: Process, others: usize) -> Event {
    let message = format!(
        "a session of {} closed; {} of its processes go on, and so does the watch",
        grant.account, others
    );
    about("session close", Outcome::Noted, &message, grant, login)
}

/// The end of a grant is in sight.
pub(crate) fn end_in_sight(grant: &Grant, end: &End, now: Duration) -> Event {
    let what = match end.at {
        None => "the person is told, and stays".to_owned(),
        Some(at) if at <= now => "its sessions end now".to_owned(),
        Some(at) => format!("its sessions end in {}", span(at.saturating_sub(now))),
    };
    let outcome = match end.why {
        Why::Withdrawn(_) => Outcome::Refused,
        Why::Unreachable => Outcome::Failed,
        Why::Limit | Why::Killed => Outcome::Noted,
    };
    let message = format!(
        "access of {} to {} ends: {}; {what}",
        grant.name,
        grant.account,
        end.why.reason()
    );
    Event::new("access end", outcome, message)
        .with("user", &grant.account)
        .with("subject", &grant.subject)
        .with("why", code(&end.why))
        .about(&grant.reference)
}

/// A login was ended, with everything that it started.
pub(crate) fn ended(grant: &Grant, login: Process, why: Option<&Why>, lasted: Duration) -> Event {
    let message = format!("every process of a login of {} has ended", grant.account);
    about("session end", Outcome::Refused, &message, grant, login)
        .with("why", why.map_or("", code))
        .with("reason", why.map_or("", Why::reason))
        .with("took_ms", lasted.as_millis().to_string())
}

/// A login does not end.
pub(crate) fn stuck(grant: &Grant, login: Process, left: Left, lasted: Duration) -> Event {
    let message = format!(
        "CANNOT END {} processes of a login of {} after {}; still trying. Look at them: \
         ps -o pid,stat,wchan,cmd -u {}",
        left.others + usize::from(left.monitor),
        grant.account,
        span(lasted),
        grant.account,
    );
    about("session end", Outcome::Failed, &message, grant, login)
}

/// Nobody can say whether a grant goes on.
pub(crate) fn silent(grant: &Grant, why: &str) -> Event {
    let message = format!("access of {} cannot be confirmed: {why}", grant.name);
    Event::new("renewal", Outcome::Failed, message)
        .with("user", &grant.account)
        .with("subject", &grant.subject)
        .about(&grant.reference)
}

/// A grant goes on, after a time in which nobody could say so or under another rule.
pub(crate) fn confirmed(grant: &Grant) -> Event {
    let message = format!("access of {} to {} goes on", grant.name, grant.account);
    Event::new("renewal", Outcome::Granted, message)
        .with("user", &grant.account)
        .with("subject", &grant.subject)
        .with("rule", &grant.rule)
        .about(&grant.reference)
}

/// There is no refresh token.
pub(crate) fn cannot_be_renewed(grant: &Grant) -> Event {
    let message = format!(
        "no refresh token came with the sign-in of {}: a withdrawal cannot be noticed, and the session \
         ends after {} (is offline_access among the scopes?)",
        grant.name,
        span(grant.max_session),
    );
    Event::new("renewal", Outcome::Noted, message)
        .with("user", &grant.account)
        .with("subject", &grant.subject)
        .about(&grant.reference)
}

fn about(
    what: &'static str,
    outcome: Outcome,
    message: &str,
    grant: &Grant,
    login: Process,
) -> Event {
    Event::new(what, outcome, message)
        .with("user", &grant.account)
        .with("subject", &grant.subject)
        .with("service", &grant.service)
        .with("rhost", &grant.rhost)
        .with("pid", login.to_string())
        .about(&grant.reference)
}

/// The word for a reason in the journal.
pub(crate) fn code(why: &Why) -> &'static str {
    match why {
        Why::Withdrawn(_) => "withdrawn",
        Why::Unreachable => "unreachable",
        Why::Limit => "max_session",
        Why::Killed => "killed",
    }
}

fn number(value: Option<u32>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A length of time as people say it: `45 s`, `12 min`, `3 h 20 min`.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match (seconds / 3600, seconds / 60 % 60) {
        (0, _) if seconds < 120 => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
