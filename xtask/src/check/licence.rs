//! SPDX licence expressions, as far as crates use them.

/// Whether an expression can be met with allowed licences alone.
///
/// The grammar is SPDX's: `WITH` binds tightest, then `AND`, then `OR`. The old form `MIT/Apache-2.0`
/// means `OR`. What cannot be read is not allowed.
pub(crate) fn is_allowed(expression: &str, allow: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        allow,
    };
    let verdict = parser.any();
    parser.words.is_empty() && verdict == Some(true)
}

struct Parser<'a> {
    words: &'a [&'a str],
    allow: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Option<bool> {
        let mut verdict = self.all()?;
        while self.take("OR") {
            verdict |= self.all()?;
        }
        Some(verdict)
    }

    fn all(&mut self) -> Option<bool> {
        let mut verdict = self.one()?;
        while self.take("AND") {
            verdict &= self.one()?;
        }
        Some(verdict)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let verdict = self.any()?;
            return self.take(")").then_some(verdict);
        }
        let name = self
            .next()
            .filter(|word| !["OR", "AND", "WITH", ")"].contains(word))?;
        if self.take("WITH") {
            let exception = self.next()?;
            return Some((self.allow)(&format!("{name} WITH {exception}")));
        }
        Some((self.allow)(name))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    fn take(&mut self, expected: &str) -> bool {
        let found = self.words.first() == Some(&expected);
        if found {
            self.next();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(expression: &str) -> bool {
        let list = ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
        is_allowed(expression, &|name| list.contains(&name))
    }

    #[test]
    fn expressions_are_judged_by_precedence() {
        assert!(allowed("MIT"));
        assert!(allowed("MIT/GPL-3.0"));
        assert!(allowed("GPL-3.0 OR MIT AND ISC"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
        assert!(allowed("ISC AND (Apache-2.0 OR GPL-3.0)"));
        assert!(!allowed("(MIT OR GPL-3.0) AND LGPL-2.1"));
        assert!(!allowed("GPL-3.0"));
        assert!(!allowed("MIT WITH other-exception"));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        for nonsense in [
            "", "MIT AND", "(MIT", "MIT)", "MIT MIT", "OR MIT", "MIT WITH",
        ] {
            assert!(!allowed(nonsense), "{nonsense}");
        }
    }
}
