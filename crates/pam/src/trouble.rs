//! Why there is no verdict.

use std::fmt;

/// Why the daemon came to no verdict. The text is one line for the administrator's log; it holds
/// nothing that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody could be asked: the daemon is not there, or says nothing.
    Away(String),
    /// Something is not as it must be.
    Wrong(String),
}

impl Trouble {
    pub(crate) fn wrong(what: impl fmt::Display) -> Self {
        Self::Wrong(what.to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(text) | Self::Wrong(text)) = self;
        f.write_str(text)
    }
}
