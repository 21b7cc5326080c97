//! Replaces secrets in a stream by stars, wherever the stream is cut into pieces.

use std::io::{self, Read, Write};

const STARS: &[u8] = b"****";

/// Copies `from` to `to` until the end, with each of `secrets` replaced.
pub(crate) fn copy(mut from: impl Read, mut to: impl Write, secrets: &[&[u8]]) -> io::Result<()> {
    let mut held = Vec::new();
    let mut piece = [0_u8; 8192];
    loop {
        let count = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        held.extend_from_slice(piece.get(..count).unwrap_or_default());
        let mut rest = held.as_slice();
        while let Some((at, length)) = first(rest, secrets) {
            let (before, after) = rest.split_at(at);
            to.write_all(before)?;
            to.write_all(STARS)?;
            rest = after.get(length..).unwrap_or_default();
        }
        // What may be the beginning of a secret waits for the next piece.
        let waits = secrets.iter().map(|secret| begun(rest, secret)).max();
        let wait = if count == 0 { 0 } else { waits.unwrap_or(0) };
        let (ready, waiting) = rest.split_at(rest.len() - wait);
        to.write_all(ready)?;
        to.flush()?;
        if count == 0 {
            return Ok(());
        }
        held = waiting.to_vec();
    }
}

/// Where the first secret begins, and how long it is.
fn first(text: &[u8], secrets: &[&[u8]]) -> Option<(usize, usize)> {
    let found = secrets
        .iter()
        .filter_map(|secret| Some((find(text, secret)?, secret.len())));
    found.min_by_key(|(at, _)| *at)
}

fn find(text: &[u8], secret: &[u8]) -> Option<usize> {
    if secret.is_empty() {
        return None;
    }
    text.windows(secret.len())
        .position(|window| window == secret)
}

/// How many of the last bytes could be the beginning of the secret.
fn begun(text: &[u8], secret: &[u8]) -> usize {
    let most = text.len().min(secret.len().saturating_sub(1));
    (1..=most)
        .rev()
        .find(|length| secret.starts_with(text.split_at(text.len() - length).1))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one by one.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn redacted(pieces: &[&'static [u8]]) -> String {
        let mut out = Vec::new();
        copy(Pieces(pieces.to_vec()), &mut out, &[b"abcab", b"xyz"]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_secret_is_replaced_however_it_is_cut() {
        assert_eq!(redacted(&[b"> Bearer abcab\n"]), "> Bearer ****\n");
        assert_eq!(redacted(&[b"x ab", b"c", b"ab y"]), "x **** y");
        assert_eq!(redacted(&[b"abcababcab"]), "********");
        assert_eq!(redacted(&[b"abcabcab"]), "****cab");
        assert_eq!(redacted(&[b"xyz abca", b"b xy", b"z"]), "**** **** ****");
    }

    #[test]
    fn everything_else_stays() {
        assert_eq!(redacted(&[b"abca", b"x", b"ab"]), "abcaxab");
        assert_eq!(redacted(&[]), "");
    }
}
