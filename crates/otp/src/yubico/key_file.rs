//! Files that programmed keys come with.
//!
//! Two forms are read, line by line and mixed as they come:
//! - Yubico's provisioning format (`Key_Provisioning_Format` of yubikey-ksm, what the
//!   personalization tool calls "Yubico format" and `ykman otp yubiotp --config-output` writes):
//!   `serial,publicName,internalName,aesKey,lockCode,created,accessed[,progflags]`, `#` begins a
//!   comment;
//! - the personalization tool's "Traditional format":
//!   `Yubico OTP,time,slot,publicName,internalName,aesKey,currentAccessCode,newAccessCode,…`.
//!
//! Not responsible for: `OpenPGP` around the file (decrypt it before), and for keeping the access
//! codes, which nobody needs who checks passwords. Dates are not judged.

use std::collections::BTreeSet;
use std::fmt;

use super::{PublicId, Secrets};
use crate::text::is_visible;

/// The most bytes of a file: some hundred thousand keys.
pub const MAX_KEY_FILE: usize = 32 * 1024 * 1024;

/// The most problems that are looked for: with more it is another kind of file.
const MAX_PROBLEMS: usize = 1000;

/// The most lines that an error names.
const MAX_NAMED: usize = 20;

/// The first line of the provisioning format, as it must be if there is one.
const HEADER: &str = "ykksm";

/// What the traditional format calls a key that this is about.
const OTP_EVENT: &str = "Yubico OTP";

/// How everything else begins that it logs.
const OTHER_EVENTS: [&str; 6] = [
    "LOGGING START",
    "OATH-HOTP",
    "Static Password",
    "Challenge-Response",
    "Configuration Update",
    "Configuration Swap",
];

/// The keys in a file, and the lines that were about something else.
#[derive(Debug)]
pub struct KeyFile {
    records: Vec<KeyRecord>,
    skipped: Vec<Skipped>,
}

/// One programmed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The line that it stands in, from 1.
    pub line: usize,
    /// The number printed on the key, where the file has one.
    pub serial: Option<u64>,
    /// The letters in front of its passwords. Never empty, and no two keys of a file have the same.
    pub public_id: PublicId,
    /// What its passwords are checked with.
    pub secrets: Secrets,
    /// When it was programmed, as the file says it.
    pub created: Option<String>,
}

/// A line about a slot that does not make Yubico OTPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The line, from 1.
    pub line: usize,
    /// What it is about.
    pub what: &'static str,
}

impl KeyFile {
    /// Reads a file as a whole: either every line is understood, or nothing is imported.
    ///
    /// # Errors
    /// [`ImportError`] with the lines that were not understood. It repeats nothing of what stands
    /// there.
    pub fn parse(text: &str) -> Result<Self, ImportError> {
        let mut file = Self {
            records: Vec::new(),
            skipped: Vec::new(),
        };
        let mut problems = Vec::new();
        if text.len() > MAX_KEY_FILE {
            problems.push(LineProblem {
                line: 1,
                problem: Problem::TooLarge,
            });
            return Err(ImportError { problems });
        }
        let mut seen = BTreeSet::new();
        // A byte order mark is what Windows editors leave behind.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (at, line) in text.lines().enumerate() {
            if problems.len() == MAX_PROBLEMS {
                break;
            }
            let number = at + 1;
            match read_line(line, number) {
                Ok(Line::Nothing) => {}
                Ok(Line::Other(what)) => file.skipped.push(Skipped { line: number, what }),
                Ok(Line::Key(record)) => {
                    if seen.insert(record.public_id.clone()) {
                        file.records.push(record);
                    } else {
                        problems.push(LineProblem {
                            line: number,
                            problem: Problem::Twice,
                        });
                    }
                }
                Err(problem) => problems.push(LineProblem {
                    line: number,
                    problem,
                }),
            }
        }
        if problems.is_empty() && file.records.is_empty() {
            problems.push(LineProblem {
                line: 1,
                problem: Problem::NoKeys,
            });
        }
        if problems.is_empty() {
            Ok(file)
        } else {
            Err(ImportError { problems })
        }
    }

    /// The keys, in the order of the file; at least one.
    pub fn records(&self) -> &[KeyRecord] {
        &self.records
    }

    /// The keys themselves.
    pub fn into_records(self) -> Vec<KeyRecord> {
        self.records
    }

    /// The lines that were about something else, worth a remark.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

enum Line {
    Nothing,
    Other(&'static str),
    Key(KeyRecord),
}

fn read_line(line: &str, number: usize) -> Result<Line, Problem> {
    let (data, comment) = line.split_once('#').unwrap_or((line, ""));
    if data.trim().is_empty() {
        let mut words = comment.split_ascii_whitespace();
        let is_foreign = words.next() == Some(HEADER) && words.next() != Some("1");
        return if is_foreign {
            Err(Problem::Version)
        } else {
            Ok(Line::Nothing)
        };
    }
    let fields: Vec<&str> = data.split(',').map(str::trim).collect();
    match fields.as_slice() {
        [OTP_EVENT, rest @ ..] => traditional(number, rest),
        [event, ..] if OTHER_EVENTS.iter().any(|it| event.starts_with(it)) => {
            let other = OTHER_EVENTS.into_iter().find(|it| event.starts_with(it));
            Ok(other.map_or(Line::Nothing, Line::Other))
        }
        _ => provisioning(number, &fields),
    }
}

/// What stands behind `Yubico OTP`: the time in the words of the place, the slot, the key.
fn traditional(number: usize, fields: &[&str]) -> Result<Line, Problem> {
    // In some places the time has a comma in it.
    let slot = (1..=3)
        .find(|at| matches!(fields.get(*at), Some(&("1" | "2"))))
        .ok_or(Problem::Fields)?;
    match fields.split_at_checked(slot) {
        Some((created, [_, public_id, private_id, aes_key, _, _, ..])) => {
            let created = created.join(", ");
            key(number, None, public_id, private_id, aes_key, &created)
        }
        _ => Err(Problem::Fields),
    }
}

fn provisioning(number: usize, fields: &[&str]) -> Result<Line, Problem> {
    let [
        serial,
        public_id,
        private_id,
        aes_key,
        lock,
        created,
        rest @ ..,
    ] = fields
    else {
        return Err(Problem::Fields);
    };
    if !(1..=2).contains(&rest.len()) {
        return Err(Problem::Fields);
    }
    // For other slots the tool writes a counter or nothing instead of the private id, and 20 bytes
    // or no public id.
    let is_counter = private_id.len() < 12 && private_id.bytes().all(|it| it.is_ascii_digit());
    if is_counter && (public_id.is_empty() || is_hex(aes_key, 40)) {
        return Ok(Line::Other("another kind of slot"));
    }
    if !(lock.is_empty() || is_hex(lock, 12)) {
        return Err(Problem::LockCode);
    }
    let serial = match *serial {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| Problem::Serial)?)
        }
        _ => return Err(Problem::Serial),
    };
    key(number, serial, public_id, private_id, aes_key, created)
}

fn key(
    line: usize,
    serial: Option<u64>,
    public_id: &str,
    private_id: &str,
    aes_key: &str,
    created: &str,
) -> Result<Line, Problem> {
    let public_id: PublicId = public_id.parse().map_err(|_| Problem::PublicId)?;
    if public_id.is_empty() {
        return Err(Problem::NoPublicId);
    }
    if !is_hex(private_id, 12) {
        return Err(Problem::PrivateId);
    }
    if is_hex(aes_key, 48) || is_hex(aes_key, 64) {
        return Err(Problem::KeyLength);
    }
    let secrets = Secrets::from_hex(private_id, aes_key).ok_or(Problem::AesKey)?;
    let created: String = created
        .chars()
        .filter(|c| is_visible(*c))
        .take(32)
        .collect();
    Ok(Line::Key(KeyRecord {
        line,
        serial,
        public_id,
        secrets,
        created: (!created.is_empty()).then_some(created),
    }))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Lines that were not understood; nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    problems: Vec<LineProblem>,
}

impl ImportError {
    /// All of them, in the order of the file.
    pub fn problems(&self) -> &[LineProblem] {
        &self.problems
    }

    /// A stable name for logs.
    pub fn code(&self) -> &'static str {
        "key_file_malformed"
    }
}

impl std::error::Error for ImportError {}

/// One line for each, as far as there is room.
impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, LineProblem { line, problem }) in self.problems.iter().take(MAX_NAMED).enumerate()
        {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "line {line}: {problem}")?;
        }
        match self.problems.len().checked_sub(MAX_NAMED) {
            Some(more) if more > 0 => write!(f, "\nand {more} more"),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// Why a line is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is longer than [`MAX_KEY_FILE`].
    #[error("the file is larger than 32 MiB")]
    TooLarge,
    /// There is no key in it at all.
    #[error("there is no Yubico OTP key in this file")]
    NoKeys,
    /// The first line names another version of the format.
    #[error("this version of the format is not known; `# ykksm 1` is")]
    Version,
    /// Neither form has so many fields.
    #[error(
        "expected serial,publicName,internalName,aesKey,lockCode,created,accessed[,progflags], \
         or a line of the traditional format"
    )]
    Fields,
    /// The serial number is no number.
    #[error("the serial number is not a decimal number")]
    Serial,
    /// The public id is not modhex.
    #[error("the public id (publicName) is not an even number of up to 16 modhex letters")]
    PublicId,
    /// There is no public id.
    #[error("the key has no public id, so nobody could tell whose passwords it makes")]
    NoPublicId,
    /// Two lines are about one key.
    #[error("an earlier line has the same public id")]
    Twice,
    /// The private id is wrong.
    #[error("the private id (internalName) is not 12 hexadecimal digits")]
    PrivateId,
    /// The key is wrong.
    #[error("the AES key is not 32 hexadecimal digits")]
    AesKey,
    /// A key of 192 or 256 bits, which no Yubikey has.
    #[error("the AES key has more than 128 bits, which no Yubikey uses")]
    KeyLength,
    /// The access code is wrong.
    #[error("the access code (lockCode) is neither empty nor 12 hexadecimal digits")]
    LockCode,
}
