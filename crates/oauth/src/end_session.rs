//! Where a browser session ends (OpenID Connect RP-Initiated Logout 1.0, section 2).

use url::Url;

use crate::error::Endpoint;
use crate::http::Form;
use crate::{Error, Metadata, Secret};

/// What a logout page is told (section 2). All of it is optional; a server asks the person what it does
/// not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndSessionRequest<'a> {
    /// `id_token_hint`: whose session it is.
    pub id_token_hint: Option<&'a Secret>,
    /// `client_id`.
    pub client_id: Option<&'a str>,
    /// `logout_hint`: whose session it is, in the server's own terms.
    pub logout_hint: Option<&'a str>,
    /// `post_logout_redirect_uri`, where the browser goes afterwards. It must be registered.
    pub post_logout_redirect_uri: Option<&'a str>,
    /// `state`, which comes back with it.
    pub state: Option<&'a str>,
}

impl Metadata {
    /// The address of the logout page for a browser. With a hint, it holds the ID token, and is not for
    /// logs.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no `end_session_endpoint`.
    pub fn end_session_url(&self, request: &EndSessionRequest<'_>) -> Result<Url, Error> {
        let mut url = self.endpoint(Endpoint::EndSession)?.clone();
        let mut form = Form::default();
        for (name, value) in [
            ("id_token_hint", request.id_token_hint.map(Secret::expose)),
            ("client_id", request.client_id),
            ("logout_hint", request.logout_hint),
            ("post_logout_redirect_uri", request.post_logout_redirect_uri),
            ("state", request.state),
        ] {
            if let Some(value) = value {
                form.add(name, value);
            }
        }
        form.append_to(&mut url);
        Ok(url)
    }
}
