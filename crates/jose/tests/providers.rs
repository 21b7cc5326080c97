//! Both providers compute the same, and what the standards print.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::providers;
use countersign_jose::{Algorithm, base64url};

#[test]
fn digests_are_those_of_fips_180_4() {
    // "abc", from the examples to the standard.
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    };
    for provider in providers() {
        assert_eq!(
            hex(&provider.sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(&provider.digest_of(Algorithm::Es384, b"abc")),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
        assert_eq!(
            hex(&provider.digest_of(Algorithm::EdDsa, b"abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }
}

#[test]
fn the_digest_of_an_algorithm_has_its_size() {
    for provider in providers() {
        for algorithm in Algorithm::ALL {
            let bits = match algorithm.name() {
                "EdDSA" => 512,
                name => name[2..].parse::<usize>().unwrap(),
            };
            assert_eq!(
                provider.digest_of(algorithm, b"token").len() * 8,
                bits,
                "{algorithm}"
            );
        }
    }
}

#[test]
fn hmac_sha256_is_that_of_rfc_4231_section_4_3() {
    for provider in providers() {
        let mac = provider.hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            base64url::encode(&mac),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM"
        );
    }
}

#[test]
fn random_bytes_fill_the_whole_buffer_and_differ() {
    for provider in providers() {
        let (mut a, mut b) = ([0; 64], [0; 64]);
        provider.fill_random(&mut a).unwrap();
        provider.fill_random(&mut b).unwrap();
        assert_ne!(a, b);
        assert!(a.chunks(16).all(|chunk| chunk != [0; 16]));
    }
}

#[test]
fn a_provider_is_named_after_its_library() {
    let names: Vec<&str> = providers().iter().map(|provider| provider.name()).collect();
    #[cfg(all(feature = "ring", feature = "aws-lc-rs"))]
    assert_eq!(names, ["ring", "aws-lc-rs"]);
    assert!(
        names
            .iter()
            .all(|name| ["ring", "aws-lc-rs"].contains(name))
    );
}
