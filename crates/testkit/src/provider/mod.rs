//! A scripted OpenID provider: well behaved until it is told not to be.
//!
//! It serves discovery at both well-known places, a key set, the device grant, the code grant with
//! PKCE, pushed requests, DPoP for clients that bring a proof, refresh with rotation, userinfo and
//! revocation, and approves by itself. A test then spoils one thing: a member of a document (`edit`),
//! a claim (`edit_id_token`), the signature (`sign_with`), the way back to the client
//! (`edit_authorization_response`, `deny`), or a whole answer (`first`, `always`, `check`); or makes it
//! stricter than it needs to be (`demand_…`).
//!
//! Not responsible for: being secure, or having pages.

mod client;
mod code;
mod dpop;
mod endpoint;
mod state;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

pub use client::ClientAuthentication;
pub use endpoint::Endpoint;

use self::state::State;
use crate::{HttpServer, Key, Reply, Request, Signature};

/// A scripted provider on a free port of 127.0.0.1. The subject is always `ada`.
pub struct Provider {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// Starts a well-behaved provider.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub fn start() -> Self {
        let server = HttpServer::start();
        let issuer = server.origin();
        Self::serve(server, issuer, &[])
    }

    /// Starts one on another address of this computer, and on no other.
    ///
    /// # Panics
    /// When no port can be had there.
    pub fn start_on(address: IpAddr) -> Self {
        let server = HttpServer::start_on(address);
        let issuer = server.origin();
        Self::serve(server, issuer, &[])
    }

    /// Starts one that calls itself by this name, with endpoints at these addresses and all others
    /// below the name. The names have to be led here by the test: through a proxy, for example.
    ///
    /// # Panics
    /// When no loopback port can be had, or an address is none.
    pub fn start_as(issuer: &str, elsewhere: &[(Endpoint, &str)]) -> Self {
        Self::serve(HttpServer::start(), issuer.to_owned(), elsewhere)
    }

    fn serve(server: HttpServer, issuer: String, elsewhere: &[(Endpoint, &str)]) -> Self {
        let state = State::new(issuer, elsewhere);
        let paths = Endpoint::ALL.map(|endpoint| (endpoint, state.path(endpoint)));
        let state = Arc::new(Mutex::new(state));
        for (endpoint, path) in paths {
            let state = Arc::clone(&state);
            server.on_fn(endpoint.method(), &path, move |request| {
                lock(&state).answer(endpoint, request)
            });
        }
        Self { server, state }
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> String {
        lock(&self.state).issuer.clone()
    }

    /// The server beneath, with everything that was asked of it.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// The address of an endpoint, as the metadata has it.
    pub fn url(&self, endpoint: Endpoint) -> String {
        lock(&self.state).url(endpoint)
    }

    /// What was asked of one endpoint so far.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<Request> {
        let path = lock(&self.state).path(endpoint);
        self.server.requests_to(&path)
    }

    /// Every secret handed out so far (codes, tokens): none of them may ever be printed.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.state).secrets.clone()
    }

    /// Changes each JSON answer of an endpoint that would have been a success.
    pub fn edit<F>(&self, endpoint: Endpoint, edit: F)
    where
        F: FnMut(&mut Value) + Send,
        F: 'static,
    {
        lock(&self.state)
            .edits
            .entry(endpoint)
            .or_default()
            .push(Box::new(edit));
    }

    /// Looks at each request to an endpoint first; what it returns is the answer.
    pub fn check<F>(&self, endpoint: Endpoint, check: F)
    where
        F: FnMut(&Request) -> Option<Reply> + Send,
        F: 'static,
    {
        lock(&self.state)
            .checks
            .entry(endpoint)
            .or_default()
            .push(Box::new(check));
    }

    /// Looks at each successful answer of an endpoint before it is sent: the provider has acted on the
    /// request, whatever the client hears of it.
    pub fn deliver<F>(&self, endpoint: Endpoint, deliver: F)
    where
        F: FnMut(&Request, Reply) -> Reply + Send,
        F: 'static,
    {
        lock(&self.state)
            .deliveries
            .insert(endpoint, Box::new(deliver));
    }

    /// Changes the header and claims of each ID token before it is signed.
    pub fn edit_id_token<F>(&self, edit: F)
    where
        F: FnMut(&mut Value, &mut Value) + Send,
        F: 'static,
    {
        lock(&self.state).id_token_edits.push(Box::new(edit));
    }

    /// Changes the members of each authorization response before the browser is sent back with it.
    pub fn edit_authorization_response<F>(&self, edit: F)
    where
        F: FnMut(&mut Vec<(String, String)>) + Send,
        F: 'static,
    {
        lock(&self.state).response_edits.push(Box::new(edit));
    }

    /// Sends browsers back with this error from now on (RFC 6749, section 4.1.2.1).
    pub fn deny(&self, error: &str, description: Option<&str>) {
        let mut denial = vec![("error".to_owned(), error.to_owned())];
        denial.extend(description.map(|text| ("error_description".to_owned(), text.to_owned())));
        lock(&self.state).denial = Some(denial);
    }

    /// Signs ID tokens in this way from now on.
    pub fn sign_with(&self, signature: Signature) {
        lock(&self.state).signature = signature;
    }

    /// Signs with a new key from now on; the old ones stay published.
    pub fn rotate_keys(&self) {
        let mut state = lock(&self.state);
        let kid = format!("key-{}", state.keys.len() + 1);
        state.keys.push(Key::generate(&kid));
    }

    /// Says with every answer what time it is (RFC 9110, section 6.6.1).
    pub fn tell_the_time(&self) {
        lock(&self.state).tells_the_time = true;
    }

    /// Publishes these keys and no other; the last one signs.
    pub fn set_keys(&self, keys: Vec<Key>) {
        lock(&self.state).keys = keys;
    }

    /// Says `authorization_pending` so many times for each device code before approving it.
    pub fn pending_polls(&self, count: usize) {
        lock(&self.state).pending_polls = count;
    }

    /// Gives a refresh token only to those who asked for `offline_access`.
    pub fn refresh_when_asked(&self) {
        lock(&self.state).refresh_when_asked = true;
    }

    /// Lets refresh tokens stay as they are: renewal brings no new one, and takes the same one again.
    pub fn keep_refresh_tokens(&self) {
        lock(&self.state).refresh_tokens_stay = true;
    }

    /// Ends a whole login when a refresh token is used a second time, unless that is within `grace` of the
    /// first and nobody has used the one it brought: then it brings that one again.
    pub fn revoke_on_reuse(&self, grace: Duration) {
        lock(&self.state).grace = Some(grace);
    }

    /// How many logins were ended because a refresh token was used a second time.
    pub fn reuses(&self) -> usize {
        lock(&self.state).reuses
    }

    /// Lets clients in only if they prove in this way who they are.
    pub fn demand_authentication(&self, authentication: ClientAuthentication) {
        let mut state = lock(&self.state);
        if let ClientAuthentication::SecretBasic(secret)
        | ClientAuthentication::SecretPost(secret) = &authentication
        {
            state.secrets.push(secret.clone());
        }
        state.demands.authentication = authentication;
    }

    /// Takes authorization requests only if they were pushed (RFC 9126).
    pub fn demand_par(&self) {
        lock(&self.state).demands.par = true;
    }

    /// Gives tokens only to those who prove to have a key (RFC 9449).
    pub fn demand_dpop(&self) {
        lock(&self.state).demands.dpop = true;
    }

    /// Takes proofs only with its newest nonce, which is a new one from now on.
    pub fn renew_dpop_nonce(&self) {
        let mut state = lock(&self.state);
        let number = state.proofs.len();
        state.demands.dpop_nonce = Some(dpop::nonce(number));
    }

    /// Answers the next requests to an endpoint with these replies, then behaves again.
    pub fn first(&self, endpoint: Endpoint, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.state)
            .first
            .entry(endpoint)
            .or_default()
            .extend(replies);
    }

    /// Answers every request to an endpoint with this reply.
    pub fn always(&self, endpoint: Endpoint, reply: Reply) {
        lock(&self.state).always.insert(endpoint, reply);
    }

    /// Behaves again at this endpoint: takes back `first`, `always`, `check`, `edit` and
    /// `deliver`.
    pub fn behave(&self, endpoint: Endpoint) {
        let mut state = lock(&self.state);
        state.first.remove(&endpoint);
        state.always.remove(&endpoint);
        state.checks.remove(&endpoint);
        state.deliveries.remove(&endpoint);
        state.edits.remove(&endpoint);
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self::start()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
