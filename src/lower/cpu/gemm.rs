//! The matrix product: register blocks over strided operands.
//!
//! A block of up to 8 rows by 3 registers of the result stays in registers while the inner axis runs. The left side
//! is read one float at a time, so any strides will do for it. The right side is read in registers along its rows;
//! where its columns do not lie next to each other, or its rows lie far apart, a panel of it is packed first into
//! the start of the scratch memory.
//!
//! The order of additions in each element depends on the shape alone: results do not depend on alignment.

#![allow(unsafe_op_in_unsafe_fn)]

use super::half::Half;
use super::lanes::{Apart, Lanes};

/// A matrix in memory: the next row and the next column lie so many floats on.
#[derive(Clone, Copy)]
pub struct Matrix {
    pub start: *const f32,
    pub row: usize,
    pub column: usize,
}

/// What a product is added to: rows that lie so many floats apart, the result's own or one row again and again.
#[derive(Clone, Copy)]
pub struct Plus {
    pub from: *const f32,
    pub row: usize,
}

/// Inner length of one pass: a panel of the right side (this many rows of three registers) fits into the first-level
/// cache beside what is read of the left side.
const INNER: usize = 128;
/// Registers of a row of a block.
const REGISTERS: usize = 3;
/// Floats of the widest register.
const WIDEST: usize = 16;
/// Rows farther apart than this many floats leave the reach of the address cache before a panel is through.
const FAR: usize = 256;
/// Packing pays off from so many rows of the left side on.
const PACK_ROWS: usize = 16;
/// Results with up to so many columns are computed transposed where the left side allows it.
const NARROW: usize = 8;

/// Floats that [`gemm`] may use for packing.
pub fn pack_floats(m: usize, n: usize, k: usize) -> usize {
    let panel = k.min(INNER) * n.next_multiple_of(WIDEST).min(REGISTERS * WIDEST);
    let swapped = k.min(INNER) * m.next_multiple_of(WIDEST).min(REGISTERS * WIDEST) + m * NARROW;
    if n <= NARROW { panel.max(swapped) } else { panel }
}

/// `to` (m × n, dense rows) = a · b, or a · b + `plus`.
///
/// # Safety
/// The matrices are valid for their sizes, `to` overlaps neither, `plus` is valid and `to` itself or apart from it, `pack` has room for [`pack_floats`], and the
/// instruction set of `L` is switched on.
#[inline(always)]
pub unsafe fn gemm<L: Lanes>(
    [m, n, k]: [usize; 3],
    a: Matrix,
    b: Matrix,
    to: *mut f32,
    plus: Option<Plus>,
    pack: *mut f32,
) {
    if n == 1 && a.column == 1 && b.row == 1 && m > 1 {
        return dots::<L>(m, k, a, b.start, to, plus);
    }
    // (A B)ᵀ = Bᵀ Aᵀ: whole registers along m instead of a fraction of one along n. A single column lies in memory
    // as a row does; more of them are computed beside what is packed, and turned back.
    let narrow = n <= NARROW && n < m && a.row == 1;
    let turned = |x: Matrix| Matrix { start: x.start, row: x.column, column: x.row };
    let beside = narrow && (n > 1 || plus.is_some_and(|plus| plus.row != n));
    let (shape, left, right) = if narrow { ([n, m, k], turned(b), turned(a)) } else { ([m, n, k], a, b) };
    let (result, rest) = if beside { (pack, pack.add(m * n)) } else { (to, pack) };
    // One call: its blocks are compiled once for every instruction set.
    blocks::<L>(shape, left, right, result, plus.filter(|_| !beside), rest);
    if beside {
        for i in 0..m {
            for j in 0..n {
                let y = *pack.add(j * m + i);
                *to.add(i * n + j) = plus.map_or(y, |plus| *plus.from.add(i * plus.row + j) + y);
            }
        }
    }
}

/// One column of results: a dot product each, four rows at a time.
#[inline(always)]
unsafe fn dots<L: Lanes>(m: usize, k: usize, a: Matrix, b: *const f32, to: *mut f32, plus: Option<Plus>) {
    let mut row = 0;
    while row < m {
        let rows = (m - row).min(4);
        let mut sums = [L::splat(0.0); 4];
        let mut p = 0;
        while p < k {
            let left = k - p;
            let whole = left >= L::WIDTH;
            let y = if whole { L::load(b.add(p)) } else { L::load_first(b.add(p), left) };
            for (r, sum) in sums.iter_mut().enumerate() {
                // Rows beyond the last are the last again, and not stored.
                let from = a.start.add((row + r.min(rows - 1)) * a.row + p);
                let x = if whole { L::load(from) } else { L::load_first(from, left) };
                *sum = x.mul_add(y, *sum);
            }
            p += L::WIDTH;
        }
        for (r, sum) in sums.iter().enumerate().take(rows) {
            let (at, y) = (row + r, sum.total());
            *to.add(at) = plus.map_or(y, |plus| *plus.from.add(at * plus.row) + y);
        }
        row += rows;
    }
}

/// Part `i` of `whole` things in `parts` parts whose sizes differ by at most one: where it begins.
#[inline(always)]
fn begin(i: usize, whole: usize, parts: usize) -> usize {
    i * (whole / parts) + i.min(whole % parts)
}

#[inline(always)]
unsafe fn blocks<L: Lanes>(
    [m, n, k]: [usize; 3],
    a: Matrix,
    b: Matrix,
    to: *mut f32,
    plus: Option<Plus>,
    pack: *mut f32,
) {
    let registers = n.div_ceil(L::WIDTH);
    let panels = registers.div_ceil(REGISTERS);
    let passes = k.div_ceil(INNER);
    for panel in 0..panels {
        let first = begin(panel, registers, panels);
        let width = begin(panel + 1, registers, panels) - first;
        let column = first * L::WIDTH;
        let columns = (n - column).min(width * L::WIDTH);
        for pass in 0..passes {
            let from = begin(pass, k, passes);
            let inner = begin(pass + 1, k, passes) - from;
            let mut right = b.start.add(from * b.row + column * b.column);
            let mut right_row = b.row;
            if b.column != 1 || (b.row > FAR && m >= PACK_ROWS) {
                right_row = width * L::WIDTH;
                packed::<L>(inner, columns, Matrix { start: right, ..b }, pack, right_row);
                right = pack.cast_const();
            }
            let left = Matrix { start: a.start.add(from * a.column), ..a };
            // The floats of the last register, from 1 up to all of them.
            let tail = columns - (width - 1) * L::WIDTH;
            let result = to.add(column);
            let plus = match pass {
                0 => plus.map(|plus| Plus { from: plus.from.add(column), ..plus }),
                _ => Some(Plus { from: result.cast_const(), row: n }),
            };
            match width {
                1 => panel_of::<L, 1, 8>([m, inner], left, right, right_row, result, n, tail, plus),
                2 if L::WIDTH == WIDEST => {
                    panel_of::<L, 2, 8>([m, inner], left, right, right_row, result, n, tail, plus);
                }
                2 => panel_of::<L, 2, 6>([m, inner], left, right, right_row, result, n, tail, plus),
                _ if L::WIDTH == WIDEST => {
                    panel_of::<L, 3, 8>([m, inner], left, right, right_row, result, n, tail, plus);
                }
                _ => panel_of::<L, 3, 4>([m, inner], left, right, right_row, result, n, tail, plus),
            }
        }
    }
}

/// All rows of one panel, in blocks of at most `ROWS`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn panel_of<L: Lanes, const V: usize, const ROWS: usize>(
    [m, k]: [usize; 2],
    a: Matrix,
    b: *const f32,
    b_row: usize,
    to: *mut f32,
    to_row: usize,
    tail: usize,
    plus: Option<Plus>,
) {
    let parts = m.div_ceil(ROWS);
    for part in 0..parts {
        let row = begin(part, m, parts);
        let rows = begin(part + 1, m, parts) - row;
        let a = Matrix { start: a.start.add(row * a.row), ..a };
        let to = to.add(row * to_row);
        let plus = plus.map(|plus| Plus { from: plus.from.add(row * plus.row), ..plus });
        macro_rules! rows {
            ($($r:literal)*) => {
                // Where masks cost nothing the blocks of whole registers exist only once, with a mask.
                if L::HALVES && 2 * tail <= L::WIDTH {
                    rows!(HALF: $($r)*)
                } else if L::MASKS || tail < L::WIDTH {
                    rows!(TAIL: $($r)*)
                } else {
                    rows!(WHOLE: $($r)*)
                }
            };
            ($edge:ident: $($r:literal)*) => {
                match rows {
                    $($r => L::apart(Block::<V, $r, $edge> { k, a, b, b_row, to, to_row, tail, plus }),)*
                    _ => {}
                }
            };
        }
        if ROWS > 6 {
            rows!(1 2 3 4 5 6 7 8)
        } else if ROWS > 4 {
            rows!(1 2 3 4 5 6)
        } else {
            rows!(1 2 3 4)
        }
    }
}

/// What the last register of a block's rows is: whole,
const WHOLE: u8 = 0;
/// a whole one with only `tail` floats in it,
const TAIL: u8 = 1;
/// or half a register with only `tail` floats.
const HALF: u8 = 2;

/// R rows by V registers of the result.
struct Block<const V: usize, const R: usize, const EDGE: u8> {
    k: usize,
    a: Matrix,
    b: *const f32,
    b_row: usize,
    to: *mut f32,
    to_row: usize,
    tail: usize,
    plus: Option<Plus>,
}

impl<const V: usize, const R: usize, const EDGE: u8> Apart for Block<V, R, EDGE> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Block { k, a, b, b_row, to, to_row, tail, plus } = self;
        let last = |v: usize| EDGE == TAIL && v + 1 == V;
        let whole = if EDGE == HALF { V - 1 } else { V };
        let mut sums = [[L::splat(0.0); V]; R];
        let mut halves = [L::Half::zeros(); R];
        let (mut left, mut right) = (a.start, b);
        for _ in 0..k {
            let mut row = [L::splat(0.0); V];
            for (v, x) in row.iter_mut().enumerate().take(whole) {
                let from = right.add(v * L::WIDTH);
                *x = if last(v) { L::load_first(from, tail) } else { L::load(from) };
            }
            let half = match EDGE {
                HALF => L::Half::half_load(right.add(whole * L::WIDTH), tail),
                _ => L::Half::zeros(),
            };
            for (r, sums) in sums.iter_mut().enumerate() {
                let from = left.add(r * a.row);
                let x = if EDGE == HALF && V > 1 { L::splat_from(from) } else { L::splat(*from) };
                for (sum, y) in sums.iter_mut().zip(row).take(whole) {
                    *sum = x.mul_add(y, *sum);
                }
                if EDGE == HALF {
                    halves[r] = x.lower().half_mul_add(half, halves[r]);
                }
            }
            left = left.add(a.column);
            right = right.add(b_row);
        }
        for (r, sums) in sums.iter().enumerate() {
            let to = to.add(r * to_row);
            let plus = plus.map(|plus| plus.from.add(r * plus.row));
            for (v, sum) in sums.iter().enumerate().take(whole) {
                let (to, plus) = (to.add(v * L::WIDTH), plus.map(|from| from.add(v * L::WIDTH)));
                if last(v) {
                    let sum = plus.map_or(*sum, |from| sum.add(L::load_first(from, tail)));
                    sum.store_first(to, tail);
                } else {
                    let sum = plus.map_or(*sum, |from| sum.add(L::load(from)));
                    sum.store(to);
                }
            }
            if EDGE == HALF {
                let (to, plus) = (to.add(whole * L::WIDTH), plus.map(|from| from.add(whole * L::WIDTH)));
                let half = halves[r];
                let sum = plus.map_or(half, |from| half.half_add(L::Half::half_load(from, tail)));
                sum.half_store(to, tail);
            }
        }
    }
}

/// Copies `rows` x `columns` of a matrix into dense rows of `width`.
#[inline(always)]
unsafe fn packed<L: Lanes>(rows: usize, columns: usize, from: Matrix, to: *mut f32, width: usize) {
    if from.column == 1 {
        for row in 0..rows {
            let (from, to) = (from.start.add(row * from.row), to.add(row * width));
            let mut i = 0;
            while i < columns {
                if columns - i >= L::WIDTH {
                    L::load(from.add(i)).store(to.add(i));
                } else {
                    L::load_first(from.add(i), columns - i).store_first(to.add(i), columns - i);
                }
                i += L::WIDTH;
            }
        }
        return;
    }
    // Squares of 8 by 8 where the matrix lies transposed, single floats at the edges and elsewhere.
    let (down, across) = if from.row == 1 { (rows / 8 * 8, columns / 8 * 8) } else { (0, 0) };
    for column in (0..across).step_by(8) {
        for row in (0..down).step_by(8) {
            let square = from.start.add(row + column * from.column);
            L::transpose_8(square, from.column, to.add(row * width + column), width);
        }
    }
    for row in 0..rows {
        let first = if row < down { across } else { 0 };
        for column in first..columns {
            *to.add(row * width + column) = *from.start.add(row * from.row + column * from.column);
        }
    }
}
