//! Published vectors: Yubico, RFC 4226, RFC 6238, Wycheproof.

use std::time::Duration;

use countersign_otp::Counter;
use countersign_otp::crypto::Hash;
use countersign_otp::oath::{Code, Digits, Hotp, Secret, Totp};
use countersign_otp::yubico::{Otp, Secrets};

use crate::common::providers;

/// Private id, AES key, password, and counter (as it stands there), use, timestamp, random.
type Published = (
    &'static str,
    &'static str,
    &'static str,
    (u16, u8, u32, u16),
);

/// Seven passwords: one of `test-vectors.txt` of Yubico's yubico-c, and six of "OTP Test vectors" at
/// developers.yubico.com (OTP/Specifications), which its `tests/selftest.c` has as well.
const PUBLISHED: [Published; 7] = [
    (
        "8792ebfe26cc",
        "ecde18dbe76fbd0c33330f1c354871db",
        "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh",
        (19, 17, 0xc230, 0x9fc8),
    ),
    (
        "010203040506",
        "000102030405060708090a0b0c0d0e0f",
        "dvgtiblfkbgturecfllberrvkinnctnn",
        (1, 1, 0x01_0001, 0),
    ),
    (
        "010203040506",
        "000102030405060708090a0b0c0d0e0f",
        "rnibcnfhdninbrdebccrndfhjgnhftee",
        (1, 2, 0x01_0001, 0),
    ),
    (
        "010203040506",
        "000102030405060708090a0b0c0d0e0f",
        "iikkijbdknrrdhfdrjltvgrbkkjblcbh",
        (0xfff, 1, 0x01_0001, 0),
    ),
    (
        "888888888888",
        "88888888888888888888888888888888",
        "dcihgvrhjeucvrinhdfddbjhfjftjdei",
        (0x8888, 0x88, 0x88_8888, 0x8888),
    ),
    (
        "000000000000",
        "00000000000000000000000000000000",
        "kkkncjnvcnenkjvjgncjihljiibgbhbh",
        (0, 0, 0, 0),
    ),
    (
        "33c69e7f249e",
        "c4422890653076cde73d449b191b416a",
        "iucvrkjiegbhidrcicvlgrcgkgurhjnj",
        (1, 0, 0x24_13a7, 0xc63c),
    ),
];

#[test]
fn the_passwords_that_yubico_publishes_say_what_they_should() {
    for (private_id, aes_key, text, (counter, session_use, timestamp, random)) in PUBLISHED {
        let secrets = Secrets::from_hex(private_id, aes_key).unwrap();
        let otp = Otp::parse(text).unwrap();
        let unspent = secrets.decrypt(&otp).unwrap();
        assert_eq!(
            unspent.position(),
            (u64::from(counter & 0x7fff) << 8) | u64::from(session_use)
        );
        let said = unspent.settle(Counter::Moved).unwrap();
        assert_eq!(said.counter(), counter & 0x7fff, "{text}");
        assert_eq!(said.caps_lock(), counter & 0x8000 != 0, "{text}");
        assert_eq!(said.session_use(), session_use, "{text}");
        assert_eq!(said.timestamp(), timestamp, "{text}");
        assert_eq!(said.random(), random, "{text}");
    }
}

#[test]
fn a_published_password_is_of_its_own_key_alone() {
    for (at, (_, _, text, _)) in PUBLISHED.iter().enumerate() {
        for (private_id, aes_key, _, _) in PUBLISHED.iter().enumerate().filter_map(|(it, key)| {
            // Three of them are of one key.
            (key.1 != PUBLISHED[at].1 && it != at).then_some(key)
        }) {
            let secrets = Secrets::from_hex(private_id, aes_key).unwrap();
            assert!(secrets.decrypt(&Otp::parse(text).unwrap()).is_err());
        }
    }
}

/// RFC 4226, appendix D.
#[test]
fn the_codes_of_rfc_4226_come_out() {
    let hotp = Hotp::new(Secret::from_bytes(b"12345678901234567890").unwrap());
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for crypto in providers() {
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(hotp.code_at(counter, crypto).to_string(), code);
            let unspent = hotp
                .verify(&Code::parse(code).unwrap(), counter, 0, crypto)
                .unwrap();
            assert_eq!(unspent.position(), counter);
        }
    }
}

/// RFC 6238, appendix B. The secrets are as long as the hash, which the table forgets to say and the
/// reference implementation beside it does.
#[test]
fn the_codes_of_rfc_6238_come_out() {
    let table = [
        (59, ["94287082", "46119246", "90693936"]),
        (1_111_111_109, ["07081804", "68084774", "25091201"]),
        (1_111_111_111, ["14050471", "67062674", "99943326"]),
        (1_234_567_890, ["89005924", "91819424", "93441116"]),
        (2_000_000_000, ["69279037", "90698825", "38618901"]),
        (20_000_000_000, ["65353130", "77737706", "47863826"]),
    ];
    for crypto in providers() {
        for (secs, codes) in table {
            for (hash, code) in Hash::ALL.into_iter().zip(codes) {
                let secret: Vec<u8> = (b'0'..=b'9').cycle().skip(1).take(hash.length()).collect();
                let totp = Totp::new(Secret::from_bytes(&secret).unwrap())
                    .hash(hash)
                    .digits(Digits::Eight);
                let now = Duration::from_secs(secs);
                assert_eq!(totp.code_at(now, crypto).to_string(), code, "{hash:?}");
                let unspent = totp
                    .verify(&Code::parse(code).unwrap(), now, crypto)
                    .unwrap();
                assert_eq!(unspent.position(), secs / 30);
            }
        }
    }
}

/// Project Wycheproof, `hmac_sha1_test.json`; a shortened tag is a prefix.
#[test]
fn hmac_sha1_is_that_of_wycheproof() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/vectors/hmac_sha1_test.json"
    );
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let bytes = |value: &serde_json::Value| -> Vec<u8> {
        let digits = value.as_str().unwrap().as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    for crypto in providers() {
        let mut cases = 0;
        for group in document["testGroups"].as_array().unwrap() {
            for test in group["tests"].as_array().unwrap() {
                let mac = crypto.hmac(Hash::Sha1, &bytes(&test["key"]), &bytes(&test["msg"]));
                let tag = bytes(&test["tag"]);
                assert_eq!(
                    mac.starts_with(&tag),
                    test["result"] == "valid",
                    "case {}",
                    test["tcId"]
                );
                cases += 1;
            }
        }
        assert_eq!(cases, 170);
    }
}
