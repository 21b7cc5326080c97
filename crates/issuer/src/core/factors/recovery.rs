//! Recovery codes: ten, on paper, each good once.
//!
//! A code is twelve letters and digits, `k7qm-2xwf-9d3h`: 60 random bits. What
//! rests is a MAC of it under the key that lies beside the database, so that a
//! copy of the database alone cannot be searched for them.

use countersign_oauth::Secret;
use zeroize::Zeroizing;

use crate::core::{Core, Digest, Error};

/// How many codes somebody gets.
pub(super) const CODES: usize = 10;
/// Letters of a code.
const LENGTH: usize = 12;
/// What is not mistaken for something else on paper: no `i`, `l`, `o` and `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DOMAIN: &[u8] = b"countersign recovery code v1\0";

impl Core {
    /// Fresh codes, and what rests of them.
    pub(super) fn make_recovery_codes(
        &self,
        account_id: &str,
    ) -> Result<(Vec<Secret>, Vec<Digest>), Error> {
        let mut codes = Vec::with_capacity(CODES);
        let mut digests = Vec::with_capacity(CODES);
        for _ in 0..CODES {
            let mut random = Zeroizing::new([0_u8; LENGTH]);
            self.provider.fill_random(random.as_mut_slice())?;
            let mut code = Zeroizing::new(String::with_capacity(LENGTH));
            // 256 is a multiple of 32, so every letter is as likely.
            code.extend(random.iter().filter_map(|byte| {
                let letter = ALPHABET.get(usize::from(byte % 32))?;
                Some(char::from(*letter))
            }));
            digests.push(self.recovery_digest(account_id, &code));
            codes.push(Secret::from(shown(&code)));
        }
        Ok((codes, digests))
    }

    /// What rests of a code, as [`normalise`] gives it.
    pub(super) fn recovery_digest(&self, account_id: &str, code: &str) -> Digest {
        let mut message = Zeroizing::new(DOMAIN.to_vec());
        message.extend_from_slice(code.as_bytes());
        message.extend_from_slice(account_id.as_bytes());
        self.provider.hmac_sha256(self.keys().token_key(), &message)
    }
}

/// A code as it is written down.
fn shown(code: &str) -> String {
    let mut shown = String::with_capacity(LENGTH + 2);
    for (at, letter) in code.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            shown.push('-');
        }
        shown.push(letter);
    }
    shown
}

/// Reads what somebody copied from paper: any case, with or without dashes and
/// spaces, and the letters that are not in the alphabet for those they look
/// like. `None` when it is no code.
pub(super) fn normalise(typed: &str) -> Option<Zeroizing<String>> {
    if typed.len() > 64 {
        return None;
    }
    let mut code = Zeroizing::new(String::with_capacity(typed.len()));
    for letter in typed.chars().map(|letter| letter.to_ascii_lowercase()) {
        let letter = match letter {
            ' ' | '-' | '\t' | '\r' | '\n' => continue,
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        if !u8::try_from(letter).is_ok_and(|byte| ALPHABET.contains(&byte)) {
            return None;
        }
        code.push(letter);
    }
    (code.len() == LENGTH).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_was_copied() {
        let code = normalise("k7qm-2xwf-9d01").unwrap();
        assert_eq!(shown(&code), "k7qm-2xwf-9d01");
        for typed in [
            "K7QM 2XWF 9D01",
            "k7qm2xwf9d01",
            " k7qm-2xwf-9dOl\n",
            "k7qm-2xwf-9dOI",
        ] {
            assert_eq!(normalise(typed).unwrap(), code, "{typed}");
        }
        for typed in [
            "",
            "123456",
            "k7qm-2xwf-9d0",
            "k7qm-2xwf-9d01u",
            "k7qm-2xwf-9du1",
            "k7qm–2xwf–9d01",
        ] {
            assert!(normalise(typed).is_none(), "{typed}");
        }
    }
}
