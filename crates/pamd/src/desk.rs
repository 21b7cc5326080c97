//! Where the hooks of the module end: one connection from its first message to its last.
//!
//! Not responsible for what is said in a sign-in (`conversation`), who may begin one (`door`), what the
//! claims allow (`rules`), nor for sessions, which are asked.

use std::sync::Arc;
use std::time::Duration;

use countersign_client::{Clock, Secret, printable};
use countersign_pam_wire as wire;

use crate::audit::{Audit, Event, Outcome};
use crate::config::{Config, Flow};
use crate::conversation::{Conversation, Failure, FailureKind, Heard, Next, Signed};
use crate::door::{Door, Pass};
use crate::hangup;
use crate::host;
use crate::line::{Came, Line};
use crate::live::Live;
use crate::mailbox::Mailbox;
use crate::prompt::{self, Who};
use crate::revoke::{Revocations, Unclaimed};
use crate::rules::{Asked, Decision, Person, Target};
use crate::worker::message::{FromWorker, Requester, ToWorker};
use crate::workers::{Worker, Workers};
use crate::{
    Answer, Grant, Login, Opened, Process, Reference, RefreshToken, Sessions, Unused, Verdict,
};

/// The first message comes at once.
const HELLO: Duration = Duration::from_secs(5);
/// How often it is looked whether a client is still there, while sshd does not.
const GLANCE: Duration = Duration::from_millis(500);
/// How long somebody at an open prompt still hears that it is over.
const LINGER: Duration = Duration::from_secs(120);

/// What every connection needs.
pub(crate) struct Desk {
    pub(crate) live: Arc<Live>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) door: Door,
    pub(crate) revocations: Arc<Revocations>,
}

/// One sign-in.
struct Attempt<'d> {
    desk: &'d Desk,
    login: Login,
    config: Arc<Config>,
    who: Who,
    reference: Reference,
}

/// How a sign-in came out.
enum End {
    Answered(Answer),
    /// Nobody is there to hear it.
    Gone(&'static str),
}

impl Desk {
    /// Serves one connection.
    pub(crate) fn serve(&self, mut line: Line) {
        let first = self.first(&mut line);
        let answer = match first {
            Some(wire::ToDaemon::Begin(login)) => return self.sign_in(line, from_wire(&login)),
            Some(wire::ToDaemon::Account(login)) => self.sessions.account(&from_wire(&login)),
            Some(wire::ToDaemon::Open(opened)) => self.sessions.open(
                &from_wire(&opened.login),
                &Opened {
                    audit_session: opened.audit_session.unwrap_or(u32::MAX),
                    xdg_session: opened.xdg_session.as_str().to_owned(),
                },
            ),
            Some(wire::ToDaemon::Close { monitor }) => {
                self.sessions.close(process(monitor));
                Answer::silent(Verdict::Success)
            }
            // An answer to nothing, or a message of a later version.
            Some(_) | None => return,
        };
        // Whoever is gone has no use for it.
        let _ = line.done(&answer);
    }

    fn first(&self, line: &mut Line) -> Option<wire::ToDaemon> {
        let until = self.clock.monotonic() + HELLO;
        loop {
            let left = until.saturating_sub(self.clock.monotonic());
            match line.wait::<()>(None, left) {
                Came::Message(message) => return Some(message),
                Came::Nothing if left.is_zero() => return None,
                Came::Nothing | Came::Mail(()) => {}
                Came::Gone(_) => return None,
            }
        }
    }

    fn sign_in(&self, mut line: Line, login: Login) {
        let now = self.clock.monotonic();
        if let Some(answer) = self.door.ended(login.monitor, &login.user, now) {
            let _ = line.done(&answer);
            return;
        }
        let attempt = Attempt {
            desk: self,
            config: self.live.current(),
            who: Who {
                host: host::name(),
                account: login.user.clone(),
                rhost: login.rhost.clone(),
            },
            reference: Reference::random(),
            login,
        };
        match attempt.run(&mut line) {
            End::Gone(how) => attempt.note(Outcome::Refused, "nobody waited for the end", how),
            End::Answered(answer) => {
                let login = &attempt.login;
                if answer.verdict != Verdict::Success {
                    let now = self.clock.monotonic();
                    self.door.remember(login.monitor, &login.user, &answer, now);
                }
                let _ = line.done(&answer);
            }
        }
    }
}

impl Attempt<'_> {
    fn run(&self, line: &mut Line) -> End {
        let (pass, asked) = match self.may_begin() {
            Ok(allowed) => allowed,
            Err(why) => {
                self.note(Outcome::Refused, "the sign-in was not begun", &why);
                return End::Answered(self.not_possible());
            }
        };
        let outcome = self.converse(line, asked);
        // Whoever is only waited for at the prompt takes no one's place.
        drop(pass);
        let answer = match outcome {
            Err(how) => return End::Gone(how),
            Ok((Ok(signed), _)) => return End::Answered(self.judge(*signed)),
            Ok((Err(failure), was_asking)) => {
                let answer = self.failed(&failure);
                if was_asking {
                    return self.linger(line, answer);
                }
                answer
            }
        };
        End::Answered(answer)
    }

    /// Whether anybody at all could get in, before anybody is asked.
    fn may_begin(&self) -> Result<(Pass, Asked), String> {
        let (config, login) = (&self.config, &self.login);
        if !login.monitor.is_alive() {
            return Err("the login is over already".to_owned());
        }
        let uid = host::uid_of(&login.user).ok_or("there is no such account")?;
        let source = host::source(&login.ssh_connection, &login.rhost);
        let target = Target {
            service: &login.service,
            account: &login.user,
            uid,
            source,
        };
        let asked = config
            .rules
            .could_fit(target)
            .map_err(|closed| closed.to_string())?;
        let now = self.desk.clock.monotonic();
        let place = source.map_or_else(|| login.rhost.clone(), |source| source.to_string());
        let pass = self
            .desk
            .door
            .enter(config.limits, &login.user, &place, now);
        Ok((pass.map_err(|full| full.to_string())?, asked))
    }

    /// Plays the conversation; what comes out, and whether a prompt is still open.
    fn converse(
        &self,
        line: &mut Line,
        asked: Asked,
    ) -> Result<(Result<Box<Signed>, Failure>, bool), &'static str> {
        let (config, clock) = (&self.config, &self.desk.clock);
        let worker = match self.desk.workers.worker(&config.provider) {
            Ok(worker) => worker,
            Err(failure) => return Ok((Err(failure), false)),
        };
        let mailbox = Arc::new(Mailbox::new().map_err(|_| "no_mailbox")?);
        let theirs = Arc::clone(&mailbox);
        let gives_back = self.gives_back();
        let listener = Box::new(move |message| {
            if let Some(heard) = heard(message, &gives_back) {
                theirs.post(heard);
            }
        });
        let id = worker.ask(listener, |id| ToWorker::Begin {
            id,
            redirect_uri: match config.flow {
                Flow::Device => None,
                Flow::Paste => config.redirect_uri.clone(),
            },
            requester: self.requester(),
            acr_values: asked.acr_values,
            max_age: asked.max_age,
            renewable: self.login.begins_session(),
            limit: config.deadline,
        });
        let id = match id {
            Ok(id) => id,
            Err(failure) => return Ok((Err(failure), false)),
        };
        let _asked = Asking {
            worker: &worker,
            id,
        };
        let mut talk = Conversation::new(
            self.who.clone(),
            config.show,
            config.auto_continue,
            config.deadline,
            clock.monotonic(),
        );
        loop {
            let now = clock.monotonic();
            let was_asking = talk.is_asking();
            let sent = match talk.next(now) {
                Next::Prompt(text) => line.prompt(&text),
                Next::Info(text) => line.info(&text),
                Next::Working => line.working(),
                Next::Redeem(text) => {
                    worker.redeem(id, text);
                    Ok(())
                }
                Next::End(outcome) => return Ok((outcome, was_asking)),
                Next::Wait(until) => {
                    let mut left = until.saturating_sub(now);
                    if talk.is_holding() {
                        left = left.min(GLANCE);
                    }
                    let heard = match line.wait(Some(&*mailbox), left) {
                        Came::Message(wire::ToDaemon::Answer(typed)) => {
                            Some(Heard::Answered(Secret::new(typed.expose())))
                        }
                        Came::Message(_) => return Err("unexpected_message"),
                        Came::Mail(heard) => Some(heard),
                        Came::Nothing if talk.is_holding() && self.has_hung_up() => {
                            return Err("hung_up");
                        }
                        Came::Nothing => None,
                        Came::Gone(how) => return Err(how),
                    };
                    if let Some(heard) = heard {
                        talk.hear(heard, clock.monotonic());
                    }
                    Ok(())
                }
            };
            sent.map_err(|_| "closed")?;
        }
    }

    /// What makes a token of this sign-in one that goes back unless somebody takes it.
    fn gives_back(&self) -> impl Fn(Secret) -> Unclaimed + Send + use<> {
        let issuer = self.config.provider.issuer.clone();
        let account = self.login.user.clone();
        let reference = self.reference.clone();
        let revocations = Arc::clone(&self.desk.revocations);
        move |token| {
            let unused = Unused {
                issuer: issuer.clone(),
                account: account.clone(),
                reference: reference.clone(),
                refresh: RefreshToken::new(token),
            };
            Unclaimed::new(unused, Arc::clone(&revocations))
        }
    }

    fn has_hung_up(&self) -> bool {
        hangup::has_hung_up(&self.login.ssh_connection)
    }

    /// What the person who is to approve is shown, where the server shows such things.
    fn requester(&self) -> Requester {
        let (who, login) = (&self.who, &self.login);
        let from = match who.rhost.as_str() {
            "" => String::new(),
            rhost => format!(", from {rhost}"),
        };
        let purpose = format!("{}: log in as {}{from}", login.service, who.account);
        Requester {
            host: printable(&who.host),
            purpose: printable(&purpose),
        }
    }

    /// A prompt is still open, and the module hears nothing until somebody answers it.
    fn linger(&self, line: &mut Line, answer: Answer) -> End {
        let clock = &self.desk.clock;
        let until = clock.monotonic() + LINGER;
        loop {
            let left = until.saturating_sub(clock.monotonic());
            match line.wait::<()>(None, left) {
                Came::Message(_) => return End::Answered(answer),
                Came::Nothing if left.is_zero() => return End::Answered(answer),
                Came::Nothing | Came::Mail(()) => {}
                Came::Gone(how) => return End::Gone(how),
            }
        }
    }

    /// What the rules say about the person who has signed in.
    fn judge(&self, signed: Signed) -> Answer {
        let Signed {
            person,
            access_expires_in,
            refresh_token,
        } = signed;
        // The file may have changed while the person was in the browser. New rules count at once, but not
        // for what another server says.
        let config = self.desk.live.current();
        if !config.provider.is_the_same_as(&self.config.provider) {
            let why = "this host signs people in elsewhere now";
            return self.failed(&Failure::new(FailureKind::Interrupted, why));
        }
        let login = &self.login;
        let now = self.desk.clock.now();
        let source = host::source(&login.ssh_connection, &login.rhost);
        let decision = match host::uid_of(&login.user) {
            Some(uid) => config.rules.decide(
                Target {
                    service: &login.service,
                    account: &login.user,
                    uid,
                    source,
                },
                &person,
                now,
            ),
            None => Decision::Refused {
                why: "the account is gone".to_owned(),
            },
        };
        let about = |event: Event| {
            event
                .with("sub", person.sub())
                .with("iss", &config.provider.issuer)
                .with("person", person.login_name())
        };
        match decision {
            Decision::Refused { why } => {
                let event = self.event(Outcome::Refused, "the person may not use the account");
                self.desk.audit.write(&about(event).with("reason", why));
                self.answer(Verdict::Denied, self.not_allowed(&person))
            }
            Decision::Allowed { rule, max_session } => {
                let name = person.name();
                let event = self.event(
                    Outcome::Granted,
                    &format!("{} signed in as {}", person.login_name(), login.user),
                );
                self.desk.audit.write(&about(event).with("rule", &rule));
                self.desk.sessions.granted(
                    login.monitor,
                    Grant {
                        issuer: config.provider.issuer.clone(),
                        subject: person.sub().to_owned(),
                        name: name.clone(),
                        sign_in: person.sign_in(),
                        account: login.user.clone(),
                        rule,
                        service: login.service.clone(),
                        rhost: source
                            .map_or_else(|| login.rhost.clone(), |source| source.to_string()),
                        reference: self.reference.clone(),
                        granted_at: now,
                        max_session,
                        access_expires: access_expires_in.map(|left| now + left),
                        refresh: refresh_token.and_then(Unclaimed::claim),
                    },
                );
                self.answer(Verdict::Success, prompt::welcome(&name, &self.reference))
            }
        }
    }

    fn failed(&self, failure: &Failure) -> Answer {
        let contact = self.config.contact.as_deref();
        let ask = format!(
            "Ask {}.",
            contact.unwrap_or("the administrator of this host")
        );
        let (verdict, what, next) = match failure.kind {
            FailureKind::Denied => (
                Verdict::Denied,
                "The sign-in was refused.",
                "Connect again if that was a mistake.",
            ),
            FailureKind::Expired => (
                Verdict::Denied,
                "Nobody approved the sign-in in time.",
                "Connect again, approve, and press Enter.",
            ),
            FailureKind::GivenUp => (Verdict::Denied, "The sign-in was given up.", ""),
            FailureKind::Unreachable => (
                Verdict::Unavailable,
                "The sign-in service does not answer.",
                "Try again in a minute.",
            ),
            FailureKind::Interrupted => (
                Verdict::Unavailable,
                "The sign-in was interrupted on this host.",
                "Try again in a minute.",
            ),
            FailureKind::Unbelievable => (
                Verdict::Failed,
                "The sign-in service gave an answer that cannot be believed.",
                ask.as_str(),
            ),
            FailureKind::Misconfigured => (
                Verdict::Failed,
                "The sign-in service does not let this host sign people in.",
                ask.as_str(),
            ),
        };
        let outcome = match verdict {
            Verdict::Denied => Outcome::Refused,
            _ => Outcome::Failed,
        };
        self.note(outcome, what, &failure.why);
        self.answer(verdict, prompt::failed(what, next, &self.reference))
    }

    fn not_possible(&self) -> Answer {
        let contact = self.config.contact.as_deref();
        let text = prompt::not_possible(&self.who, contact, &self.reference);
        self.answer(Verdict::Denied, text)
    }

    fn not_allowed(&self, person: &Person) -> String {
        let contact = self.config.contact.as_deref();
        prompt::not_allowed(&person.login_name(), &self.who, contact, &self.reference)
    }

    fn answer(&self, verdict: Verdict, text: String) -> Answer {
        Answer {
            verdict,
            text,
            reference: Some(self.reference.clone()),
        }
    }

    fn note(&self, outcome: Outcome, what: &str, why: &str) {
        let event = self.event(outcome, what).with("reason", why);
        self.desk.audit.write(&event);
    }

    fn event(&self, outcome: Outcome, what: &str) -> Event {
        let login = &self.login;
        Event::new("login", outcome, what)
            .about(&self.reference)
            .with("service", &login.service)
            .with("user", &login.user)
            .with("rhost", &login.rhost)
    }
}

/// A question to the worker, which is forgotten when nobody waits for the answer any more.
struct Asking<'w> {
    worker: &'w Worker,
    id: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.worker.forget(self.id);
    }
}

/// What the worker says, as the conversation hears it.
fn heard(message: FromWorker, gives_back: &impl Fn(Secret) -> Unclaimed) -> Option<Heard> {
    Some(match message {
        FromWorker::Shown { shown, .. } => Heard::Shown(shown),
        FromWorker::NotACode { .. } => Heard::NotACode,
        FromWorker::Failed { kind, why, .. } => Heard::Failed(Failure::new(kind, why)),
        FromWorker::Signed {
            claims,
            access_expires_in,
            refresh_token,
            ..
        } => {
            let refresh_token = refresh_token.map(gives_back);
            let unbelievable =
                |why: String| Some(Heard::Failed(Failure::new(FailureKind::Unbelievable, why)));
            match Person::parse(claims.as_bytes()) {
                Ok(person) if !person.sub().is_empty() => Heard::Signed(Box::new(Signed {
                    person,
                    access_expires_in,
                    refresh_token,
                })),
                Ok(_) => return unbelievable("the claims name nobody".to_owned()),
                Err(error) => return unbelievable(format!("the claims cannot be read: {error}")),
            }
        }
        FromWorker::Ready { .. }
        | FromWorker::Learned { .. }
        | FromWorker::Trouble { .. }
        | FromWorker::Renewed { .. }
        | FromWorker::About { .. }
        | FromWorker::Revoked { .. } => return None,
    })
}

fn process(process: wire::Process) -> Process {
    Process {
        pid: process.pid,
        start_time: process.start_time,
    }
}

fn from_wire(login: &wire::Login) -> Login {
    Login {
        service: login.service.as_str().to_owned(),
        user: login.user.as_str().to_owned(),
        rhost: login.rhost.as_str().to_owned(),
        tty: login.tty.as_str().to_owned(),
        ssh_connection: login.ssh_connection.as_str().to_owned(),
        auth_info: login.auth_info.as_str().to_owned(),
        monitor: process(login.monitor),
    }
}
