//! exp, log, tanh and sin as branch-free polynomials over a register of floats.
//!
//! The coefficients are our own weighted minimax fits (Lawson iteration in 40 digits, rounded to f32); the errors
//! in the comments are what the tests hold them to, against f64.

#![allow(clippy::missing_safety_doc, unsafe_op_in_unsafe_fn, clippy::excessive_precision)]

use super::lanes::Lanes;
use std::f64::consts::{LN_2, PI};

/// ln 2 in two parts: the first has few enough bits that an exponent times it is exact.
const LN_2_HIGH: f32 = 0.693_359_375;
const LN_2_LOW: f32 = (LN_2 - LN_2_HIGH as f64) as f32;

/// π in three parts of which the first two have 8 and 11 bits, so that their products with integers below 2¹³ are
/// exact also without a fused multiply-add.
const PI_HIGH: f32 = 3.140_625;
const PI_MIDDLE: f32 = 0.000_967_502_593_994_140_625;
const PI_LOW: f32 = (PI - PI_HIGH as f64 - PI_MIDDLE as f64) as f32;

/// Adding 1.5 · 2²³ rounds a small float to an integer and leaves that integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// (eʳ - 1 - r) / r² for |r| ≤ ln(2) / 2.
const EXP: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_389, 0.008_368_716_6, 0.001_381_458_9];

/// Above this, `sin` is left to the standard library.
const SIN_LIMIT: f32 = 1e4;

#[inline(always)]
unsafe fn polynomial<L: Lanes, const N: usize>(x: L, coefficients: [f32; N]) -> L {
    let mut sum = L::splat(coefficients[N - 1]);
    for c in coefficients[..N - 1].iter().rev() {
        sum = sum.mul_add(x, L::splat(*c));
    }
    sum
}

/// Relative error below 2e-7; 0 and ∞ where f32 ends, subnormal results included.
#[inline(always)]
pub unsafe fn exp<L: Lanes>(x: L) -> L {
    // Comparisons with NaN are false, so these clamps let NaN through.
    let (low, high) = (L::splat(-104.0), L::splat(89.0));
    let x = L::select(x.less(low), low, x);
    let x = L::select(high.less(x), high, x);
    let shifted = x.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(ROUND));
    let n = shifted.sub(L::splat(ROUND));
    let r = n.sub_from(L::splat(LN_2_HIGH), x);
    let r = n.sub_from(L::splat(LN_2_LOW), r);
    let p = polynomial(r, EXP);
    let y = p.mul_add(r.mul(r), r).add(L::splat(1.0));
    // 2ⁿ in two factors, because n leaves the range of one exponent at both ends.
    let half = n.mul_add(L::splat(0.5), L::splat(ROUND)).sub(L::splat(ROUND));
    y.mul(power_of_two(half)).mul(power_of_two(n.sub(half)))
}

/// 2ⁿ for an integer n in -126..=127.
#[inline(always)]
unsafe fn power_of_two<L: Lanes>(n: L) -> L {
    n.add(L::splat(ROUND + 127.0)).bits_up()
}

/// Relative error below 2e-7; log 0 = -∞, NaN below 0, subnormal arguments included.
#[inline(always)]
pub unsafe fn log<L: Lanes>(x: L) -> L {
    let tiny = x.less(L::splat(f32::MIN_POSITIVE));
    let scaled = L::select(tiny, x.mul(L::splat(8_388_608.0)), x);
    // x = m 2ᵉ with m in [√½, √2): the exponent field, and the mantissa under the exponent of ½.
    let field = scaled.bits_down().or(L::bits(0x4b00_0000)).sub(L::splat(8_388_608.0));
    let m = scaled.and(L::bits(0x007f_ffff)).or(L::splat(0.5));
    let bias = L::select(tiny, L::splat(126.0 + 23.0), L::splat(126.0));
    let small = m.less(L::splat(std::f32::consts::FRAC_1_SQRT_2));
    let e = field.sub(bias).sub(L::select(small, L::splat(1.0), L::splat(0.0)));
    let f = L::select(small, m.add(m), m).sub(L::splat(1.0));
    let p = polynomial(
        f,
        [
            0.333_333_13,
            -0.250_000_09,
            0.200_021_24,
            -0.166_680_08,
            0.142_194_43,
            -0.124_052_87,
            0.118_887_03,
            -0.116_778_51,
            0.067_481_525,
        ],
    );
    let square = f.mul(f);
    let y = p.mul(f).mul(square);
    let y = e.mul_add(L::splat(LN_2_LOW), y);
    let y = square.sub_from(L::splat(0.5), y);
    let y = e.mul_add(L::splat(LN_2_HIGH), f.add(y));
    let zero = L::splat(0.0);
    let y = L::select(x.less(zero), L::splat(f32::NAN), y);
    // +∞ and NaN are their own logarithms.
    let finite = x.less(L::splat(f32::INFINITY));
    let y = L::select(finite, y, x);
    L::select(x.not_zero(), y, L::splat(f32::NEG_INFINITY))
}

/// Relative error below 4e-7, also near 0.
///
/// With m = e²ˣ - 1, tanh x = m / (m + 2). For e²ˣ = 2ⁿ (1 + p), m = 2ⁿ p + (2ⁿ - 1), which near 0, where n = 0, is p
/// itself and loses nothing.
#[inline(always)]
pub unsafe fn tanh<L: Lanes>(x: L) -> L {
    let size = x.abs();
    let (one, top) = (L::splat(1.0), L::splat(20.0));
    let twice = size.add(size);
    // From 9.02 on tanh is 1 in f32; the clamp lets NaN through.
    let twice = L::select(top.less(twice), top, twice);
    let n = twice.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(ROUND)).sub(L::splat(ROUND));
    let r = n.sub_from(L::splat(LN_2_HIGH), twice);
    let r = n.sub_from(L::splat(LN_2_LOW), r);
    let p = polynomial(r, EXP).mul_add(r.mul(r), r);
    let scale = power_of_two(n);
    let m = scale.mul_add(p, scale.sub(one));
    m.div(m.add(L::splat(2.0))).or(x.and(L::bits(0x8000_0000)))
}

/// Absolute error below 2e-7 up to 1e4; beyond, the standard library's.
#[inline(always)]
pub unsafe fn sin<L: Lanes>(x: L) -> L {
    let shifted = x.mul_add(L::splat(std::f32::consts::FRAC_1_PI), L::splat(ROUND));
    let n = shifted.sub(L::splat(ROUND));
    let r = n.sub_from(L::splat(PI_HIGH), x);
    let r = n.sub_from(L::splat(PI_MIDDLE), r);
    let r = n.sub_from(L::splat(PI_LOW), r);
    let z = r.mul(r);
    let p = polynomial(z, [-0.166_666_67, 0.008_333_33, -0.000_198_408_04, 2.752_261_5e-6, -2.384_662_6e-8]);
    let y = p.mul(z).mul_add(r, r);
    // sin(r + nπ) = (-1)ⁿ sin r; n/2 is a whole number or lies half-way between two.
    let half = n.mul(L::splat(0.5));
    let apart = half.sub(half.add(L::splat(ROUND)).sub(L::splat(ROUND))).abs();
    let y = y.mul(apart.sub_from(L::splat(4.0), L::splat(1.0)));
    if L::any(L::splat(SIN_LIMIT).less(x.abs())) { sin_by_library(x) } else { y }
}

#[cold]
#[inline(never)]
fn library_sin(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = f64::from(*x).sin() as f32);
}

#[inline(always)]
unsafe fn sin_by_library<L: Lanes>(x: L) -> L {
    let mut values = [0.0; 16];
    x.store(values.as_mut_ptr());
    library_sin(&mut values[..L::WIDTH]);
    L::load(values.as_ptr())
}
