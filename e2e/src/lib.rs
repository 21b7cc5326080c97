//! What the end-to-end tests share: the strangers, started; and the person at their pages.
//!
//! Nothing here links a crate under test: Countersign is met as a user meets it, as programs.

mod stranger;

pub use stranger::{NodeProvider, node, python};
