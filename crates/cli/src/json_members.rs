//! The members of a JSON object, each value as the text that it was: what is not changed stays as it
//! stands, down to its order, its numbers and its spaces.

use std::fmt::{self, Write as _};

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object whose members can be changed one by one.
#[derive(Debug, Default)]
pub(crate) struct Members(Vec<(String, String)>);

impl Members {
    /// Reads an object.
    ///
    /// # Errors
    /// When it is something else, or a name is there twice: who reads it might see another value.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        let mut from = serde_json::Deserializer::from_str(text);
        let members = from.deserialize_map(Reader)?;
        from.end()?;
        Ok(members)
    }

    /// The value of a member, as text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets a member where it is, or adds it at the end.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, there)) => *there = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of all members.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, value)| value.as_str())
    }

    /// As text, with tabs before the members as docker writes them.
    pub(crate) fn render(&self, depth: usize) -> String {
        if self.is_empty() {
            return "{}".to_owned();
        }
        let mut text = "{".to_owned();
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let tabs = "\t".repeat(depth + 1);
            let name = serde_json::Value::from(name.as_str());
            let _ = write!(text, "{comma}\n{tabs}{name}: {value}");
        }
        let _ = write!(text, "\n{}}}", "\t".repeat(depth));
        text
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if members.get(&name).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
            members.set(&name, value.get().to_owned());
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_stands() {
        let text = "{\n\t\"z\": 1e400,\n\t\"auths\": { \"a\":  {} },\n\t\"ü\\n\": [1, 2.50]\n}";
        let mut members = Members::parse(text).unwrap();
        members.set("new", "\"x\"".to_owned());
        assert_eq!(
            members.render(0),
            "{\n\t\"z\": 1e400,\n\t\"auths\": { \"a\":  {} },\n\t\"ü\\n\": [1, 2.50],\n\t\"new\": \"x\"\n}"
        );
        members.remove("new");
        assert_eq!(members.render(0), text);
        assert_eq!(Members::default().render(0), "{}");
    }

    #[test]
    fn what_is_no_object_or_ambiguous_is_refused() {
        for text in [
            "",
            "[]",
            "{\"a\":1,\"a\":2}",
            "{} x",
            "{\"a\":}",
            "// c\n{}",
        ] {
            assert!(Members::parse(text).is_err(), "{text}");
        }
    }
}
