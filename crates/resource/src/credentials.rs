//! The token in the `Authorization` header (RFC 6750, section 2.1; RFC 9449,
//! section 7.1).
//!
//! The other two methods of RFC 6750 are not honoured: a token in the form
//! body (section 2.2) would make us read bodies that are not ours, and one in
//! the query (section 2.3) ends up in logs. A request that uses the query *as
//! well* is refused, because section 2 allows one method only.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

use crate::Rejection;

/// The token of a request, and how it says that it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials<'r> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'r str,
}

/// The schemes that carry an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750, section 2.1.
    Bearer,
    /// RFC 9449, section 7.1: with a proof in another header.
    Dpop,
}

/// Finds the one access token of a request.
///
/// # Errors
///
/// [`Rejection::NoCredentials`] when there is no `Authorization` header or it
/// speaks another scheme, [`Rejection::SeveralCredentials`] when there is more
/// than one, [`Rejection::MalformedCredentials`] when the header is not of the
/// form `Bearer <b64token>` or `DPoP <token68>`, which is the same.
pub(crate) fn credentials<'r>(
    headers: &'r HeaderMap,
    uri: &Uri,
) -> Result<Credentials<'r>, Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Rejection::NoCredentials);
    };
    if values.next().is_some() || has_query_token(uri) {
        return Err(Rejection::SeveralCredentials);
    }
    // No header holds control characters, so ASCII is what is left to ask for.
    let value = std::str::from_utf8(value.as_bytes()).ok();
    let value = value
        .filter(|value| value.is_ascii())
        .ok_or(Rejection::MalformedCredentials)?
        .trim_matches([' ', '\t']);

    // `credentials = auth-scheme [ 1*SP ( token68 / … ) ]`, and the scheme is
    // compared without regard to case (RFC 9110, sections 11.1 and 11.4).
    let (scheme, token) = value.split_at(value.find([' ', '\t']).unwrap_or(value.len()));
    let scheme = if scheme.eq_ignore_ascii_case("Bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("DPoP") {
        Scheme::Dpop
    } else {
        return Err(Rejection::NoCredentials);
    };
    let token = token.trim_start_matches(' ');
    if is_b64token(token) {
        Ok(Credentials { scheme, token })
    } else {
        Err(Rejection::MalformedCredentials)
    }
}

/// Whether the query holds an `access_token` (RFC 6750, section 2.3).
fn has_query_token(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
    })
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
/// (RFC 6750, section 2.1).
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=').as_bytes();
    // Without a way out at the first wrong byte, many are looked at at once; else this would take as
    // long as the digest of the token.
    let wrong = |wrong, byte: &u8| wrong | u8::from(!is_b64(*byte));
    !body.is_empty() && body.iter().fold(0, wrong) == 0
}

fn is_b64(byte: u8) -> bool {
    // The digits and most of the signs lie together, and a comma among them.
    (matches!(byte, b'+'..=b'9') && byte != b',')
        || byte.is_ascii_alphabetic()
        || byte == b'_'
        || byte == b'~'
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// What a request with these `Authorization` values yields, as a word.
    fn found(values: &[&str]) -> String {
        found_at("/hello", values)
    }

    fn found_at(uri: &'static str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                AUTHORIZATION,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        match credentials(&headers, &Uri::from_static(uri)) {
            Ok(found) => match found.scheme {
                Scheme::Bearer => found.token.to_owned(),
                Scheme::Dpop => format!("proved {}", found.token),
            },
            Err(rejection) => format!("! {}", rejection.code()),
        }
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_the_scheme() {
        for value in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER a.b.c",
            "bEaReR a.b.c",
        ] {
            assert_eq!(found(&[value]), "a.b.c", "{value:?}");
        }
    }

    #[test]
    fn a_token_that_comes_with_a_proof_says_so_by_its_scheme() {
        assert_eq!(found(&["DPoP a.b.c"]), "proved a.b.c");
        assert_eq!(found(&["dpop  a.b.c"]), "proved a.b.c");
        assert_eq!(found(&["DPoP"]), "! malformed_credentials");
        assert_eq!(found(&["DPoP a", "Bearer a"]), "! several_credentials");
    }

    #[test]
    fn spaces_around_the_token_are_not_part_of_it() {
        for value in [
            "Bearer   a.b.c",
            "Bearer a.b.c  ",
            "  Bearer a.b.c",
            "Bearer a.b.c\t",
        ] {
            assert_eq!(found(&[value]), "a.b.c", "{value:?}");
        }
    }

    #[test]
    fn every_character_of_a_b64token_passes() {
        assert_eq!(found(&["Bearer aZ09-._~+/=="]), "aZ09-._~+/==");
        for byte in 0..=u8::MAX {
            let is_named = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64(byte), is_named, "{byte:#x}");
        }
    }

    #[test]
    fn one_wrong_character_anywhere_is_found() {
        for place in 0..100 {
            let mut token = "a".repeat(100);
            token.replace_range(place..=place, ",");
            assert_eq!(
                found(&[&format!("Bearer {token}")]),
                "! malformed_credentials"
            );
        }
    }

    #[test]
    fn a_request_without_credentials_for_us_has_none() {
        assert_eq!(found(&[]), "! no_credentials");
        for value in [
            "",
            "Basic YWRhOnB3",
            "Bearertoken",
            "DPoP-x a.b.c",
            "Bearer,a.b.c",
        ] {
            assert_eq!(found(&[value]), "! no_credentials", "{value:?}");
        }
    }

    #[test]
    fn a_bearer_header_of_another_form_is_malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a b",
            "Bearer a,Bearer b",
            "Bearer \"a.b.c\"",
            "Bearer\ta.b.c",
            "Bearer token=a",
            "Bearer a=b",
            "Bearer é",
        ] {
            assert_eq!(found(&[value]), "! malformed_credentials", "{value:?}");
        }
    }

    #[test]
    fn two_authorization_headers_are_refused_even_when_one_is_of_another_scheme() {
        for values in [
            ["Bearer a", "Bearer a"],
            ["Bearer a", "Basic b"],
            ["Basic b", "Bearer a"],
        ] {
            assert_eq!(found(&values), "! several_credentials", "{values:?}");
        }
    }

    #[test]
    fn a_token_in_header_and_query_is_refused() {
        for uri in [
            "/hello?access_token=a",
            "/hello?x=1&access_token=a",
            "/hello?access%5Ftoken=a",
        ] {
            assert_eq!(
                found_at(uri, &["Bearer a"]),
                "! several_credentials",
                "{uri}"
            );
        }
        assert_eq!(found_at("/hello?my_access_token=a", &["Bearer a"]), "a");
    }

    #[test]
    fn a_token_in_the_query_alone_is_not_honoured() {
        assert_eq!(
            found_at("/hello?access_token=a.b.c", &[]),
            "! no_credentials"
        );
    }
}
