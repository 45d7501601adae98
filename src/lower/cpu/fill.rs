//! One number everywhere.

use super::kernel::{Address, Bases};

#[derive(Clone, Debug)]
pub struct Fill {
    pub to: Address,
    pub count: usize,
    pub value: f32,
}

impl Fill {
    /// # Safety
    /// As [`super::kernel::Kernel::run`].
    pub unsafe fn run(&self, bases: &Bases<'_>) {
        // SAFETY: the address is valid for `count` floats.
        unsafe { std::slice::from_raw_parts_mut(bases.at(self.to), self.count).fill(self.value) };
    }
}
