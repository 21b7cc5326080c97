//! What an RSA public key has to look like before any library sees it.
//!
//! The libraries have limits of their own, but not the same ones; a key set must not change its
//! meaning with the provider.

use crate::error::KeyProblem;

/// Checks modulus and exponent, big-endian.
pub(super) fn check(n: &[u8], e: &[u8]) -> Result<(), KeyProblem> {
    // RFC 7518, sections 2 and 6.3.1: the fewest bytes that hold the number.
    let minimal = |bytes: &[u8]| bytes.first().is_some_and(|byte| *byte != 0);
    if !minimal(n) {
        return Err(KeyProblem::Member("n"));
    }
    if !minimal(e) {
        return Err(KeyProblem::Member("e"));
    }
    let bits = bit_len(n);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyProblem::RsaModulus(bits));
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte & 1 == 1);
    if !odd(n) {
        return Err(KeyProblem::NotAPublicKey);
    }
    // With 1, everything is a signature of itself. From 3 on, strict padding checks leave nothing
    // to attack. The upper limit keeps a verification cheap, whoever chose the key.
    let exponent = e
        .iter()
        .take(8)
        .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if e.len() > 5 || !odd(e) || !(3..1 << 33).contains(&exponent) {
        return Err(KeyProblem::RsaExponent);
    }
    if has_roca_fingerprint(n) {
        return Err(KeyProblem::RsaWeakModulus);
    }
    Ok(())
}

fn bit_len(minimal: &[u8]) -> usize {
    let unused = minimal
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize);
    minimal.len() * 8 - unused
}

/// The odd primes below 168. All of them divide the constant that the broken generator started
/// from, for every size of key that is accepted here.
const PRIMES: [u16; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus looks made by the generator of CVE-2017-15361 ("ROCA"), whose primes have
/// the form `k * M + (65537^a mod M)`: then the modulus is a power of 65537 modulo every prime
/// that divides `M`. A sound modulus passes for one by a chance far below one in a million.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let prime = u32::from(*prime);
        let remainder = n
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        for _ in 1..prime {
            if power == remainder {
                return true;
            }
            power = power * (65_537 % prime) % prime;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(bits: usize) -> Vec<u8> {
        let mut n = vec![0x5a; bits.div_ceil(8)];
        n[0] = 0xff >> (n.len() * 8 - bits);
        *n.last_mut().unwrap() |= 1;
        n
    }

    #[test]
    fn moduli_have_2048_to_8192_bits() {
        for bits in [2048, 2049, 3072, 4096, 8192] {
            assert_eq!(check(&modulus(bits), &[1, 0, 1]), Ok(()), "{bits}");
        }
        for bits in [512, 1024, 2047, 8193] {
            assert_eq!(
                check(&modulus(bits), &[1, 0, 1]),
                Err(KeyProblem::RsaModulus(bits))
            );
        }
    }

    #[test]
    fn exponents_are_odd_and_from_3_to_33_bits() {
        let n = modulus(2048);
        for e in [&[3][..], &[1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(check(&n, e), Ok(()), "{e:?}");
        }
        for e in [
            &[1][..],
            &[2],
            &[1, 0, 2],
            &[2, 0, 0, 0, 1],
            &[1; 9],
            &[0xff; 300],
        ] {
            assert_eq!(check(&n, e), Err(KeyProblem::RsaExponent), "{e:?}");
        }
    }

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        let padded = [&[0], modulus(2048).as_slice()].concat();
        assert_eq!(check(&padded, &[1, 0, 1]), Err(KeyProblem::Member("n")));
        assert_eq!(
            check(&modulus(2048), &[0, 1, 0, 1]),
            Err(KeyProblem::Member("e"))
        );
        assert_eq!(check(&[], &[1, 0, 1]), Err(KeyProblem::Member("n")));
        assert_eq!(check(&modulus(2048), &[]), Err(KeyProblem::Member("e")));
    }

    #[test]
    fn an_even_modulus_is_not_a_key() {
        let mut n = modulus(2048);
        *n.last_mut().unwrap() &= 0xfe;
        assert_eq!(check(&n, &[1, 0, 1]), Err(KeyProblem::NotAPublicKey));
    }

    #[test]
    fn a_power_of_65537_has_the_fingerprint_of_the_broken_generator() {
        assert!(has_roca_fingerprint(&[1, 0, 1]));
        assert!(!has_roca_fingerprint(&modulus(2048)));
    }
}
