//! The grammar of `WWW-Authenticate` (RFC 9110, sections 5.6 and 11.2 to 11.6).

use super::Challenge;

/// Longer header values are refused unread.
const MAX_LEN: usize = 16 * 1024;

/// A header value that does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a WWW-Authenticate value: {reason} at byte {position}")]
pub struct Malformed {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, counted from the start of the value.
    pub position: usize,
}

/// Reads all challenges in one header value.
///
/// The grammar uses the comma twice, between challenges and between the parameters of one; what tells
/// them apart is that a parameter has `=` after its name. A parameter given twice is refused (RFC 9110,
/// section 11.2).
///
/// # Errors
/// [`Malformed`] if any part does not follow the grammar, or there is no challenge in it.
pub fn parse(value: &str) -> Result<Vec<Challenge>, Malformed> {
    let mut input = Input {
        bytes: value.as_bytes(),
        position: 0,
    };
    if value.len() > MAX_LEN {
        return Err(input.malformed("too long"));
    }
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        input.skip_list_separators();
        if input.is_at_end() {
            break;
        }
        let start = input.position;
        let name = input.token()?;
        let after_name = input.position;
        let had_space = input.skip_whitespace();
        if input.take(b'=') {
            // `=` directly after a name: a parameter of the challenge before.
            let Some(challenge) = challenges.last_mut() else {
                return Err(Malformed {
                    reason: "a parameter before any scheme",
                    position: start,
                });
            };
            if challenge.token68.is_some() {
                return Err(Malformed {
                    reason: "a parameter after a token68",
                    position: start,
                });
            }
            let param = (name.to_ascii_lowercase(), input.parameter_value()?);
            if challenge.param(&param.0).is_some() {
                return Err(Malformed {
                    reason: "a parameter given twice",
                    position: start,
                });
            }
            challenge.params.push(param);
        } else {
            let mut challenge = Challenge {
                scheme: name,
                token68: None,
                params: Vec::new(),
            };
            let ended = input.is_at_end() || input.peek() == Some(b',');
            if !ended {
                if !had_space {
                    return Err(Malformed {
                        reason: "unexpected character",
                        position: after_name,
                    });
                }
                challenge.token68 = input.token68();
                if challenge.token68.is_none() {
                    let start = input.position;
                    let name = input.token()?.to_ascii_lowercase();
                    input.skip_whitespace();
                    if !input.take(b'=') {
                        return Err(Malformed {
                            reason: "a name without a value",
                            position: start,
                        });
                    }
                    challenge.params.push((name, input.parameter_value()?));
                }
            }
            challenges.push(challenge);
        }
        input.skip_whitespace();
        if !input.is_at_end() && input.peek() != Some(b',') {
            return Err(input.malformed("a comma is missing"));
        }
    }
    if challenges.is_empty() {
        Err(input.malformed("no challenge"))
    } else {
        Ok(challenges)
    }
}

/// Whether `text` is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn is_token68_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)
}

struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Input<'_> {
    fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed {
            reason,
            position: self.position,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) -> &str {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        self.position += length;
        let skipped = rest.get(..length).unwrap_or_default();
        // Only called for ASCII, where every slice is text.
        std::str::from_utf8(skipped).unwrap_or_default()
    }

    fn skip_whitespace(&mut self) -> bool {
        !self.skip_while(|b| matches!(b, b' ' | b'\t')).is_empty()
    }

    /// Empty list elements are allowed (RFC 9110, section 5.6.1.2).
    fn skip_list_separators(&mut self) {
        self.skip_while(|b| matches!(b, b' ' | b'\t' | b','));
    }

    fn token(&mut self) -> Result<String, Malformed> {
        let token = self.skip_while(is_tchar).to_owned();
        if token.is_empty() {
            Err(self.malformed("a name is missing"))
        } else {
            Ok(token)
        }
    }

    /// A token68, if one stands here up to the end or the next comma. `a=` could be the start of a
    /// parameter as well; it is a token68 if nothing follows the padding.
    fn token68(&mut self) -> Option<String> {
        let start = self.position;
        let mut text = self.skip_while(is_token68_char).to_owned();
        text.push_str(self.skip_while(|b| b == b'='));
        let end = self.position;
        self.skip_whitespace();
        if end > start && !text.starts_with('=') && (self.is_at_end() || self.peek() == Some(b','))
        {
            return Some(text);
        }
        self.position = start;
        None
    }

    fn parameter_value(&mut self) -> Result<String, Malformed> {
        self.skip_whitespace();
        if self.peek() != Some(b'"') {
            return self.token();
        }
        self.position += 1;
        let mut value = Vec::new();
        loop {
            let byte = self
                .peek()
                .ok_or_else(|| self.malformed("a quote is not closed"))?;
            self.position += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let escaped = self
                        .peek()
                        .ok_or_else(|| self.malformed("a quote is not closed"))?;
                    if is_control(escaped) {
                        return Err(self.malformed("a control character"));
                    }
                    self.position += 1;
                    value.push(escaped);
                }
                byte if is_control(byte) => return Err(self.malformed("a control character")),
                byte => value.push(byte),
            }
        }
        // The input is text, and no multi-byte character has been split: the bytes looked at are ASCII.
        String::from_utf8(value).map_err(|_| self.malformed("not UTF-8"))
    }
}

/// Controls other than the tab cannot stand in a quoted-string.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}
