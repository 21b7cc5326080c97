//! Where the values that are in force come from, down to the line of a file.
//!
//! The files are read once more for that: everybody else has no use for lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::rows::{Row, Said};
use crate::settings::Origin;

/// What an issuer is made of where none is written down.
const PARTS: [&str; 4] = ["org", "server", "host", "provider"];

/// A place in a file.
struct At {
    file: PathBuf,
    /// From 1; `None` when it cannot be told.
    line: Option<usize>,
}

/// The texts of files that were asked about.
#[derive(Default)]
pub(crate) struct Texts(BTreeMap<PathBuf, String>);

impl Said {
    /// In short, without lines.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::By(origin) => origin.to_string(),
            Self::Limit(files) => {
                let files = files.iter().map(|file| file.display().to_string());
                format!("limit in {}", files.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

impl Texts {
    /// In words: `profile in /home/ada/…:12; limited by /etc/…:3`.
    pub(crate) fn words(&mut self, row: &Row, profile: Option<&str>) -> String {
        let said = match &row.said {
            Said::By(origin) => {
                let at = self.of(origin, &row.name, profile);
                let at = at.map(|at| at.to_string()).unwrap_or_default();
                match origin {
                    Origin::Profile(_) => format!("profile in {at}"),
                    Origin::Defaults(_) if row.name == "profile" => at,
                    Origin::Defaults(_) => format!("defaults in {at}"),
                    Origin::Directory(_) => at,
                    Origin::Flag(_) | Origin::Environment(_) | Origin::Default => {
                        origin.to_string()
                    }
                }
            }
            Said::Limit(files) => format!("limit in {}", self.limits(files, &row.name)),
        };
        match limit_of(&row.name).filter(|_| !row.limits.is_empty()) {
            Some(limit) => format!("{said}; limited by {}", self.limits(&row.limits, limit)),
            None => said,
        }
    }

    fn limits(&mut self, files: &[PathBuf], name: &str) -> String {
        let places = self.places(files, name);
        let places = places.iter().map(ToString::to_string);
        places.collect::<Vec<_>>().join(" ")
    }

    /// For a program.
    pub(crate) fn json(&mut self, row: &Row, profile: Option<&str>) -> Value {
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(row.name));
        object.insert("value".to_owned(), row.value.clone());
        let origin = match &row.said {
            Said::By(origin) => {
                let at = self.of(origin, &row.name, profile);
                let (kind, name) = match origin {
                    Origin::Flag(_) => ("flag", Some(origin.to_string())),
                    Origin::Environment(_) => ("variable", Some(origin.to_string())),
                    Origin::Directory(_) => ("directory", None),
                    Origin::Profile(_) => ("profile", None),
                    Origin::Defaults(_) => ("defaults", None),
                    Origin::Default => ("default", None),
                };
                let mut origin = json!({ "kind": kind });
                if let (Some(name), Some(origin)) = (name, origin.as_object_mut()) {
                    origin.insert("name".to_owned(), json!(name));
                }
                if let (Some(at), Some(origin)) = (at, origin.as_object_mut()) {
                    origin.insert("file".to_owned(), json!(at.file));
                    origin.insert("line".to_owned(), json!(at.line));
                }
                origin
            }
            Said::Limit(files) => {
                json!({ "kind": "limit", "files": self.json_places(files, &row.name) })
            }
        };
        object.insert("origin".to_owned(), origin);
        if let (Some(limit), false) = (limit_of(&row.name), row.limits.is_empty()) {
            let by = self.json_places(&row.limits, limit);
            object.insert("limited_by".to_owned(), json!(by));
        }
        Value::Object(object)
    }

    fn json_places(&mut self, files: &[PathBuf], name: &str) -> Vec<Value> {
        let places = self.places(files, name).into_iter();
        places
            .map(|at| json!({ "file": at.file, "line": at.line }))
            .collect()
    }

    fn places(&mut self, files: &[PathBuf], name: &str) -> Vec<At> {
        files
            .iter()
            .map(|file| self.at(file, &["limits", name]))
            .collect()
    }

    /// Where a file says it, if a file does.
    fn of(&mut self, origin: &Origin, name: &str, profile: Option<&str>) -> Option<At> {
        let keys: Vec<&str> = name.split('.').collect();
        let (file, table) = match origin {
            Origin::Flag(_) | Origin::Environment(_) | Origin::Default => return None,
            Origin::Directory(file) => return Some(self.at(file, &keys)),
            Origin::Defaults(file) if name == "profile" => {
                return Some(self.at(file, &["default_profile"]));
            }
            Origin::Defaults(file) => (file, vec!["defaults"]),
            Origin::Profile(file) => (file, vec!["profile", profile?]),
        };
        let at = self.at(file, &[table.as_slice(), &keys].concat());
        if at.line.is_some() || name != "issuer" {
            return Some(at);
        }
        let parts = PARTS.into_iter().map(|part| {
            let keys = [table.as_slice(), &[part]].concat();
            self.at(file, &keys)
        });
        parts.into_iter().find(|at| at.line.is_some()).or(Some(at))
    }

    fn at(&mut self, file: &Path, keys: &[&str]) -> At {
        let text = self.0.entry(file.to_owned()).or_insert_with(|| {
            // It was read a moment ago. What cannot be read now has no lines.
            fs::read_to_string(file).unwrap_or_default()
        });
        At {
            file: file.to_owned(),
            line: line_of(text, keys),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// The name of the limit that a setting has.
fn limit_of(name: &str) -> Option<&'static str> {
    match name {
        "flow" => Some("allowed_flows"),
        "store" => Some("allowed_stores"),
        _ => None,
    }
}

/// The line, from 1, on which a key stands.
fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let (last, tables) = keys.split_last()?;
    let found = |table: &DeTable<'_>, wanted: &str| {
        let key = table.keys().find(|key| key.get_ref() == wanted)?;
        Some(key.span().start)
    };
    for key in tables {
        match table.get(*key)?.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return None,
        }
    }
    let before = text.get(..found(table, last)?)?;
    Some(before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_line_however_it_is_written() {
        let text = "default_profile = \"a\"\n\n[profile.a]\n# ours\nissuer = 'https://a'\n\
                    git = { hosts = ['x'] }\nparam.tenant = 'blue'\n[profile.a.aws]\nregion = 'r'\n\
                    [profile.\"b.c\"]\nflow = 'device'\n[limits]\nallowed_flows = []\n";
        let line = |keys: &str| line_of(text, &keys.split(' ').collect::<Vec<_>>());
        assert_eq!(line("default_profile"), Some(1));
        assert_eq!(line("profile a issuer"), Some(5));
        assert_eq!(line("profile a git hosts"), Some(6));
        assert_eq!(line("profile a param"), Some(7));
        assert_eq!(line("profile a aws region"), Some(9));
        assert_eq!(line("profile b.c flow"), Some(11));
        assert_eq!(line("limits allowed_flows"), Some(13));
        assert_eq!(line("profile a client_id"), None);
        assert_eq!(line("profile x issuer"), None);
        assert_eq!(line_of("not [ toml", &["a"]), None);
    }
}
