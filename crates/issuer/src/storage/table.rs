//! A map that can take back what a transaction did to it.

use std::collections::HashMap;
use std::hash::Hash;

/// Rows by key, with the old value of every row changed since the last
/// [`Table::commit`].
#[derive(Debug)]
pub(super) struct Table<K, V> {
    rows: HashMap<K, V>,
    undo: Vec<(K, Option<V>)>,
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Self {
            rows: HashMap::new(),
            undo: Vec::new(),
        }
    }

    pub(super) fn row<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.rows.get(key)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &V> {
        self.rows.values()
    }

    pub(super) fn put(&mut self, key: K, row: V) {
        let old = self.rows.insert(key.clone(), row);
        self.undo.push((key, old));
    }

    /// Removes a row; whether it was there.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        let old = self.rows.remove(key);
        let found = old.is_some();
        self.undo.push((key.clone(), old));
        found
    }

    /// Removes at most `limit` rows for which `over` holds; how many went.
    pub(super) fn remove_where(&mut self, limit: usize, over: impl Fn(&V) -> bool) -> u64 {
        let keys: Vec<K> = self
            .rows
            .iter()
            .filter(|(_, row)| over(row))
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        for key in &keys {
            self.remove(key);
        }
        keys.len() as u64
    }

    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    pub(super) fn roll_back(&mut self) {
        // Backwards, so that a row changed twice ends at its first value.
        while let Some((key, old)) = self.undo.pop() {
            match old {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }
}
