//! What holds for everything that can come back from a browser, or be pasted.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{CallbackError, Error};
use proptest::prelude::*;
use url::form_urlencoded::{Serializer, byte_serialize};

/// Any code a server may give (RFC 6749, appendix A.11).
fn any_code() -> impl Strategy<Value = String> {
    "[ -~]{1,200}"
}

/// A code such as servers give: nothing in it can be taken for something else.
fn plain_code() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._~-]{8,200}"
}

/// Parameters nobody knows.
fn noise() -> impl Strategy<Value = Vec<(String, String)>> {
    let unknown = "[a-z_]{1,10}".prop_filter("known", |name| {
        let known = [
            "code",
            "state",
            "iss",
            "error",
            "error_description",
            "error_uri",
        ];
        !known.contains(&name.as_str())
    });
    prop::collection::vec((unknown, any::<String>()), 0..5)
}

fn encoded<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(pairs);
    query.finish()
}

proptest! {
    /// Whatever the code, the order and the company: it arrives as it was sent.
    #[test]
    fn a_code_survives_its_way_through_the_browser(
        code in any_code(),
        noise in noise(),
        turn in any::<prop::sample::Index>(),
    ) {
        let pending = pending();
        let state = state(&pending);
        let mut pairs = vec![("code", code.as_str()), ("state", state.as_str())];
        pairs.extend(noise.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let middle = turn.index(pairs.len());
        pairs.rotate_left(middle);
        let taken = pending.accept(&encoded(pairs)).unwrap();
        prop_assert_eq!(value(&pending, &taken), code);
    }

    /// Nothing is believed without our state, and nothing without it ends the sign-in.
    #[test]
    fn what_lacks_our_state_never_ends_a_sign_in(text in any::<String>(), guess in "[A-Za-z0-9_-]{0,60}") {
        let pending = pending();
        for text in [text.clone(), format!("code={text}&state={guess}"), format!("error={text}&state={guess}")] {
            let refused = pending.accept(&text).unwrap_err();
            prop_assert!(refused.is_stray(), "{:?}", refused);
        }
    }

    /// With our state, anything else around it: a code, or an error with a code and no control character.
    #[test]
    fn whatever_comes_with_our_state_has_a_name(text in any::<String>(), other in "[ -~]{0,100}") {
        let pending = pending();
        let state = state(&pending);
        for parameters in [
            format!("state={state}&{text}"),
            format!("{other}&state={state}"),
            format!("error={text}&error_description={other}&state={state}"),
            format!("code={text}&iss={other}&state={state}"),
        ] {
            match pending.accept(&parameters) {
                Ok(code) => prop_assert!(!value(&pending, &code).is_empty()),
                Err(error) => named(error)?,
            }
        }
    }

    /// Whatever is pasted, what is taken for a code is one.
    #[test]
    fn a_pasted_text_is_a_code_or_has_a_name(text in any::<String>(), ascii in "[ -~\r\n\t\u{1b}]{0,300}") {
        let pending = pending();
        for text in [text, ascii] {
            match pending.accept_pasted(&text) {
                Ok(code) => {
                    let code = value(&pending, &code);
                    prop_assert!(code.len() >= 8 && code.bytes().all(|b| b.is_ascii_graphic()));
                }
                Err(error) => {
                    prop_assert!(error.is_stray(), "{:?}", error);
                    named(error)?;
                }
            }
        }
    }

    /// However the line was broken and wrapped, the same code comes out.
    #[test]
    fn broken_lines_and_quotes_change_nothing(
        code in plain_code(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), "(\r?\n) {0,4}"), 0..4),
        quotes in prop::sample::select(vec![("", ""), ("'", "'"), ("\"", "\""), ("<", ">"), (" `", "`\n")]),
        whole in any::<bool>(),
    ) {
        let pending = pending();
        let mut text = if whole {
            format!("{REDIRECT_URI}?code={code}&state={}", state(&pending))
        } else {
            code.clone()
        };
        for (at, line_break) in breaks {
            text.insert_str(at.index(text.len() + 1), &line_break);
        }
        let text = format!("{}{text}{}", quotes.0, quotes.1);
        let taken = pending.accept_pasted(&text);
        prop_assert!(taken.is_ok(), "{:?}: {:?}", text, taken);
        prop_assert_eq!(value(&pending, &taken.unwrap()), code);
    }

    /// A bare code that is still percent-encoded is the code.
    #[test]
    fn an_encoded_code_is_decoded(code in "[A-Za-z0-9/+=*!._~-]{8,100}") {
        let pending = pending();
        let text: String = byte_serialize(code.as_bytes()).collect();
        let taken = pending.accept_pasted(&text).unwrap();
        prop_assert_eq!(value(&pending, &taken), code);
    }
}

/// An error has a code, prints in one clean line, and so do its causes and hints.
fn named(error: CallbackError) -> Result<(), TestCaseError> {
    prop_assert!(!error.code().is_empty());
    let error = Error::from(error);
    let mut lines = error.hints();
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    for line in lines {
        prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
    }
    Ok(())
}
