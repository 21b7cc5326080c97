//! What was pressed on a page that asks for a decision.

/// One of two buttons of equal weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Approve,
    Deny,
}

impl Choice {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "approve" => Some(Self::Approve),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }
}
