//! What an authorization request says, before anybody has looked at it.

use std::fmt;

use url::form_urlencoded;

use super::Refusal;

/// The parameters that mean something here. Others are ignored (RFC 6749,
/// section 3.1), among them those that only voice a wish (`OpenID` Connect
/// Core 1.0, section 3.1.2.1): `display`, `ui_locales` and `claims_locales`. Of
/// `claims`, which the metadata does not offer, only an essential `acr` is heard.
const KNOWN: [&str; 21] = [
    "acr_values",
    "audience",
    "claims",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "id_token_hint",
    "login_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// The parameters of an authorization request (RFC 6749, section 4.1.1), each
/// as often as it was sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthorizationParameters(Vec<(String, String)>);

impl AuthorizationParameters {
    /// Reads a query or a form. One without a value is as if it were absent
    /// (RFC 6749, section 3.1).
    pub fn parse(encoded: &[u8]) -> Self {
        let known = form_urlencoded::parse(encoded)
            .filter(|(name, value)| !value.is_empty() && KNOWN.contains(&name.as_ref()));
        Self(
            known
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// Reads the fields of a form.
    pub fn from_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let known = fields.filter(|(name, value)| !value.is_empty() && KNOWN.contains(name));
        Self(
            known
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Says whose request this is, unless it says so itself; it may not be
    /// another client's.
    pub(super) fn set_client(&mut self, client_id: &str) -> Result<(), Refusal> {
        match self.one("client_id")? {
            Some(named) if named == client_id => Ok(()),
            Some(_) => Err(Refusal::InvalidRequest("client_id is another client's")),
            None => {
                self.0.push(("client_id".to_owned(), client_id.to_owned()));
                Ok(())
            }
        }
    }

    /// Binds the code of this request to a key (RFC 9449, section 10).
    pub(super) fn set_key(&mut self, thumbprint: &str) {
        self.0.push(("dpop_jkt".to_owned(), thumbprint.to_owned()));
    }

    /// The same parameters as a query.
    pub fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }

    /// The value of a parameter that may be given once (RFC 6749, section 3.1).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.values(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::InvalidRequest(
                "a parameter is given more than once",
            ));
        }
        Ok(value)
    }

    /// All values of a parameter that may be repeated (RFC 8707, section 2).
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.values(name).map(str::to_owned).collect()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The names alone: an ID token may be among the values.
impl fmt::Debug for AuthorizationParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(encoded: &str) -> AuthorizationParameters {
        AuthorizationParameters::parse(encoded.as_bytes())
    }

    #[test]
    fn what_means_nothing_here_is_dropped_however_often_it_comes() {
        let parameters = parameters("client_id=cli&x=1&x=2&ui_locales=de&state=a%26b&scope=");
        assert_eq!(parameters.encoded(), "client_id=cli&state=a%26b");
        assert_eq!(parameters.one("x"), Ok(None));
        assert_eq!(parameters.one("state"), Ok(Some("a&b")));
    }

    #[test]
    fn a_parameter_given_twice_is_refused_also_when_it_says_the_same() {
        let parameters = parameters("state=a&state=a&resource=b&resource=c");
        assert!(parameters.one("state").is_err());
        assert_eq!(parameters.all("resource"), ["b", "c"]);
    }

    #[test]
    fn what_is_written_out_is_read_back() {
        let first = parameters("state=%C3%A4+b&resource=a%3Fb&resource=c&nonce=%26");
        assert_eq!(parameters(&first.encoded()), first);
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", parameters("id_token_hint=canary&nonce=canary"));
        assert_eq!(shown, r#"["id_token_hint", "nonce"]"#);
    }
}
