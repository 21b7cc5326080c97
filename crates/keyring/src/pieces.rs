//! Values larger than an item: cut into pieces, each an item of its own.
//!
//! The Windows Credential Manager takes 2560 bytes, and refresh tokens of some providers are longer. A
//! piece begins with a line that says which it is, of how many, and what the whole hashes to; so pieces
//! of two writes never pass for one value.

use countersign_store::SecretBytes;
use countersign_store::wire::Trouble;
use ring::digest::{SHA256, digest};

use crate::backend::Backend;

/// More pieces than any session has.
const MOST: usize = 256;
/// Room for the line at the beginning: two numbers, a hash, and what stands between them.
const LINE: usize = 48;

/// What the line of a piece says.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    index: usize,
    count: usize,
    sum: &'a str,
}

/// The name of a piece; the first has that of the whole.
fn piece(name: &str, index: usize) -> String {
    if index == 1 {
        name.to_owned()
    } else {
        format!("{name}#{index}")
    }
}

fn sum(whole: &[u8]) -> String {
    let hash = digest(&SHA256, whole);
    let half = hash.as_ref().iter().take(16);
    let number = half.fold(0, |number: u128, byte| (number << 8) | u128::from(*byte));
    format!("{number:032x}")
}

fn parse(bytes: &[u8]) -> Option<(Line<'_>, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let (place, sum) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let (index, count) = place.split_once('/')?;
    let (index, count) = (index.parse().ok()?, count.parse().ok()?);
    let sensible = (1..=count).contains(&index) && count <= MOST;
    sensible.then_some((Line { index, count, sum }, rest))
}

/// Writes a value. The first piece comes last: until then, what was there does not fit together, and
/// nobody takes it for whole.
pub(crate) fn write(
    backend: &dyn Backend,
    group: &str,
    name: &str,
    label: &str,
    value: &SecretBytes,
) -> Result<(), Trouble> {
    let room = backend.largest().saturating_sub(LINE).max(1);
    let whole = value.expose();
    let count = whole.len().div_ceil(room).max(1);
    if count > MOST {
        return Err(Trouble::TooLarge {
            size: whole.len(),
            limit: room * MOST,
        });
    }
    let sum = sum(whole);
    let mut parts: Vec<&[u8]> = whole.chunks(room).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    for (before, part) in parts.into_iter().enumerate().rev() {
        let index = before + 1;
        let line = format!("{index}/{count} {sum}\n");
        let mut bytes = Vec::with_capacity(line.len() + part.len());
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(part);
        let bytes = SecretBytes::new(bytes);
        backend.write(group, &piece(name, index), label, &bytes)?;
    }
    // What a longer value had more.
    let begin = format!("{name}#");
    for other in backend.names(group)? {
        let index = other.strip_prefix(&begin).map(str::parse::<usize>);
        if matches!(index, Some(Ok(index)) if index > count) {
            backend.remove(group, &other)?;
        }
    }
    Ok(())
}

/// Reads a value; `None` when there is none.
pub(crate) fn read(
    backend: &dyn Backend,
    group: &str,
    name: &str,
) -> Result<Option<SecretBytes>, Trouble> {
    let Some(first) = backend.read(group, name)? else {
        return Ok(None);
    };
    let (head, part) = parse(first.expose()).ok_or(Trouble::Damaged)?;
    let mut whole = Vec::with_capacity(head.count * (part.len() + 1));
    whole.extend_from_slice(part);
    for index in 2..=head.count {
        let next = backend.read(group, &piece(name, index))?;
        let next = next.ok_or(Trouble::Damaged)?;
        let (line, part) = parse(next.expose()).ok_or(Trouble::Damaged)?;
        let expected = Line {
            index,
            count: head.count,
            sum: head.sum,
        };
        if line != expected {
            return Err(Trouble::Damaged);
        }
        whole.extend_from_slice(part);
    }
    let whole = SecretBytes::new(whole);
    if head.index == 1 && head.sum == sum(whole.expose()) {
        Ok(Some(whole))
    } else {
        Err(Trouble::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    /// A keyring with the size limit of the Windows Credential Manager, that can run out of patience.
    #[derive(Default)]
    struct Small {
        items: RefCell<BTreeMap<String, Vec<u8>>>,
        writes_left: RefCell<Option<u32>>,
    }

    const LARGEST: usize = 2560;

    impl Backend for Small {
        fn largest(&self) -> usize {
            LARGEST
        }

        fn read(&self, _group: &str, name: &str) -> Result<Option<SecretBytes>, Trouble> {
            let value = self.items.borrow().get(name).cloned();
            Ok(value.map(SecretBytes::new))
        }

        fn write(
            &self,
            _group: &str,
            name: &str,
            _label: &str,
            value: &SecretBytes,
        ) -> Result<(), Trouble> {
            assert!(value.expose().len() <= LARGEST, "{}", value.expose().len());
            if let Some(left) = self.writes_left.borrow_mut().as_mut() {
                *left = left.checked_sub(1).ok_or(Trouble::NoService)?;
            }
            let value = value.expose().to_vec();
            self.items.borrow_mut().insert(name.to_owned(), value);
            Ok(())
        }

        fn remove(&self, _group: &str, name: &str) -> Result<(), Trouble> {
            self.items.borrow_mut().remove(name);
            Ok(())
        }

        fn names(&self, _group: &str) -> Result<Vec<String>, Trouble> {
            Ok(self.items.borrow().keys().cloned().collect())
        }
    }

    fn value(length: usize, seed: u8) -> SecretBytes {
        let byte = |at: usize| u8::try_from(at % 251).unwrap().wrapping_add(seed);
        SecretBytes::new((0..length).map(byte).collect())
    }

    fn put(keyring: &Small, value: &SecretBytes) -> Result<(), Trouble> {
        write(keyring, "g", "session", "a label", value)
    }

    fn get(keyring: &Small) -> Result<Option<Vec<u8>>, Trouble> {
        read(keyring, "g", "session").map(|value| value.map(|value| value.expose().to_vec()))
    }

    #[test]
    fn values_of_every_length_come_back_and_leave_no_piece_of_longer_ones() {
        let keyring = Small::default();
        assert_eq!(get(&keyring), Ok(None));
        let room = LARGEST - LINE;
        for length in [
            30_000,
            room * 3,
            room * 3 - 1,
            room + 1,
            room,
            room - 1,
            1,
            0,
            room + 1,
        ] {
            put(&keyring, &value(length, 0)).unwrap();
            assert_eq!(get(&keyring), Ok(Some(value(length, 0).expose().to_vec())));
            assert_eq!(keyring.items.borrow().len(), length.div_ceil(room).max(1));
        }
    }

    #[test]
    fn neighbours_in_a_group_are_not_taken_for_pieces() {
        let keyring = Small::default();
        for name in ["session2", "session#x", "sess", "other#7"] {
            write(&keyring, "g", name, "", &value(10, 0)).unwrap();
        }
        put(&keyring, &value(9000, 0)).unwrap();
        put(&keyring, &value(10, 0)).unwrap();
        assert_eq!(keyring.items.borrow().len(), 5);
    }

    #[test]
    fn a_write_that_stops_between_two_pieces_is_noticed() {
        let keyring = Small::default();
        put(&keyring, &value(10_000, 0)).unwrap();
        for writes in 1..4 {
            *keyring.writes_left.borrow_mut() = Some(writes);
            assert_eq!(put(&keyring, &value(10_000, 1)), Err(Trouble::NoService));
            assert_eq!(get(&keyring), Err(Trouble::Damaged), "{writes}");
        }
        *keyring.writes_left.borrow_mut() = None;
        put(&keyring, &value(10_000, 2)).unwrap();
        assert!(get(&keyring).unwrap().is_some());
    }

    type Damage = fn(&mut BTreeMap<String, Vec<u8>>);

    #[test]
    fn pieces_that_are_missing_exchanged_or_foreign_are_noticed() {
        let damage: [Damage; 6] = [
            |items| {
                items.remove("session#2");
            },
            |items| {
                let (second, third) = (items["session#2"].clone(), items["session#3"].clone());
                items.insert("session#2".into(), third);
                items.insert("session#3".into(), second);
            },
            |items| items.get_mut("session#2").unwrap().truncate(100),
            |items| *items.get_mut("session#2").unwrap().last_mut().unwrap() ^= 1,
            |items| {
                items.insert("session".into(), b"typed by hand".to_vec());
            },
            |items| {
                items.insert("session".into(), b"1/99999999 0\n".to_vec());
            },
        ];
        for (number, damage) in damage.iter().enumerate() {
            let keyring = Small::default();
            put(&keyring, &value(7000, 0)).unwrap();
            damage(&mut keyring.items.borrow_mut());
            assert_eq!(get(&keyring), Err(Trouble::Damaged), "{number}");
        }
    }

    #[test]
    fn what_no_number_of_pieces_could_hold_is_refused() {
        let keyring = Small::default();
        let refused = put(&keyring, &value(LARGEST * MOST, 0));
        assert!(
            matches!(refused, Err(Trouble::TooLarge { .. })),
            "{refused:?}"
        );
        assert!(keyring.items.borrow().is_empty());
    }
}
