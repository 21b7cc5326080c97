//! Reading what a browser's form sent.
//!
//! Which fields a page wants, and what they mean, is the handlers' business.

use http::{HeaderMap, header};
use zeroize::Zeroizing;

/// The largest form body read, in bytes. The longest honest one is the first account's.
pub(super) const LIMIT: usize = 16 * 1024;

/// Why a body was not taken for a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormError {
    /// The content type is not `application/x-www-form-urlencoded`.
    MediaType,
    /// A name was given twice, or the bytes are not UTF-8 once decoded.
    Malformed,
}

/// The fields of one form. Values are wiped when dropped, for one of them may be a password.
pub(super) struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// Parses a form body.
    ///
    /// A field given twice is refused instead of picking one, so that no check upstream and
    /// this server can read the same request differently.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, FormError> {
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default();
        if !media_type
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        {
            return Err(FormError::MediaType);
        }
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            // The parser puts U+FFFD where the bytes were not UTF-8; no field of ours needs one.
            if value.contains('\u{fffd}') || fields.iter().any(|(known, _)| *known == name) {
                return Err(FormError::Malformed);
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(fields))
    }

    /// The value of `name`, empty when the form has no such field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form_headers() -> HeaderMap {
        HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded;charset=UTF-8"
                .parse()
                .unwrap(),
        )])
    }

    #[test]
    fn fields_are_decoded_and_an_absent_one_is_empty() {
        let fields = Fields::parse(&form_headers(), b"username=ada+l%C3%A9&x=").unwrap();
        assert_eq!(fields.text("username"), "ada lé");
        assert_eq!(fields.text("password"), "");
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        let twice = Fields::parse(&form_headers(), b"decision=deny&decision=approve");
        assert_eq!(twice.err(), Some(FormError::Malformed));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused() {
        let bytes = Fields::parse(&form_headers(), b"username=%ff");
        assert_eq!(bytes.err(), Some(FormError::Malformed));
    }

    #[test]
    fn another_media_type_is_refused() {
        let json = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            "text/plain; application/x-www-form-urlencoded"
                .parse()
                .unwrap(),
        )]);
        assert_eq!(
            Fields::parse(&json, b"a=b").err(),
            Some(FormError::MediaType)
        );
        assert_eq!(
            Fields::parse(&HeaderMap::new(), b"a=b").err(),
            Some(FormError::MediaType)
        );
    }
}
