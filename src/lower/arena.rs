//! Places for buffers whose lives are known, decided before anything runs.

/// The kernels between which a buffer must stay as it is.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub first: usize,
    pub last: usize,
}

/// First fit over what is alive.
pub struct Arena {
    /// One past the last float that anything was given.
    pub top: usize,
    floor: usize,
    /// Offset, floats and last reader of each buffer that may still be alive, by offset.
    taken: Vec<(usize, usize, usize)>,
}

impl Arena {
    /// Nothing is placed before `floor`.
    pub fn new(floor: usize) -> Arena {
        Arena { top: floor, floor, taken: Vec::new() }
    }

    /// Where so many floats fit while they live. Lives come in the order of their first kernels.
    pub fn take(&mut self, floats: usize, life: Life) -> usize {
        self.taken.retain(|(_, _, last)| *last >= life.first);
        let mut at = self.floor;
        let mut place = self.taken.len();
        for (i, (offset, length, _)) in self.taken.iter().enumerate() {
            if at + floats <= *offset {
                place = i;
                break;
            }
            at = offset + length;
        }
        self.taken.insert(place, (at, floats, life.last));
        self.top = self.top.max(at + floats);
        at
    }
}
