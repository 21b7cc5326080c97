//! What a client may be registered with.
//!
//! A redirect URI is where codes are sent, so only places are taken that a
//! stranger cannot easily stand in for: `https`, this machine's loopback
//! (RFC 8252, section 7.3), and schemes that are a domain name backwards
//! (section 7.1), which the operating system gives to one application. What is
//! registered is compared letter for letter later on, so it is not normalised.

use countersign_jose::{CryptoProvider, KeySet};
use url::Url;

use super::redirect;
use super::{GrantType, NewAuthentication, NewClient, SCOPES};

/// The most redirect URIs of a client, of each kind, and the longest, in bytes.
const MOST_URIS: usize = 32;
const LONGEST_URI: usize = 512;

/// Why a client cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientRejected {
    /// RFC 6749, appendix A.1 allows all visible ASCII; what also needs no
    /// quoting in a shell, a URL or HTTP Basic is enough.
    #[error("a client identifier has 1 to 128 letters, digits and . _ ~ - /")]
    IdMalformed,
    /// The `sub` of a client's own tokens could be taken for a person's
    /// (RFC 9068, section 5).
    #[error("this client identifier is the subject of an account")]
    IdIsASubject,
    /// Too many redirect URIs of one kind.
    #[error("a client has at most 32 redirect URIs of each kind")]
    TooManyUris,
    /// This one cannot be a redirect URI.
    #[error("{uri} cannot be a redirect URI: {problem}")]
    RedirectUri {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        problem: UriProblem,
    },
    /// The JWK set is not one, or has keys that cannot be used.
    #[error("the JWK set cannot be used")]
    Jwks(#[source] JwksProblem),
    /// It wants tokens in its own name and proves it to nobody.
    #[error("a public client cannot get tokens in its own name")]
    PublicClientCredentials,
    /// It is a resource server, and anybody can say to be it.
    #[error("a public client cannot exchange tokens that others send it")]
    PublicServes,
    /// It is a resource server and may not exchange what it is sent.
    #[error("what a client serves is for one that exchanges tokens")]
    ServesWithoutUse,
    /// It has scopes of its own and no way to ask for them.
    #[error("scopes of its own are for a client that gets tokens in its own name")]
    ScopesWithoutUse,
    /// One of its own scopes is about a person.
    #[error("the scope {0} is about a person, and a client's own tokens are about none")]
    ScopeOfAPerson(&'static str),
}

/// What is wrong with a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriProblem {
    /// Not absolute, too long, or with characters that URIs do not have.
    #[error("it is not an absolute URI of at most 512 characters")]
    Malformed,
    /// RFC 6749, section 3.1.2.
    #[error("it has a fragment")]
    Fragment,
    /// Not as a browser writes it: a person who is shown it would read another
    /// address than the browser goes to.
    #[error("a browser would write it in another way")]
    Spelling,
    /// A name or password before the host.
    #[error("it has a user name in it")]
    UserInfo,
    /// Codes would go over the network unencrypted.
    #[error("http is for 127.0.0.1, [::1] and localhost")]
    PlainHttp,
    /// RFC 8252, section 7.1 and 8.4.
    #[error("a scheme of one's own is a domain name backwards, as in com.example.app:/callback")]
    Scheme,
}

/// What is wrong with a JWK set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksProblem {
    /// It is no JWK set.
    #[error(transparent)]
    Malformed(countersign_jose::Error),
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
    /// Key number so many, counted from 1, cannot be used: a private one, above
    /// all.
    #[error("key number {number} cannot be used")]
    Key {
        /// Its place.
        number: usize,
        /// What is wrong with it.
        source: countersign_jose::KeyProblem,
    },
}

/// Checks all that can be checked of a client by itself.
pub(super) fn check(
    client: &NewClient,
    provider: &'static CryptoProvider,
) -> Result<(), ClientRejected> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~-/".contains(c);
    if !(1..=128).contains(&client.id.len()) || !client.id.chars().all(plain) {
        return Err(ClientRejected::IdMalformed);
    }
    for uris in [&client.redirect_uris, &client.post_logout_redirect_uris] {
        if uris.len() > MOST_URIS {
            return Err(ClientRejected::TooManyUris);
        }
        for uri in uris {
            check_uri(uri).map_err(|problem| ClientRejected::RedirectUri {
                uri: uri.clone(),
                problem,
            })?;
        }
    }
    if let NewAuthentication::PrivateKeyJwt(jwks) = &client.authentication {
        check_jwks(jwks, provider).map_err(ClientRejected::Jwks)?;
    }
    let acts_for_itself = client.grant_types.contains(&GrantType::ClientCredentials);
    if acts_for_itself && matches!(client.authentication, NewAuthentication::Public) {
        return Err(ClientRejected::PublicClientCredentials);
    }
    if !client.serves.is_empty() {
        if matches!(client.authentication, NewAuthentication::Public) {
            return Err(ClientRejected::PublicServes);
        }
        if !client.grant_types.contains(&GrantType::TokenExchange) {
            return Err(ClientRejected::ServesWithoutUse);
        }
    }
    if !acts_for_itself && !client.scopes.is_empty() {
        return Err(ClientRejected::ScopesWithoutUse);
    }
    match SCOPES.iter().find(|scope| client.scopes.contains(scope)) {
        Some(scope) => Err(ClientRejected::ScopeOfAPerson(scope)),
        None => Ok(()),
    }
}

fn check_uri(uri: &str) -> Result<(), UriProblem> {
    let printable = uri.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable || uri.len() > LONGEST_URI {
        return Err(UriProblem::Malformed);
    }
    let url = Url::parse(uri).map_err(|_| UriProblem::Malformed)?;
    if uri.contains('#') {
        return Err(UriProblem::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UriProblem::UserInfo);
    }
    match url.scheme() {
        "https" => {}
        "http" if redirect::is_loopback(url.as_str()) => {}
        "http" => return Err(UriProblem::PlainHttp),
        scheme if scheme.contains('.') && !url.has_authority() => {}
        _ => return Err(UriProblem::Scheme),
    }
    // The empty path of `https://host` is written as a slash.
    let written = url.as_str();
    if written == uri || written.strip_suffix('/') == Some(uri) {
        Ok(())
    } else {
        Err(UriProblem::Spelling)
    }
}

fn check_jwks(jwks: &str, provider: &'static CryptoProvider) -> Result<(), JwksProblem> {
    let keys = KeySet::from_json(jwks.as_bytes(), provider).map_err(JwksProblem::Malformed)?;
    if let Some(skipped) = keys.skipped().first() {
        return Err(JwksProblem::Key {
            number: skipped.index() + 1,
            source: skipped.problem().clone(),
        });
    }
    if keys.keys().is_empty() {
        return Err(JwksProblem::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_to_https_loopback_and_schemes_of_ones_own() {
        for uri in [
            "https://app.example/callback?tenant=1",
            "https://app.example",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:6363/",
            "http://[::1]/",
            "http://localhost:6363",
            "com.example.app:/callback",
        ] {
            assert_eq!(check_uri(uri), Ok(()), "{uri}");
        }
        for (uri, problem) in [
            ("", UriProblem::Malformed),
            ("/callback", UriProblem::Malformed),
            ("https://", UriProblem::Malformed),
            ("https://app.example/a b", UriProblem::Malformed),
            ("https://app.example/\u{e4}", UriProblem::Malformed),
            ("https://app.example/#", UriProblem::Fragment),
            ("https://app.example/#x", UriProblem::Fragment),
            ("https://app.example@evil.example/", UriProblem::UserInfo),
            (r"https://app.example\@evil.example/", UriProblem::Spelling),
            ("https://app.example/a/../callback", UriProblem::Spelling),
            ("https://app.example:443/", UriProblem::Spelling),
            ("https://APP.example/", UriProblem::Spelling),
            ("https:app.example/", UriProblem::Spelling),
            ("https://app.example/<b>", UriProblem::Spelling),
            ("http://127.1/", UriProblem::Spelling),
            ("http://[0:0:0:0:0:0:0:1]/", UriProblem::Spelling),
            ("http://app.example/", UriProblem::PlainHttp),
            ("http://127.0.0.1.evil.example/", UriProblem::PlainHttp),
            ("http://localhost.evil.example/", UriProblem::PlainHttp),
            ("http://0.0.0.0/", UriProblem::PlainHttp),
            ("http://127.0.0.2/", UriProblem::PlainHttp),
            ("javascript:alert(1)", UriProblem::Scheme),
            ("data:text/html,x", UriProblem::Scheme),
            ("file:///etc/passwd", UriProblem::Scheme),
            ("urn:ietf:wg:oauth:2.0:oob", UriProblem::Scheme),
            ("myapp:/callback", UriProblem::Scheme),
            ("com.example.app://callback", UriProblem::Scheme),
        ] {
            assert_eq!(check_uri(uri), Err(problem), "{uri}");
        }
        let long = format!("https://app.example/{}", "x".repeat(LONGEST_URI));
        assert_eq!(check_uri(&long), Err(UriProblem::Malformed));
    }
}
