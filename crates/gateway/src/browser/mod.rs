//! People at a browser: sent to sign in where a route wants it, and known by a sealed cookie afterwards.
//!
//! The cookie holds an access token. At every request the token is put where a program would have put
//! it, and goes the way of every other through `decide`, so that a session can do nothing that its token
//! cannot. A program is never sent anywhere: `visitor` tells the two apart.
//!
//! Not responsible for deciding, nor for the record of what was decided.

mod attempt;
mod cookies;
mod exchange;
mod page;
mod provider;
mod renewal;
mod seal;
mod session;
mod visitor;

use std::error::Error as StdError;
use std::sync::Arc;

use countersign_console::Problem;
use countersign_jose::Timestamp;
use countersign_oauth::{EndSessionRequest, RevocationFlow, TokenTypeHint};
use countersign_resource::state::StateError;
use countersign_resource::{Caller, Rejection};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use url::Url;

use self::attempt::place;
use self::cookies::{Ours, Writer};
use self::page::{discreet, page};
use self::provider::Provider;
use self::renewal::{Means, Outcome, Renewals};
use self::seal::Seals;
use self::session::{Asked, Session};
use crate::config::{self, Access, Config};
use crate::decide::find;
use crate::live::{Live, Rule};
use crate::proxy::Download;
use crate::step_up::IN_A_TERMINAL;

/// Where the browser comes back to, after our prefix.
const CALLBACK: &str = "callback";
const SIGN_OUT: &str = "sign-out";

/// All that signing in needs.
#[derive(Debug)]
pub(crate) struct SignIn {
    wanted: config::SignIn,
    seals: Seals,
    provider: Arc<Provider>,
    renewals: Arc<Renewals>,
}

/// A request of somebody who may be at a browser.
#[derive(Debug)]
pub(crate) struct Visit<'l> {
    sign_in: &'l SignIn,
    origin: &'l Url,
    ours: Ours,
    /// The session on whose strength the request is decided about.
    session: Option<Session>,
    /// Whether its tokens are others than those that the browser has.
    is_renewed: bool,
    opens_a_page: bool,
    is_meant: bool,
}

/// What became of a request to one of our own endpoints, for the record.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Download>,
    /// Why not, with its code; none when it was done.
    pub(crate) refused: Option<String>,
    pub(crate) code: &'static str,
    pub(crate) caller: Option<Caller>,
}

impl SignIn {
    /// Reads keys and secrets. Nothing is sent.
    pub(crate) fn new(config: &Config, previous: Option<&Self>) -> Result<Option<Self>, Problem> {
        let Some(wanted) = config.sign_in.clone() else {
            return Ok(None);
        };
        let Some(issuer) = config.issuers.get(wanted.issuer) else {
            return Ok(None);
        };
        Ok(Some(Self {
            seals: Seals::load(&wanted.cookie_key_files)?,
            provider: Arc::new(Provider::new(&wanted, issuer)?),
            renewals: previous.map_or_else(Arc::default, |it| Arc::clone(&it.renewals)),
            wanted,
        }))
    }

    fn writer<'w>(&'w self, origin: &'w Url) -> Writer<'w> {
        Writer {
            name: &self.wanted.cookie_name,
            origin,
        }
    }

    /// Takes our cookies out of a request, which never go further, and with them who is at the browser.
    /// A route that wants people signed in finds their token where a program would have put it.
    ///
    /// # Errors
    ///
    /// When nobody can say whether the session was ended.
    pub(crate) async fn receive<'l>(
        &'l self,
        live: &'l Live,
        parts: &mut Parts,
        origin: &'l Url,
        now: Timestamp,
    ) -> Result<Visit<'l>, StateError> {
        let ours = cookies::take(&mut parts.headers, &self.wanted.cookie_name, origin);
        let mut visit = Visit {
            sign_in: self,
            origin,
            ours,
            session: None,
            is_renewed: false,
            opens_a_page: false,
            is_meant: visitor::is_meant(parts, origin),
        };
        if self.is_own(parts.uri.path()) {
            visit.session = self.session(live, &visit.ours, origin, now).await?;
            return Ok(visit);
        }
        let wants =
            find(live, parts.uri.path(), &parts.method).is_ok_and(|(_, rule)| rule.route.sign_in);
        if !wants || visitor::has_credentials(parts) {
            return Ok(visit);
        }
        visit.opens_a_page = visitor::opens_a_page(parts);
        if let Some(session) = self.session(live, &visit.ours, origin, now).await? {
            (visit.session, visit.is_renewed) = self.renewed(live, session, now).await;
        }
        if let Some(session) = &visit.session {
            let bearer = format!("Bearer {}", session.access_token.expose());
            if let Ok(mut value) = HeaderValue::from_str(&bearer) {
                value.set_sensitive(true);
                parts.headers.insert(AUTHORIZATION, value);
            }
        }
        Ok(visit)
    }

    async fn session(
        &self,
        live: &Live,
        ours: &Ours,
        origin: &Url,
        now: Timestamp,
    ) -> Result<Option<Session>, StateError> {
        let opened = ours.session().and_then(|sealed| {
            self.seals
                .open::<Session>(&["session", &place(origin)], &sealed)
        });
        let Some(session) = opened.filter(|session| session.is_alive(&self.wanted, now)) else {
            return Ok(None);
        };
        let state = live.memory().shared();
        let is_ended = match session.is_ended(&*state, now).await {
            Err(_) if live.config().state.danger_allow_without => false,
            outcome => outcome?,
        };
        Ok((!is_ended).then_some(session))
    }

    /// The session with a token that lasts, if it can be had; nothing if the session is over.
    async fn renewed(
        &self,
        live: &Live,
        mut session: Session,
        now: Timestamp,
    ) -> (Option<Session>, bool) {
        let (Some(due), Some(validator)) = (session.due(now), live.validator()) else {
            return (Some(session), false);
        };
        let means = Means {
            provider: Arc::clone(&self.provider),
            state: live.memory().shared(),
            danger_allow_without: live.config().state.danger_allow_without,
            validator: validator.clone(),
            refresh_token: due.refresh_token.clone(),
            access_token: session.access_token.clone(),
            subject: due.subject.to_owned(),
        };
        match self.renewals.join(means, now).await {
            Outcome::Renewed(fresh) => {
                session.renew(&fresh, now);
                (Some(session), true)
            }
            Outcome::Over => (None, false),
            Outcome::Later => (Some(session), false),
        }
    }

    /// Lets the browser keep a session. False when it is too long.
    fn keep(
        &self,
        headers: &mut HeaderMap,
        before: &Ours,
        origin: &Url,
        mut session: Session,
        now: Timestamp,
    ) -> bool {
        let place = place(origin);
        let life = session.life(&self.wanted, now);
        let mut set = |session: &Session| {
            let sealed = self.seals.seal(&["session", &place], session);
            sealed.is_some_and(|sealed| {
                let writer = self.writer(origin);
                writer.session(headers, before, &sealed, life)
            })
        };
        if set(&session) {
            return true;
        }
        // It only spares the person a question when they sign out.
        session.id_token = None;
        set(&session)
    }

    /// Whether this path is one of our own, whatever the routes say.
    pub(crate) fn is_own(&self, path: &str) -> bool {
        path.starts_with(&self.wanted.prefix)
    }

    /// Answers a request to one of our own endpoints.
    pub(crate) async fn answer(
        &self,
        live: &Live,
        parts: &Parts,
        visit: &Visit<'_>,
        now: Timestamp,
    ) -> Answered {
        let rest = parts.uri.path().strip_prefix(&self.wanted.prefix);
        let is_get = parts.method == Method::GET;
        match rest {
            Some(CALLBACK) if is_get => self.callback(live, parts, visit, now).await,
            Some(SIGN_OUT) if is_get || parts.method == Method::POST => {
                self.sign_out(live, parts, visit, now).await
            }
            Some(CALLBACK | SIGN_OUT) => refused(StatusCode::METHOD_NOT_ALLOWED, "method"),
            _ => refused(StatusCode::NOT_FOUND, "no_rule"),
        }
    }

    async fn callback(
        &self,
        live: &Live,
        parts: &Parts,
        visit: &Visit<'_>,
        now: Timestamp,
    ) -> Answered {
        let query = parts.uri.query().unwrap_or_default();
        match self
            .finish(live, &visit.ours, visit.origin, query, now)
            .await
        {
            Ok(signed_in) => Answered {
                response: signed_in.response,
                refused: None,
                code: "signed_in",
                caller: Some(signed_in.caller),
            },
            Err(failure) => Answered {
                response: failure.page(),
                refused: Some(chain(&failure)),
                code: failure.code(),
                caller: None,
            },
        }
    }

    /// Ends the session here, and leads to where it ends at the authorization server.
    async fn sign_out(
        &self,
        live: &Live,
        parts: &Parts,
        visit: &Visit<'_>,
        now: Timestamp,
    ) -> Answered {
        // Nobody else's page signs people out.
        let is_wanted = visitor::is_same_origin(&parts.headers, visit.origin)
            || (parts.method == Method::GET && visitor::is_typed(&parts.headers));
        if !is_wanted {
            let response = page(
                StatusCode::FORBIDDEN,
                "Do you want to sign out?",
                &["Another site has led you here. To sign out, use the link."],
                Some((parts.uri.path(), "Sign out")),
            );
            return Answered {
                response,
                refused: Some("the request comes from another site".to_owned()),
                code: "cross_site",
                caller: None,
            };
        }
        let mut ended = Ok(());
        if let Some(session) = &visit.session {
            let state = live.memory().shared();
            ended = session.end(&*state, &self.wanted, now).await;
            self.revoke(session).await;
        }
        let session = visit.session.as_ref();
        let mut response = match self.after(visit.origin, session).await {
            Some(address) => address,
            None => page(
                StatusCode::OK,
                "You are signed out",
                &["You may still be signed in at the sign-in service, and at other sites."],
                None,
            ),
        };
        self.writer(visit.origin)
            .no_session(response.headers_mut(), &visit.ours);
        Answered {
            response,
            // The browser has lost it all the same; somebody with a copy has not.
            refused: ended.err().map(|error| chain(&error)),
            code: "signed_out",
            caller: None,
        }
    }

    /// Tells the authorization server that the refresh token is no longer needed, without waiting for
    /// what it says: the session has ended already.
    async fn revoke(&self, session: &Session) {
        let (Some(token), Ok(metadata)) = (session.refresh_token(), self.provider.metadata().await)
        else {
            return;
        };
        let client = self.provider.client(&metadata);
        let hint = TokenTypeHint::RefreshToken;
        if let Ok(flow) = RevocationFlow::new(&metadata, &client, token, hint) {
            let provider = Arc::clone(&self.provider);
            tokio::spawn(async move { provider.drive(flow).await });
        }
    }

    /// Where a browser goes after signing out.
    async fn after(&self, origin: &Url, session: Option<&Session>) -> Option<Response<Download>> {
        let home = self.wanted.after_sign_out.as_ref();
        let home = home.map(|path| format!("{}{path}", place(origin)));
        let asked = EndSessionRequest {
            id_token_hint: session.and_then(|session| session.id_token.as_ref()),
            client_id: Some(&self.wanted.client_id),
            post_logout_redirect_uri: home.as_deref(),
            ..EndSessionRequest::default()
        };
        let metadata = self.provider.metadata().await.ok();
        let theirs = metadata.and_then(|metadata| metadata.end_session_url(&asked).ok());
        match (session, theirs) {
            (Some(_), Some(url)) => redirect(url.as_str()),
            _ => redirect(&home?),
        }
    }
}

impl Visit<'_> {
    /// Whether a foreign page makes a browser send this on the strength of its session.
    pub(crate) fn is_forged(&self) -> bool {
        self.session.is_some() && !self.is_meant
    }

    /// What a browser is told in place of a refusal: to sign in, or, when that would change nothing, why
    /// not. Nothing for a program.
    pub(crate) async fn instead(
        &self,
        rule: &Rule,
        rejection: &Rejection,
        page_asked: (&str, Option<&str>),
        now: Timestamp,
    ) -> Option<Response<Download>> {
        let Access::Token(wanted) = &rule.route.access else {
            return None;
        };
        if !self.opens_a_page {
            return None;
        }
        let status = rejection.status();
        if matches!(rejection, Rejection::StepUp(_)) {
            // Signing in again would not change it.
            return Some(self.not_for_them(IN_A_TERMINAL));
        }
        if let Some(session) = &self.session {
            let stronger = match rejection {
                Rejection::InsufficientUserAuthentication { .. } => Some(Asked::by(wanted)),
                _ => None,
            };
            if status == StatusCode::FORBIDDEN {
                return Some(self.not_for_them("You are signed in, but this page is not for you."));
            }
            if status == StatusCode::UNAUTHORIZED
                && session.would_be_in_vain(stronger.as_ref(), now)
            {
                return Some(self.not_for_them(
                    "You have signed in, but not in the way that this page asks for.",
                ));
            }
        }
        if status != StatusCode::UNAUTHORIZED {
            return None;
        }
        let sign_in = self.sign_in;
        let begun = sign_in
            .begin(&self.ours, self.origin, wanted, page_asked, now)
            .await?;
        Some(begun.unwrap_or_else(|failure| attempt::not_begun(&failure)))
    }

    fn not_for_them(&self, words: &str) -> Response<Download> {
        let sign_out = format!("{}{SIGN_OUT}", self.sign_in.wanted.prefix);
        page(
            StatusCode::FORBIDDEN,
            "You may not see this page",
            &[words],
            Some((&sign_out, "Sign out")),
        )
    }

    /// Takes out of an upstream's answer what looks like a cookie of ours.
    pub(crate) fn cleanse(&self, headers: &mut HeaderMap) {
        cookies::take_set(headers, &self.sign_in.wanted.cookie_name);
    }

    /// Puts into an answer what the browser is to keep, whatever was decided: tokens that were replaced
    /// are of no more use.
    pub(crate) fn complete(self, headers: &mut HeaderMap, now: Timestamp) {
        let Some(mut session) = self.session else {
            return;
        };
        if (session.touch(&self.sign_in.wanted, now) || self.is_renewed)
            && self
                .sign_in
                .keep(headers, &self.ours, self.origin, session, now)
        {
            // No cache may give it to anybody else.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        } else if !headers.contains_key(CACHE_CONTROL) {
            // The request had no `Authorization`, which would have told caches that it is somebody's own
            // (RFC 9111, section 3.5).
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }
}

/// An answer that sends a browser to another page.
fn redirect(address: &str) -> Option<Response<Download>> {
    let mut response = Response::new(Download::Empty);
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(address).ok()?);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    discreet(headers);
    Some(response)
}

fn refused(status: StatusCode, code: &'static str) -> Answered {
    let mut response = Response::new(Download::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    discreet(headers);
    Answered {
        response,
        refused: Some(String::new()),
        code,
        caller: None,
    }
}

/// An error and what is behind it, in one line for the audit log.
fn chain(error: &dyn StdError) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.dedup();
    words.join(": ")
}
