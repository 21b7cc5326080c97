//! The code that a person carries from the terminal to the browser.
//!
//! Eight letters of an alphabet without vowels (no words) and without letters
//! that look alike (RFC 8628, section 6.1): 20^8 values, 34.6 bits. It is
//! drawn apart from the device code and says nothing about it.

use countersign_jose::{CryptoError, CryptoProvider};

const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// A fresh code: eight letters, no dash.
pub(super) fn generate(provider: &CryptoProvider) -> Result<String, CryptoError> {
    let mut code = String::with_capacity(LENGTH);
    let mut bytes = [0_u8; 16];
    while code.len() < LENGTH {
        provider.fill_random(&mut bytes)?;
        // 240 is the largest multiple of 20 in a byte: what is above would
        // make the first letters likelier than the others.
        let letters = bytes.iter().filter(|&&byte| byte < 240);
        code.extend(
            letters
                .filter_map(|&byte| ALPHABET.get(usize::from(byte % 20)))
                .map(|&letter| char::from(letter))
                .take(LENGTH - code.len()),
        );
    }
    Ok(code)
}

/// What was typed, as the code rests: upper case, without dashes, spaces or
/// anything else that is no letter or digit. `None` when it cannot be a code.
pub(crate) fn normalise(input: &str) -> Option<String> {
    // A bound, so that nobody has a megabyte normalised.
    if input.len() > 64 {
        return None;
    }
    let code: String = input
        .chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let fits = code.len() == LENGTH && code.bytes().all(|letter| ALPHABET.contains(&letter));
    fits.then_some(code)
}

/// The code as it is shown: `XXXX-XXXX`.
pub(crate) fn display(code: &str) -> String {
    match code.split_at_checked(LENGTH / 2) {
        Some((left, right)) => format!("{left}-{right}"),
        None => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use countersign_jose::crypto::aws_lc;

    use super::*;

    #[test]
    fn codes_have_eight_letters_and_use_the_whole_alphabet() {
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let code = generate(aws_lc::provider()).unwrap();
            assert_eq!(normalise(&code).as_deref(), Some(code.as_str()));
            seen.extend(code.bytes());
        }
        assert_eq!(seen.len(), ALPHABET.len());
    }

    #[test]
    fn a_code_may_be_typed_in_any_case_with_or_without_dash_and_spaces() {
        for typed in [
            "BCDF-GHJK",
            "bcdfghjk",
            " b c d f – g h j k ",
            "Bcdf.Ghjk\n",
            "bcdf_ghjk",
        ] {
            assert_eq!(normalise(typed).as_deref(), Some("BCDFGHJK"), "{typed:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_code_is_not_looked_up() {
        let long = "B".repeat(65);
        for typed in [
            "",
            "BCDF",
            "BCDFGHJKL",
            "BCDFGHJA",
            "BCDFGHJ1",
            "BCDFGHJÉ",
            long.as_str(),
        ] {
            assert_eq!(normalise(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn codes_are_shown_in_two_groups_of_four() {
        assert_eq!(display("BCDFGHJK"), "BCDF-GHJK");
    }
}
