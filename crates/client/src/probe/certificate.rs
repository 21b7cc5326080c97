//! The few things of an X.509 certificate that a person wants to know: whose it is, who issued it, and
//! when it is good (RFC 5280, section 4.1).
//!
//! For messages only. Whether a certificate is to be believed is decided by rustls, never here, and
//! whatever cannot be read is left out.

use countersign_oauth::text::printable;

use crate::Timestamp;
use crate::offset::days_since_1970;

/// What stands in a certificate. Nothing of it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The common name of its owner, else the organisation; fit to be printed.
    pub subject: Option<String>,
    /// The same of who issued it.
    pub issuer: Option<String>,
    /// When it begins to be good.
    pub not_before: Option<Timestamp>,
    /// When it ceases to be.
    pub not_after: Option<Timestamp>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which is only there when it is not the first.
const CONTEXT_0: u8 = 0xa0;
/// `id-at-commonName` and `id-at-organizationName` (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

impl Certificate {
    /// Reads a certificate in DER.
    pub(super) fn read(der: &[u8]) -> Self {
        fields(der).unwrap_or_default()
    }
}

fn fields(der: &[u8]) -> Option<Certificate> {
    let mut outer = Reader(der).inside(SEQUENCE)?;
    let mut tbs = outer.inside(SEQUENCE)?;
    if tbs.next_is(CONTEXT_0) {
        tbs.element()?;
    }
    let (_serial, _algorithm) = (tbs.element()?, tbs.element()?);
    let issuer = tbs.inside(SEQUENCE)?;
    let mut validity = tbs.inside(SEQUENCE)?;
    let (not_before, not_after) = (validity.element()?, validity.element()?);
    let subject = tbs.inside(SEQUENCE)?;
    Some(Certificate {
        subject: name(subject),
        issuer: name(issuer),
        not_before: time(not_before),
        not_after: time(not_after),
    })
}

/// A cursor over DER elements.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next_is(self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element: its tag and its content.
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let digits = usize::from(first & 0x7f);
            // A certificate is far below four gigabytes, and DER has no indefinite length.
            if digits == 0 || digits > 4 {
                return None;
            }
            let (length, rest) = rest.split_at_checked(digits)?;
            let length = length
                .iter()
                .fold(0_usize, |sum, &byte| (sum << 8) | usize::from(byte));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// What is inside the next element, which must have this tag.
    fn inside(&mut self, tag: u8) -> Option<Self> {
        let (found, content) = self.element()?;
        (found == tag).then_some(Self(content))
    }
}

/// The common name in a `Name`, else the organisation.
fn name(mut name: Reader<'_>) -> Option<String> {
    let mut organization = None;
    while let Some(mut set) = name.inside(SET) {
        let mut attribute = set.inside(SEQUENCE)?;
        let (tag, kind) = attribute.element()?;
        if tag != OBJECT_IDENTIFIER {
            return None;
        }
        let value = attribute.element().and_then(text);
        match kind {
            COMMON_NAME if value.is_some() => return value,
            ORGANIZATION => organization = organization.or(value),
            _ => {}
        }
    }
    organization
}

fn text((tag, content): (u8, &[u8])) -> Option<String> {
    let text = match tag {
        // UTF8String, PrintableString, IA5String.
        0x0c | 0x13 | 0x16 => String::from_utf8_lossy(content).into_owned(),
        // TeletexString, which in practice is Latin-1.
        0x14 => content.iter().map(|&byte| char::from(byte)).collect(),
        // BMPString.
        0x1e => {
            let units = content
                .chunks_exact(2)
                .map(|pair| pair.iter().fold(0, |sum, &b| (sum << 8) | u16::from(b)));
            char::decode_utf16(units)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        _ => return None,
    };
    Some(printable(&text)).filter(|text| !text.is_empty())
}

/// `YYMMDDHHMMSSZ`, of this or the last century, or `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5).
fn time((tag, content): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (two(0)?, two(2)?);
    let (hour, minute, second) = (two(4)?, two(6)?, two(8)?);
    let plausible = (1..=12).contains(&month) && (1..=31).contains(&day);
    plausible.then(|| {
        let days = days_since_1970(year, month, day);
        Timestamp::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second)
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(name: &[(DnType, DnValue)]) -> Vec<u8> {
        let mut params = CertificateParams::new(["login.example.com".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in name {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.not_before = date_time_ymd(2026, 11, 21);
        params.not_after = date_time_ymd(2051, 2, 28);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    #[test]
    fn names_and_times_are_read() {
        let der = certificate(&[
            (DnType::OrganizationName, utf8("Example")),
            (DnType::CommonName, utf8("Example Inspection CA 1")),
        ]);
        let read = Certificate::read(&der);
        assert_eq!(read.subject.as_deref(), Some("Example Inspection CA 1"));
        assert_eq!(read.issuer, read.subject);
        // The second is beyond 2049 and so in the longer form.
        assert_eq!(read.not_before, Some(Timestamp::from_secs(1_795_219_200)));
        assert_eq!(read.not_after, Some(Timestamp::from_secs(2_561_155_200)));
    }

    #[test]
    fn without_a_common_name_the_organisation_will_do() {
        let der = certificate(&[(DnType::OrganizationName, utf8("Exämple"))]);
        let read = Certificate::read(&der);
        assert_eq!(read.subject.as_deref(), Some("Exämple"));
        assert_eq!(Certificate::read(&certificate(&[])).subject, None);
    }

    #[test]
    fn a_name_cannot_write_on_the_terminal() {
        let der = certificate(&[(DnType::CommonName, utf8("a\u{1b}[2Jb\u{202e}"))]);
        assert_eq!(Certificate::read(&der).subject.as_deref(), Some("a[2Jb"));
    }

    #[test]
    fn any_part_of_a_certificate_and_any_change_to_it_is_survived() {
        let der = certificate(&[(DnType::CommonName, utf8("a"))]);
        for end in 0..der.len() {
            let _ = Certificate::read(&der[..end]);
        }
        for at in 0..der.len() {
            for bits in [0xff, 0x80, 0x01] {
                let mut changed = der.clone();
                changed[at] ^= bits;
                let _ = Certificate::read(&changed);
            }
        }
        assert_eq!(
            Certificate::read(b"not a certificate"),
            Certificate::default()
        );
    }

    #[test]
    fn a_length_of_half_the_world_is_no_length() {
        let mut reader = Reader(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]);
        assert!(reader.element().is_none());
        assert!(Reader(&[0x30, 0x80, 0x00]).element().is_none());
        assert!(Reader(&[0x30, 0x89]).element().is_none());
    }
}
