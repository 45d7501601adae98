//! A register full of floats, once for every instruction set.
//!
//! Kernels are written once over [`Lanes`] and compiled inside functions that switch the instruction set on
//! (see `isa`), into which everything here inlines.
//!
//! Safety, for the whole file: the methods may only run where the instruction set of the type is available, and
//! the pointers they take must be valid for the floats that they touch.

// One index runs over several arrays of eight in step.
#![allow(clippy::missing_safety_doc, clippy::needless_range_loop, unsafe_op_in_unsafe_fn)]

use super::half::Half;

/// Work that is compiled as a function of its own instead of into its caller. What is inlined everywhere makes
/// functions so large that compiling them takes minutes.
pub trait Apart {
    unsafe fn run<L: Lanes>(self);
}

/// Asks for a cache line before it is needed; it need not exist.
#[inline(always)]
pub fn prefetch(from: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and an address that is not valid does nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

pub trait Lanes: Copy {
    const WIDTH: usize;
    /// Whether loading and storing a part of a register costs no more than the whole.
    const MASKS: bool;
    /// Whether arithmetic on half a register takes half the time.
    const HALVES: bool;
    type Mask: Copy;
    /// Half a register, or a whole one where halves gain nothing.
    type Half: Half;

    /// Runs the work in a function that has the instruction set switched on.
    unsafe fn apart<W: Apart>(work: W);

    unsafe fn splat(x: f32) -> Self;
    /// One float in every lane.
    #[inline(always)]
    unsafe fn splat_from(from: *const f32) -> Self {
        Self::splat(*from)
    }
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// The first `n` floats, zeros after them; `n` is at most the width.
    unsafe fn load_first(from: *const f32, n: usize) -> Self;
    unsafe fn store_first(self, to: *mut f32, n: usize);

    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn div(self, b: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// self · b + c, rounded once where the processor can.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// self · b - c.
    unsafe fn mul_sub(self, b: Self, c: Self) -> Self;
    /// c - self · b.
    unsafe fn sub_from(self, b: Self, c: Self) -> Self;

    unsafe fn less(self, b: Self) -> Self::Mask;
    /// Not equal to zero; a NaN is not.
    unsafe fn not_zero(self) -> Self::Mask;
    unsafe fn is_nan(self) -> Self::Mask;
    unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    unsafe fn any(mask: Self::Mask) -> bool;

    unsafe fn and(self, b: Self) -> Self;
    unsafe fn or(self, b: Self) -> Self;
    /// The bits moved up by the 23 of the mantissa.
    unsafe fn bits_up(self) -> Self;
    unsafe fn bits_down(self) -> Self;

    /// The sum of all lanes, in one fixed order.
    unsafe fn total(self) -> f32;
    /// The first lanes.
    unsafe fn lower(self) -> Self::Half;

    /// Writes a square of 8 by 8 floats with rows and columns exchanged; rows lie `from_row` and `to_row` floats apart.
    #[inline(always)]
    unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for i in 0..8 {
            for j in 0..8 {
                *to.add(j * to_row + i) = *from.add(i * from_row + j);
            }
        }
    }

    #[inline(always)]
    unsafe fn bits(x: u32) -> Self {
        Self::splat(f32::from_bits(x))
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.and(Self::bits(0x7fff_ffff))
    }
}

/// Eight floats for the compiler to place: the path of every processor without one of its own here.
#[derive(Clone, Copy)]
pub struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn map(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = [0.0; 8];
        for i in 0..8 {
            out[i] = f(self.0[i], b.0[i]);
        }
        Portable(out)
    }

    #[inline(always)]
    fn map_bits(self, b: Self, f: impl Fn(u32, u32) -> u32) -> Self {
        self.map(b, |x, y| f32::from_bits(f(x.to_bits(), y.to_bits())))
    }

    #[inline(always)]
    fn test(self, b: Self, f: impl Fn(f32, f32) -> bool) -> [bool; 8] {
        let mut out = [false; 8];
        for i in 0..8 {
            out[i] = f(self.0[i], b.0[i]);
        }
        out
    }
}

/// x86 without FMA has no fused instruction, and the library call in its place is very slow.
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

impl Lanes for Portable {
    const WIDTH: usize = 8;
    const MASKS: bool = false;
    const HALVES: bool = false;
    type Mask = [bool; 8];
    type Half = Self;

    #[inline(never)]
    unsafe fn apart<W: Apart>(work: W) {
        work.run::<Self>();
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Portable([x; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Portable(from.cast::<[f32; 8]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; 8]>().write_unaligned(self.0);
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        let mut out = [0.0; 8];
        for (i, x) in out.iter_mut().enumerate().take(n) {
            *x = *from.add(i);
        }
        Portable(out)
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        for (i, x) in self.0.iter().enumerate().take(n) {
            *to.add(i) = *x;
        }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.map(b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        self.map(b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.map(b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        self.map(b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        self.map(self, |x, _| x.sqrt())
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        let mut out = c;
        for i in 0..8 {
            out.0[i] = fused(self.0[i], b.0[i], c.0[i]);
        }
        out
    }
    #[inline(always)]
    unsafe fn mul_sub(self, b: Self, c: Self) -> Self {
        self.mul_add(b, c.map(c, |x, _| -x))
    }
    #[inline(always)]
    unsafe fn sub_from(self, b: Self, c: Self) -> Self {
        self.map(self, |x, _| -x).mul_add(b, c)
    }
    #[inline(always)]
    unsafe fn less(self, b: Self) -> [bool; 8] {
        self.test(b, |x, y| x < y)
    }
    #[inline(always)]
    unsafe fn not_zero(self) -> [bool; 8] {
        self.test(self, |x, _| x != 0.0)
    }
    #[inline(always)]
    unsafe fn is_nan(self) -> [bool; 8] {
        self.test(self, |x, _| x.is_nan())
    }
    #[inline(always)]
    unsafe fn select(mask: [bool; 8], yes: Self, no: Self) -> Self {
        let mut out = no;
        for i in 0..8 {
            out.0[i] = if mask[i] { yes.0[i] } else { no.0[i] };
        }
        out
    }
    #[inline(always)]
    unsafe fn any(mask: [bool; 8]) -> bool {
        mask.iter().any(|x| *x)
    }
    #[inline(always)]
    unsafe fn and(self, b: Self) -> Self {
        self.map_bits(b, |x, y| x & y)
    }
    #[inline(always)]
    unsafe fn or(self, b: Self) -> Self {
        self.map_bits(b, |x, y| x | y)
    }
    #[inline(always)]
    unsafe fn bits_up(self) -> Self {
        self.map_bits(self, |x, _| x << 23)
    }
    #[inline(always)]
    unsafe fn bits_down(self) -> Self {
        self.map_bits(self, |x, _| x >> 23)
    }
    #[inline(always)]
    unsafe fn total(self) -> f32 {
        let x = self.0;
        ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
    }

    #[inline(always)]
    unsafe fn lower(self) -> Self {
        self
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512, first_of_sixteen};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::half::HalfOf512;
    use super::{Apart, Lanes};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Avx2(__m256);

    /// Eight ones, then eight zeros: a window on it masks the first `n` lanes.
    static FIRST: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline(always)]
    unsafe fn first(n: usize) -> __m256i {
        _mm256_loadu_si256(FIRST.as_ptr().add(8 - n).cast())
    }

    /// Pairs, then quadruples, then halves of the rows change places.
    #[inline(always)]
    unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        let row = |i: usize| _mm256_loadu_ps(from.add(i * from_row));
        let pairs = |i: usize| {
            let (x, y) = (row(i), row(i + 1));
            [_mm256_unpacklo_ps(x, y), _mm256_unpackhi_ps(x, y)]
        };
        let fours = |i: usize| {
            let ([a, b], [c, d]) = (pairs(i), pairs(i + 2));
            [
                _mm256_shuffle_ps::<0x44>(a, c),
                _mm256_shuffle_ps::<0xee>(a, c),
                _mm256_shuffle_ps::<0x44>(b, d),
                _mm256_shuffle_ps::<0xee>(b, d),
            ]
        };
        let (top, bottom) = (fours(0), fours(4));
        for i in 0..4 {
            let low = _mm256_permute2f128_ps::<0x20>(top[i], bottom[i]);
            let high = _mm256_permute2f128_ps::<0x31>(top[i], bottom[i]);
            _mm256_storeu_ps(to.add(i * to_row), low);
            _mm256_storeu_ps(to.add((i + 4) * to_row), high);
        }
    }

    impl Lanes for Avx2 {
        const WIDTH: usize = 8;
        const MASKS: bool = true;
        const HALVES: bool = false;
        type Mask = __m256;
        type Half = Self;

        #[inline(always)]
        unsafe fn apart<W: Apart>(work: W) {
            #[inline(never)]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn inner<W: Apart>(work: W) {
                work.run::<Avx2>();
            }
            inner(work);
        }

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            Avx2(_mm256_set1_ps(x))
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Avx2(_mm256_loadu_ps(from))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self.0);
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, n: usize) -> Self {
            Avx2(_mm256_maskload_ps(from, first(n)))
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, n: usize) {
            _mm256_maskstore_ps(to, first(n), self.0);
        }
        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            Avx2(_mm256_add_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn sub(self, b: Self) -> Self {
            Avx2(_mm256_sub_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn mul(self, b: Self) -> Self {
            Avx2(_mm256_mul_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn div(self, b: Self) -> Self {
            Avx2(_mm256_div_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            Avx2(_mm256_sqrt_ps(self.0))
        }
        #[inline(always)]
        unsafe fn mul_add(self, b: Self, c: Self) -> Self {
            Avx2(_mm256_fmadd_ps(self.0, b.0, c.0))
        }
        #[inline(always)]
        unsafe fn mul_sub(self, b: Self, c: Self) -> Self {
            Avx2(_mm256_fmsub_ps(self.0, b.0, c.0))
        }
        #[inline(always)]
        unsafe fn sub_from(self, b: Self, c: Self) -> Self {
            Avx2(_mm256_fnmadd_ps(self.0, b.0, c.0))
        }
        #[inline(always)]
        unsafe fn less(self, b: Self) -> __m256 {
            _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, b.0)
        }
        #[inline(always)]
        unsafe fn not_zero(self) -> __m256 {
            _mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0, _mm256_setzero_ps())
        }
        #[inline(always)]
        unsafe fn is_nan(self) -> __m256 {
            _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0)
        }
        #[inline(always)]
        unsafe fn select(mask: __m256, yes: Self, no: Self) -> Self {
            Avx2(_mm256_blendv_ps(no.0, yes.0, mask))
        }
        #[inline(always)]
        unsafe fn any(mask: __m256) -> bool {
            _mm256_movemask_ps(mask) != 0
        }
        #[inline(always)]
        unsafe fn and(self, b: Self) -> Self {
            Avx2(_mm256_and_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn or(self, b: Self) -> Self {
            Avx2(_mm256_or_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn bits_up(self) -> Self {
            Avx2(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(self.0))))
        }
        #[inline(always)]
        unsafe fn bits_down(self) -> Self {
            Avx2(_mm256_castsi256_ps(_mm256_srli_epi32::<23>(_mm256_castps_si256(self.0))))
        }
        #[inline(always)]
        unsafe fn total(self) -> f32 {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
        #[inline(always)]
        unsafe fn lower(self) -> Self {
            self
        }
        #[inline(always)]
        unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
            transpose_8(from, from_row, to, to_row);
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    #[inline(always)]
    pub fn first_of_sixteen(n: usize) -> __mmask16 {
        ((1u32 << n) - 1) as __mmask16
    }

    /// The compiler would fill the lower half from memory and spend an instruction of the arithmetic units on the rest
    /// where both are used.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn splat_from(from: *const f32) -> __m512 {
        let all;
        std::arch::asm!(
            "vbroadcastss {all}, dword ptr [{from}]",
            all = lateout(zmm_reg) all,
            from = in(reg) from,
            options(pure, readonly, nostack, preserves_flags),
        );
        all
    }

    impl Lanes for Avx512 {
        const WIDTH: usize = 16;
        const MASKS: bool = true;
        // Where 512 bits are computed as twice 256, and no slower than whole ones elsewhere.
        const HALVES: bool = true;
        type Mask = __mmask16;
        type Half = HalfOf512;

        #[inline(always)]
        unsafe fn apart<W: Apart>(work: W) {
            #[inline(never)]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
            unsafe fn inner<W: Apart>(work: W) {
                work.run::<Avx512>();
            }
            inner(work);
        }

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            Avx512(_mm512_set1_ps(x))
        }
        #[inline(always)]
        unsafe fn splat_from(from: *const f32) -> Self {
            Avx512(splat_from(from))
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Avx512(_mm512_loadu_ps(from))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm512_storeu_ps(to, self.0);
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, n: usize) -> Self {
            Avx512(_mm512_maskz_loadu_ps(first_of_sixteen(n), from))
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, n: usize) {
            _mm512_mask_storeu_ps(to, first_of_sixteen(n), self.0);
        }
        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            Avx512(_mm512_add_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn sub(self, b: Self) -> Self {
            Avx512(_mm512_sub_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn mul(self, b: Self) -> Self {
            Avx512(_mm512_mul_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn div(self, b: Self) -> Self {
            Avx512(_mm512_div_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            Avx512(_mm512_sqrt_ps(self.0))
        }
        #[inline(always)]
        unsafe fn mul_add(self, b: Self, c: Self) -> Self {
            Avx512(_mm512_fmadd_ps(self.0, b.0, c.0))
        }
        #[inline(always)]
        unsafe fn mul_sub(self, b: Self, c: Self) -> Self {
            Avx512(_mm512_fmsub_ps(self.0, b.0, c.0))
        }
        #[inline(always)]
        unsafe fn sub_from(self, b: Self, c: Self) -> Self {
            Avx512(_mm512_fnmadd_ps(self.0, b.0, c.0))
        }
        #[inline(always)]
        unsafe fn less(self, b: Self) -> __mmask16 {
            _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, b.0)
        }
        #[inline(always)]
        unsafe fn not_zero(self) -> __mmask16 {
            _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps())
        }
        #[inline(always)]
        unsafe fn is_nan(self) -> __mmask16 {
            _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0)
        }
        #[inline(always)]
        unsafe fn select(mask: __mmask16, yes: Self, no: Self) -> Self {
            Avx512(_mm512_mask_blend_ps(mask, no.0, yes.0))
        }
        #[inline(always)]
        unsafe fn any(mask: __mmask16) -> bool {
            mask != 0
        }
        #[inline(always)]
        unsafe fn and(self, b: Self) -> Self {
            Avx512(_mm512_and_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn or(self, b: Self) -> Self {
            Avx512(_mm512_or_ps(self.0, b.0))
        }
        #[inline(always)]
        unsafe fn bits_up(self) -> Self {
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self.0))))
        }
        #[inline(always)]
        unsafe fn bits_down(self) -> Self {
            Avx512(_mm512_castsi512_ps(_mm512_srli_epi32::<23>(_mm512_castps_si512(self.0))))
        }
        #[inline(always)]
        unsafe fn total(self) -> f32 {
            let high = _mm512_extractf32x8_ps::<1>(self.0);
            Avx2(_mm256_add_ps(_mm512_castps512_ps256(self.0), high)).total()
        }
        #[inline(always)]
        unsafe fn lower(self) -> HalfOf512 {
            HalfOf512(_mm512_castps512_ps256(self.0))
        }
        #[inline(always)]
        unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
            transpose_8(from, from_row, to, to_row);
        }
    }
}
