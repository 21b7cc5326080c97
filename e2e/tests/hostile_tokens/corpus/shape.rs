//! The three parts and the dots between them, and signatures of something else.

use serde_json::json;

use super::Forge;
use crate::signer::encode;

impl Forge<'_> {
    /// RFC 7515, sections 2, 3.1 and 7.1: five base64url characters have one spelling.
    pub(super) fn shapes(&mut self) {
        let good = self.good();
        let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        let [header, payload, signature] = parts.as_slice() else {
            unreachable!("three parts were just joined");
        };
        let tokens = [
            ("empty", String::new()),
            ("a dot", ".".to_owned()),
            ("two dots", "..".to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("four parts", format!("{good}.{signature}")),
            ("five parts, as a JWE", format!("{good}.{payload}.{signature}")),
            ("a dot in front", format!(".{good}")),
            ("a dot at the end", format!("{good}.")),
            ("two dots together", format!("{header}..{payload}.{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("no payload (detached)", format!("{header}..{signature}")),
            ("padding at the header", format!("{header}=.{payload}.{signature}")),
            ("padding at the payload", format!("{header}.{payload}==.{signature}")),
            ("padding at the signature", format!("{good}=")),
            ("a line break at the end", format!("{good}\n")),
            ("a line break inside", format!("{header}.{payload}\n.{signature}")),
            ("a space in front", format!(" {good}")),
            ("a space inside", format!("{header}. {payload}.{signature}")),
            ("a tab at the end", format!("{good}\t")),
            ("a NUL at the end", format!("{good}\0")),
            ("a byte order mark in front", format!("\u{feff}{good}")),
            ("a question mark in the payload", format!("{header}.{payload}?.{signature}")),
            ("a letter too many in the signature", format!("{good}A")),
            ("quoted", format!("\"{good}\"")),
            ("twice", format!("{good}{good}")),
            ("twice with a comma", format!("{good},{good}")),
            ("with its scheme", format!("Bearer {good}")),
            ("JSON serialisation, flattened", json!({
                "protected": header, "payload": payload, "signature": signature
            }).to_string()),
            ("JSON serialisation, general", json!({
                "payload": payload, "signatures": [{ "protected": header, "signature": signature }]
            }).to_string()),
            ("full-width dots", format!("{header}\u{ff0e}{payload}\u{ff0e}{signature}")),
        ];
        for (name, token) in tokens {
            self.refused(name, token);
        }
        // However it is aligned, this claim has a `_` in Base64.
        let token = self.signed(
            self.header().to_string(),
            self.claims_with(&json!({ "x": "?????" })),
        );
        let token = token.replace('-', "+").replace('_', "/");
        self.refused("the other Base64 alphabet", token);
        // The last character of a part may carry bits that stand for nothing.
        if let Some(token) = with_spare_bits(header) {
            self.refused(
                "spare bits in the header",
                format!("{token}.{payload}.{signature}"),
            );
        }
        if let Some(token) = with_spare_bits(signature) {
            self.refused(
                "spare bits in the signature",
                format!("{header}.{payload}.{token}"),
            );
        }
        let input = format!(
            "{}=.{payload}",
            encode(self.header_with(&json!({ "pad": "x" })))
        );
        let token = format!("{input}.{}", encode(self.signer.sign(input.as_bytes())));
        self.refused("padding that is signed with the rest", token);
        let long = self.claims_with(&json!({ "long": "x".repeat(400_000) }));
        self.refused_payload("400 kB long", long);
    }

    pub(super) fn signatures(&mut self) {
        let good = self.good();
        let (input, signature) = good.rsplit_once('.').unwrap();
        let bytes = self.signer.sign(input.as_bytes());
        let mut turned = bytes.clone();
        let middle = turned.len() / 2;
        turned[middle] ^= 1;
        let mut reversed = bytes.clone();
        reversed.reverse();
        let mut swapped = bytes.clone();
        swapped.rotate_left(middle);
        let half = &bytes[..middle];
        let foreign = self.foreign.sign(input.as_bytes());
        let other = self.other.sign(input.as_bytes());
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        let earlier: Vec<u8> = [0].into_iter().chain(bytes.iter().copied()).collect();
        let ones = vec![1; bytes.len()];
        let order = vec![0xff; bytes.len()];
        for (name, signature) in [
            ("one bit turned", turned.as_slice()),
            ("reversed", &reversed),
            ("its halves swapped", &swapped),
            ("cut in half", half),
            ("none", &[]),
            // CVE-2022-21449: zero is no signature of anything.
            ("all zero", &vec![0; bytes.len()]),
            ("all one", &ones),
            ("above every order", &order),
            ("of another key under a published kid", &foreign),
            ("of the issuer's other key", &other),
            ("longer by a zero", &longer),
            ("with a zero in front", &earlier),
            ("as DER", &der(&bytes)),
        ] {
            self.refused(
                format!("signature {name}"),
                format!("{input}.{}", encode(signature)),
            );
        }
        // A good signature of something else.
        let claims = self.claims_with(&json!({ "sub": "eve" }));
        let (header, _) = input.split_once('.').unwrap();
        self.refused(
            "signature of another payload",
            format!("{header}.{}.{signature}", encode(claims)),
        );
        let payload_alone = self
            .signer
            .sign(encode(self.claims().to_string()).as_bytes());
        self.refused(
            "signature over the payload alone",
            format!("{input}.{}", encode(payload_alone)),
        );
        let undecoded = format!("{}.{}", self.header(), self.claims());
        let undecoded = self.signer.sign(undecoded.as_bytes());
        self.refused(
            "signature over the decoded parts",
            format!("{input}.{}", encode(undecoded)),
        );
    }
}

/// The same bytes in another spelling, if the length leaves bits over.
fn with_spare_bits(part: &str) -> Option<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if part.len().is_multiple_of(4) {
        return None;
    }
    let (start, last) = part.split_at(part.len() - 1);
    let index = LETTERS
        .iter()
        .position(|letter| last.as_bytes() == [*letter])?;
    Some(format!("{start}{}", char::from(LETTERS[index | 1])))
}

/// Two numbers as a `SEQUENCE` of two `INTEGER`s: what ECDSA signatures look like elsewhere. For other
/// algorithms it is just something else.
fn der(numbers: &[u8]) -> Vec<u8> {
    let (r, s) = numbers.split_at(numbers.len() / 2);
    let integer = |number: &[u8]| {
        let mut bytes = vec![0];
        bytes.extend_from_slice(number);
        let mut out = vec![2, u8::try_from(bytes.len()).unwrap_or(0x7f)];
        out.extend(bytes);
        out
    };
    let body = [integer(r), integer(s)].concat();
    let mut out = vec![0x30, u8::try_from(body.len()).unwrap_or(0x7f)];
    out.extend(body);
    out
}
