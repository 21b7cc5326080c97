//! What every keyring can do, however it is reached.

use countersign_store::SecretBytes;
use countersign_store::wire::Trouble;

/// A keyring, as one application sees it: items in groups, each a small value.
pub(crate) trait Backend {
    /// The largest value of one item, in bytes.
    fn largest(&self) -> usize;

    /// The value of an item; `None` when there is none.
    fn read(&self, group: &str, name: &str) -> Result<Option<SecretBytes>, Trouble>;

    /// Makes or replaces an item. `label` is for the person who looks into the keyring.
    fn write(
        &self,
        group: &str,
        name: &str,
        label: &str,
        value: &SecretBytes,
    ) -> Result<(), Trouble>;

    /// Removes an item, if it is there.
    fn remove(&self, group: &str, name: &str) -> Result<(), Trouble>;

    /// The names in a group.
    fn names(&self, group: &str) -> Result<Vec<String>, Trouble>;
}
