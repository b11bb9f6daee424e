//! Copies that nobody's request depends on: they are dropped when anything else needs the room.

use super::{Memory, Pool, grown};

/// A copy of a body as it passes. The budget may drop it at any time.
pub struct BodyCopy {
    memory: Memory,
    /// 0 before the first byte.
    id: u64,
    dropped: bool,
}

impl BodyCopy {
    /// An empty copy.
    #[must_use]
    pub fn new(memory: &Memory) -> Self {
        Self { memory: memory.clone(), id: 0, dropped: false }
    }

    /// Appends bytes; false if the copy is dropped, now or before.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if !self.dropped && !bytes.is_empty() {
            let id = self.memory.with(|pool| pool.copy(self.id, bytes)).flatten();
            self.dropped = id.is_none();
            self.id = id.unwrap_or_default();
        }
        !self.dropped
    }

    /// What was copied; `None` if it was dropped. The copy is empty afterwards.
    #[must_use]
    pub fn take(&mut self) -> Option<Vec<u8>> {
        match core::mem::take(&mut self.id) {
            0 => (!self.dropped).then(Vec::new),
            id => {
                let bytes = self.memory.with(|pool| pool.copies.remove(id)).flatten();
                self.dropped = bytes.is_none();
                bytes
            }
        }
    }

    /// Whether it was dropped.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        let is_gone = || self.memory.with(|pool| pool.copies.get(self.id).is_none()).unwrap_or_default();
        self.dropped || (self.id != 0 && is_gone())
    }

    /// How many bytes it has; 0 if it was dropped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.with(|pool| pool.copies.get(self.id).map_or(0, Vec::len)).unwrap_or_default()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for BodyCopy {
    fn drop(&mut self) {
        if self.id != 0 {
            self.memory.with(|pool| pool.copies.remove(self.id));
        }
    }
}

/// All copies of a VM.
#[derive(Default)]
pub(super) struct Copies {
    /// In the order in which they last grew.
    list: Vec<(u64, Vec<u8>)>,
    last_id: u64,
    bytes: usize,
}

impl Copies {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn place(&self, id: u64) -> Option<usize> {
        // Most often it is the one that grew last.
        self.list.iter().rposition(|(known, _)| *known == id)
    }

    fn get(&self, id: u64) -> Option<&Vec<u8>> {
        self.list.get(self.place(id)?).map(|(_, bytes)| bytes)
    }

    fn remove(&mut self, id: u64) -> Option<Vec<u8>> {
        let (_, bytes) = self.list.remove(self.place(id)?);
        self.bytes = self.bytes.saturating_sub(bytes.capacity());
        Some(bytes)
    }

    fn add(&mut self, id: u64, bytes: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(bytes.capacity());
        self.list.push((id, bytes));
    }

    /// Drops the one that has not grown for the longest time.
    pub(super) fn drop_oldest(&mut self) -> bool {
        if self.list.is_empty() {
            return false;
        }
        let (_, bytes) = self.list.remove(0);
        self.bytes = self.bytes.saturating_sub(bytes.capacity());
        true
    }
}

impl Pool {
    /// Appends to a copy, to a new one if there is none of that id yet; gives its id, `None` if it is gone.
    fn copy(&mut self, id: u64, piece: &[u8]) -> Option<u64> {
        let mut bytes = if id == 0 { Vec::new() } else { self.copies.remove(id)? };
        let capacity = grown(bytes.len(), bytes.capacity(), piece.len());
        if capacity > bytes.capacity() {
            // While they are moved there are two.
            if !self.make_room(capacity.saturating_add(bytes.capacity())) {
                return None;
            }
            bytes.reserve_exact(capacity.saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(piece);
        let id = if id == 0 {
            self.copies.last_id = self.copies.last_id.saturating_add(1);
            self.copies.last_id
        } else {
            id
        };
        self.copies.add(id, bytes);
        Some(id)
    }
}
