//! The person decides about an authorization request, and a code is made
//! (RFC 6749, sections 4.1.1 and 4.1.2).

use countersign_jose::Timestamp;

use super::{
    AuthorizationCode, AuthorizationProblem, AuthorizationRequest, AuthorizationResponse,
    BrowserSession, Core, Error, Refusal, Unanswerable,
};

impl Core {
    /// Approves a request in the name of the session's account: the answer
    /// with a code in it.
    pub async fn approve_authorization(
        &self,
        request: &AuthorizationRequest,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<AuthorizationResponse, AuthorizationProblem> {
        let code = self.random_secret()?;
        let record = AuthorizationCode {
            code: self.digest(code.expose()),
            client_id: request.client.id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            code_challenge: request.asked.code_challenge,
            nonce: request.asked.nonce.clone(),
            scopes: request.asked.scopes.clone(),
            audiences: request.asked.audiences.clone(),
            account_id: session.account.id.clone(),
            authentication: session.authentication().told_to(&request.asked.demands),
            dpop_jkt: request.asked.dpop_jkt.clone(),
            expires_at: now + self.lifetimes.authorization_code,
            redeemed_as: None,
        };
        let pushed = request.begun.pushed;
        let session_id = session.id;
        let approved = self.store.write(move |records| {
            // As it is now: a page may have been open for long.
            let account = records.account(&record.account_id)?;
            if account.is_none_or(|account| account.disabled) {
                return Ok(false);
            }
            if records.session(&session_id)?.is_none() {
                return Ok(false);
            }
            // A pushed request is good for one code (RFC 9126, section 7.3).
            if let Some(pushed) = pushed
                && !records.remove_pushed_request(&pushed)?
            {
                return Ok(false);
            }
            records.add_code(&record)?;
            Ok(true)
        });
        if !approved.await? {
            return Err(Unanswerable::Gone.into());
        }
        let answer = vec![("code", code.expose())];
        let state = request.state.as_deref();
        Ok(self.response(&request.redirect_uri, state, answer))
    }

    /// Denies a request.
    pub async fn deny_authorization(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<AuthorizationResponse, Error> {
        if let Some(pushed) = request.begun.pushed {
            let removed = self
                .store
                .write(move |records| records.remove_pushed_request(&pushed));
            removed.await?;
        }
        Ok(self.refusal_of(request, Refusal::AccessDenied))
    }
}
