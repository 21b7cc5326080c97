//! What a route says about paths: literals, `{name}` for one segment, `**` for the rest.
//!
//! Not responsible for which of several patterns wins; that is the table's.

use std::fmt;

use super::path::canonical;

/// A pattern of paths.
///
/// `/a/b` is that path alone, `/a/{id}` any one segment that is not empty in place of `{id}`, and
/// `/a/**` is `/a`, `/a/` and everything beneath: whoever protects a folder means its door as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
    /// Whether `**` stands at the end.
    rest: bool,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// `{name}`; the name is for those who read the file.
    One,
}

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternProblem {
    /// It does not begin with `/`.
    #[error("a path begins with a slash")]
    NotAbsolute,
    /// `**` before the end.
    #[error("`**` stands at the end of a path only")]
    RestInside,
    /// A star or a brace within a segment.
    #[error(
        "`{0}` mixes a placeholder with text; a placeholder is a whole segment, as in `/a/{{id}}/b`"
    )]
    Mixed(String),
    /// A literal that no request can have, because requests are brought into another form first.
    #[error("no request has the path `{found}`, because requests are compared in another form")]
    NotCanonical {
        /// What is written.
        found: String,
        /// What would match.
        form: Option<String>,
    },
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`PatternProblem`].
    pub fn parse(text: &str) -> Result<Self, PatternProblem> {
        let Some(inner) = text.strip_prefix('/') else {
            return Err(PatternProblem::NotAbsolute);
        };
        let (inner, rest) = match inner.strip_suffix("**") {
            Some("") => (None, true),
            Some(before) if before.ends_with('/') => (before.strip_suffix('/'), true),
            _ => (Some(inner), false),
        };
        let mut segments = Vec::new();
        for segment in inner.into_iter().flat_map(|inner| inner.split('/')) {
            segments.push(parse_segment(segment)?);
        }
        let literal = text.trim_end_matches("**").replace(['{', '}'], "");
        match canonical(&literal) {
            Ok(form) if form == literal => {}
            other => {
                return Err(PatternProblem::NotCanonical {
                    found: text.to_owned(),
                    form: other
                        .ok()
                        .filter(|_| !text.contains(['{', '*']))
                        .map(std::borrow::Cow::into_owned),
                });
            }
        }
        Ok(Self {
            segments,
            rest,
            text: text.to_owned(),
        })
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn has_rest(&self) -> bool {
        self.rest
    }

    /// Whether both match the same paths, whatever their placeholders are called.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.segments == other.segments && self.rest == other.rest
    }

    /// Whether every path of `other` is one of this pattern too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.segments, &other.segments);
        let fits = if self.rest {
            theirs.len() >= mine.len()
        } else {
            !other.rest && theirs.len() == mine.len()
        };
        fits && mine.iter().zip(theirs).all(|pair| match pair {
            (Segment::Literal(mine), Segment::Literal(theirs)) => mine == theirs,
            (Segment::One, Segment::Literal(theirs)) => !theirs.is_empty(),
            (Segment::One, Segment::One) => true,
            (Segment::Literal(_), Segment::One) => false,
        })
    }

    /// Whether some path is of both patterns.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.segments, &other.segments);
        let (shorter, longer) = (mine.len().min(theirs.len()), mine.len().max(theirs.len()));
        let ends = if shorter == longer {
            true
        } else if mine.len() == shorter {
            self.rest
        } else {
            other.rest
        };
        ends && mine.iter().zip(theirs).all(|pair| match pair {
            (Segment::Literal(mine), Segment::Literal(theirs)) => mine == theirs,
            (Segment::One, Segment::Literal(text)) | (Segment::Literal(text), Segment::One) => {
                !text.is_empty()
            }
            (Segment::One, Segment::One) => true,
        })
    }
}

fn parse_segment(segment: &str) -> Result<Segment, PatternProblem> {
    let placeholder = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = placeholder {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        return if !name.is_empty() && name.chars().all(is_name) {
            Ok(Segment::One)
        } else {
            Err(PatternProblem::Mixed(segment.to_owned()))
        };
    }
    match segment {
        "**" => Err(PatternProblem::RestInside),
        _ if segment.contains(['*', '{', '}']) => Err(PatternProblem::Mixed(segment.to_owned())),
        _ => Ok(Segment::Literal(segment.to_owned())),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn what_cannot_match_or_would_not_mean_what_it_says_is_refused() {
        for text in [
            "", "a", "**", "/a/**/b", "/a*", "/*", "/a/{}", "/{a}b", "/{a b}", "/a//b", "/a/../b",
            "/%61", "/a%2fb", "/a;b", "/a**",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        let problem = Pattern::parse("/%61/b").unwrap_err();
        assert!(
            matches!(problem, PatternProblem::NotCanonical { form: Some(form), .. } if form == "/a/b")
        );
    }

    #[test]
    fn covering_and_overlapping() {
        for (wide, narrow) in [
            ("/**", "/"),
            ("/**", "/a/b"),
            ("/**", "/a/**"),
            ("/a/**", "/a"),
            ("/a/**", "/a/{x}"),
            ("/{x}", "/a"),
            ("/{x}", "/{y}"),
        ] {
            assert!(pattern(wide).covers(&pattern(narrow)), "{wide} {narrow}");
            assert!(pattern(narrow).overlaps(&pattern(wide)), "{wide} {narrow}");
        }
        for (one, other) in [("/a", "/b"), ("/{x}", "/"), ("/a/{x}", "/a"), ("/a", "/a/")] {
            assert!(!pattern(one).overlaps(&pattern(other)), "{one} {other}");
            assert!(!pattern(one).covers(&pattern(other)), "{one} {other}");
        }
        assert!(pattern("/a/{x}").overlaps(&pattern("/{y}/b")));
        assert!(!pattern("/a/{x}").covers(&pattern("/{y}/b")));
        assert!(!pattern("/a").covers(&pattern("/a/**")));
    }
}
