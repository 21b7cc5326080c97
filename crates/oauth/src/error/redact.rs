//! Taking our own secrets out of what a server says.
//!
//! Not responsible for: secrets of others that a server may blurt out; nobody here knows them, unless they
//! look like a token.

use crate::Secret;

/// The shortest text that is looked for. What is shorter is guessed faster than it is read, and
/// stands in sentences by accident.
const SHORTEST: usize = 8;
/// How much of a longer secret gives it away: its end may have been cut off with the message.
const TELLING: usize = 16;

/// `text` with stars for every place where `secret` stands, or begins and was cut off.
pub(super) fn without(text: &str, secret: &Secret) -> String {
    let secret = secret.expose();
    if secret.chars().count() < SHORTEST {
        return text.to_owned();
    }
    let start: String = secret.chars().take(TELLING).collect();
    let tail = secret.strip_prefix(&start).unwrap_or_default();
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&start) {
        out.push_str(before);
        out.push_str("****");
        let same = after.chars().zip(tail.chars()).take_while(|(a, b)| a == b);
        let length = same.map(|(c, _)| c.len_utf8()).sum();
        rest = after.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// `text` with stars for everything that looks like a JWT: assertions and proofs, which are made anew for
/// each request, and the tokens of whoever else.
pub(super) fn without_tokens(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    // The encoding of `{"`, with which every header begins.
    while let Some(start) = rest.find("eyJ") {
        let (before, token) = rest.split_at(start);
        let end = token.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
        let (token, after) = token.split_at(end.unwrap_or(token.len()));
        out.push_str(before);
        out.push_str(if token.len() < TELLING { token } else { "****" });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str, secret: &str) -> String {
        without(text, &Secret::new(secret))
    }

    #[test]
    fn every_place_is_starred_and_the_rest_stays() {
        let secret = "canary-0123456789-end";
        let text = format!("token {secret} and again {secret}.");
        assert_eq!(redacted(&text, secret), "token **** and again ****.");
        assert_eq!(redacted("nothing here", secret), "nothing here");
    }

    #[test]
    fn a_secret_that_was_cut_off_is_starred_as_far_as_it_goes() {
        let secret = "canary-0123456789-end";
        assert_eq!(redacted("bad canary-0123456789…", secret), "bad ****…");
    }

    #[test]
    fn a_short_secret_does_not_eat_sentences() {
        assert_eq!(
            redacted("client secret is wrong", "secret"),
            "client secret is wrong"
        );
        assert_eq!(redacted("anything", ""), "anything");
    }

    #[test]
    fn a_token_is_starred_whoever_it_belongs_to() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln";
        let text = format!("bad assertion '{token}' (eyJhb), or {}…", &token[..20]);
        assert_eq!(
            without_tokens(&text),
            "bad assertion '****' (eyJhb), or ****…"
        );
        assert_eq!(without_tokens("no token"), "no token");
    }

    #[test]
    fn a_secret_of_other_letters_is_cut_between_characters() {
        let secret = "äöüäöüäöüäöüäöüäöüäöü";
        assert_eq!(redacted(&format!("x{secret}y"), secret), "x****y");
    }
}
