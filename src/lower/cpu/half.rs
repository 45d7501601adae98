//! Half a register, for the edge of a matrix product.
//!
//! Safety, for the whole file: as in [`super::lanes`].

#![allow(clippy::missing_safety_doc, unsafe_op_in_unsafe_fn)]

use super::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
pub use x86::HalfOf512;

/// What the edge of a matrix product takes of half a register.
pub trait Half: Copy {
    unsafe fn zeros() -> Self;
    unsafe fn half_load(from: *const f32, n: usize) -> Self;
    unsafe fn half_store(self, to: *mut f32, n: usize);
    unsafe fn half_add(self, b: Self) -> Self;
    /// self · b + c, rounded as [`Lanes::mul_add`].
    unsafe fn half_mul_add(self, b: Self, c: Self) -> Self;
}

impl<L: Lanes> Half for L {
    #[inline(always)]
    unsafe fn zeros() -> Self {
        L::splat(0.0)
    }
    #[inline(always)]
    unsafe fn half_load(from: *const f32, n: usize) -> Self {
        L::load_first(from, n)
    }
    #[inline(always)]
    unsafe fn half_store(self, to: *mut f32, n: usize) {
        self.store_first(to, n);
    }
    #[inline(always)]
    unsafe fn half_add(self, b: Self) -> Self {
        self.add(b)
    }
    #[inline(always)]
    unsafe fn half_mul_add(self, b: Self, c: Self) -> Self {
        self.mul_add(b, c)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Half;
    use crate::lower::cpu::lanes::first_of_sixteen;
    use std::arch::x86_64::*;

    /// Eight floats with the masks of the wider set.
    #[derive(Clone, Copy)]
    pub struct HalfOf512(pub __m256);

    impl Half for HalfOf512 {
        #[inline(always)]
        unsafe fn zeros() -> Self {
            HalfOf512(_mm256_setzero_ps())
        }
        #[inline(always)]
        unsafe fn half_load(from: *const f32, n: usize) -> Self {
            HalfOf512(_mm256_maskz_loadu_ps(first_of_sixteen(n) as __mmask8, from))
        }
        #[inline(always)]
        unsafe fn half_store(self, to: *mut f32, n: usize) {
            _mm256_mask_storeu_ps(to, first_of_sixteen(n) as __mmask8, self.0);
        }
        #[inline(always)]
        unsafe fn half_add(self, b: Self) -> Self {
            HalfOf512(_mm256_add_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn half_mul_add(self, b: Self, c: Self) -> Self {
            HalfOf512(_mm256_fmadd_ps(self.0, b.0, c.0))
        }
    }
}
