//! The interpreter of [`Map`]s, generic over the register type.

#![allow(unsafe_op_in_unsafe_fn)]

use super::kernel::Bases;
use super::lanes::{Lanes, prefetch};
use super::map::{Arg, Code, Instr, MAX_SCALARS, MAX_SLOTS, MAX_STRIDED, Map, Scalar};
use super::math;
use super::runs::{self, Walk};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Floats of a cache line.
const LINE: usize = 16;
/// A map over so many floats works on tensors that no cache of a core's own holds, and asks for them a tile ahead: the
/// processor's own foresight ends at every page, and where the instructions of a tile begin.
const LONG: usize = 1 << 18;

/// Runs a map.
///
/// # Safety
/// As [`super::kernel::Kernel::run`]; `L`'s instruction set is switched on in the caller.
#[inline(always)]
pub unsafe fn execute<L: Lanes>(_: PhantomData<L>, map: &Map, bases: &Bases<'_>) {
    let total = map.total();
    let mut slots = [std::ptr::null_mut::<f32>(); MAX_SLOTS];
    let mut scalars = [0.0f32; MAX_SCALARS];
    for (value, scalar) in scalars.iter_mut().zip(&map.scalars) {
        *value = match scalar {
            Scalar::Number(x) => *x,
            Scalar::At(at) if total > 0 => *bases.at(*at),
            Scalar::At(_) => 0.0,
        };
    }
    // Tile registers lie at the start of the scratch memory, which is base 0.
    let (registers, stride) = (bases.0[0], map.register_stride());
    for (i, slot) in slots.iter_mut().enumerate().take(usize::from(map.registers)) {
        *slot = registers.add(i * stride);
    }
    for (result, meet) in map.scattered.iter().filter(|(result, _)| !result.begun) {
        runs::begin(bases.at(result.at), &map.lengths, &result.strides, *meet);
    }
    // How much of the next tile is asked for before each instruction, so that memory and arithmetic take turns.
    let long = total >= LONG && !map.code.is_empty();
    let share = if long { map.tile.div_ceil(map.code.len()).next_multiple_of(LINE) } else { 0 };
    let mut walks = [const { MaybeUninit::<Walk<'_>>::uninit() }; MAX_STRIDED];
    let strided = map.gathered.iter().chain(map.scattered.iter().map(|(result, _)| result));
    for (walk, strided) in walks.iter_mut().zip(strided) {
        walk.write(Walk::begin(&map.lengths, &strided.strides, map.tile));
    }
    let (gathering, scattering) = walks.split_at_mut(map.gathered.len());
    let mut start = 0;
    while start < total {
        let count = map.tile.min(total - start);
        for leaf in map.leaves.iter().chain(&map.results) {
            slots[usize::from(leaf.slot)] = bases.at(leaf.at).add(start);
        }
        for (leaf, walk) in map.gathered.iter().zip(&mut *gathering) {
            let walk = walk.assume_init_mut();
            // A leaf that repeats itself from tile to tile is gathered once.
            if start == 0 || !walk.repeats {
                runs::gather::<L>(bases.at(leaf.at), slots[usize::from(leaf.slot)], walk, count);
            }
        }
        let next = if share > 0 { map.tile.min(total - start - count) } else { 0 };
        let mut asked = 0;
        for instr in &map.code {
            let end = next.min(asked + share);
            while asked < end {
                // Line by line: in bursts some of them are forgotten.
                for leaf in map.leaves.iter().chain(&map.results) {
                    prefetch(slots[usize::from(leaf.slot)].add(count + asked));
                }
                asked += LINE;
            }
            run::<L>(instr, &slots, &scalars, count);
        }
        for ((result, meet), walk) in map.scattered.iter().zip(&mut *scattering) {
            let from = slots[usize::from(result.slot)].cast_const();
            runs::scatter::<L>(from, bases.at(result.at), walk.assume_init_mut(), count, *meet);
        }
        start += count;
    }
}

/// Where the lanes of an argument come from.
trait Source<L: Lanes>: Copy {
    unsafe fn at(self, i: usize) -> L;
    unsafe fn first(self, i: usize, n: usize) -> L;
}

#[derive(Clone, Copy)]
struct Tile(*const f32);

#[derive(Clone, Copy)]
struct Number<L>(L);

impl<L: Lanes> Source<L> for Tile {
    #[inline(always)]
    unsafe fn at(self, i: usize) -> L {
        L::load(self.0.add(i))
    }
    #[inline(always)]
    unsafe fn first(self, i: usize, n: usize) -> L {
        L::load_first(self.0.add(i), n)
    }
}

impl<L: Lanes> Source<L> for Number<L> {
    #[inline(always)]
    unsafe fn at(self, _: usize) -> L {
        self.0
    }
    #[inline(always)]
    unsafe fn first(self, _: usize, _: usize) -> L {
        self.0
    }
}

/// Four registers at a time: with one, more instructions count and jump than compute.
#[inline(always)]
unsafe fn each<L: Lanes>(to: *mut f32, n: usize, f: impl Fn(usize) -> L, last: impl Fn(usize, usize) -> L) {
    let (mut i, w) = (0, L::WIDTH);
    let fours = n - n % (4 * w);
    while i < fours {
        let (a, b, c, d) = (f(i), f(i + w), f(i + 2 * w), f(i + 3 * w));
        a.store(to.add(i));
        b.store(to.add(i + w));
        c.store(to.add(i + 2 * w));
        d.store(to.add(i + 3 * w));
        i += 4 * w;
    }
    while i + w <= n {
        f(i).store(to.add(i));
        i += w;
    }
    if i < n {
        last(i, n - i).store_first(to.add(i), n - i);
    }
}

#[inline(always)]
unsafe fn one<L: Lanes>(to: *mut f32, n: usize, a: *const f32, f: impl Fn(L) -> L) {
    let a = Tile(a);
    each(to, n, |i| f(a.at(i)), |i, n| f(a.first(i, n)));
}

#[inline(always)]
unsafe fn two<L: Lanes>(to: *mut f32, n: usize, a: impl Source<L>, b: impl Source<L>, f: impl Fn(L, L) -> L) {
    each(to, n, |i| f(a.at(i), b.at(i)), |i, n| f(a.first(i, n), b.first(i, n)));
}

#[inline(always)]
unsafe fn three<L: Lanes>(
    to: *mut f32,
    n: usize,
    a: impl Source<L>,
    b: impl Source<L>,
    c: impl Source<L>,
    f: impl Fn(L, L, L) -> L,
) {
    let last = |i, n| f(a.first(i, n), b.first(i, n), c.first(i, n));
    each(to, n, |i| f(a.at(i), b.at(i), c.at(i)), last);
}

/// A function whose body is too long for the compiler to inline out of a closure: outside the function that
/// switches the instruction set on, its intrinsics would be calls.
trait Function {
    unsafe fn of<L: Lanes>(x: L) -> L;
}

macro_rules! functions {
    ($($name:ident $function:path;)*) => {$(
        struct $name;
        impl Function for $name {
            #[inline(always)]
            unsafe fn of<L: Lanes>(x: L) -> L {
                $function(x)
            }
        }
    )*};
}

functions! {
    Exp math::exp;
    Log math::log;
    Sin math::sin;
    Tanh math::tanh;
}

#[inline(always)]
unsafe fn function<L: Lanes, F: Function>(to: *mut f32, n: usize, a: *const f32) {
    let mut i = 0;
    while i < n {
        let left = n - i;
        let whole = left >= L::WIDTH;
        let x = if whole { L::load(a.add(i)) } else { L::load_first(a.add(i), left) };
        let y = F::of(x);
        if whole {
            y.store(to.add(i));
        } else {
            y.store_first(to.add(i), left);
        }
        i += L::WIDTH;
    }
}

/// Every mixture of tiles and numbers that the compiler of maps emits for two arguments.
#[inline(always)]
unsafe fn mixed<L: Lanes>(
    to: *mut f32,
    n: usize,
    a: Arg,
    b: Arg,
    slots: &[*mut f32; MAX_SLOTS],
    scalars: &[f32; MAX_SCALARS],
    f: impl Fn(L, L) -> L,
) {
    let tile = |i: u8| Tile(slots[usize::from(i)]);
    let number = |i: u8| Number(L::splat(scalars[usize::from(i)]));
    match (a, b) {
        (Arg::Tile(a), Arg::Tile(b)) => two(to, n, tile(a), tile(b), f),
        (Arg::Tile(a), Arg::Scalar(b)) => two(to, n, tile(a), number(b), f),
        (Arg::Scalar(a), Arg::Tile(b)) => two(to, n, number(a), tile(b), f),
        (Arg::Scalar(a), Arg::Scalar(b)) => two(to, n, number(a), number(b), f),
    }
}

/// The same for three arguments, of which the first is a tile.
#[inline(always)]
unsafe fn mixed_three<L: Lanes>(
    to: *mut f32,
    n: usize,
    args: [Arg; 3],
    slots: &[*mut f32; MAX_SLOTS],
    scalars: &[f32; MAX_SCALARS],
    f: impl Fn(L, L, L) -> L,
) {
    let tile = |i: u8| Tile(slots[usize::from(i)]);
    let number = |i: u8| Number(L::splat(scalars[usize::from(i)]));
    let Arg::Tile(a) = args[0] else { return };
    match (args[1], args[2]) {
        (Arg::Tile(b), Arg::Tile(c)) => three(to, n, tile(a), tile(b), tile(c), f),
        (Arg::Tile(b), Arg::Scalar(c)) => three(to, n, tile(a), tile(b), number(c), f),
        (Arg::Scalar(b), Arg::Tile(c)) => three(to, n, tile(a), number(b), tile(c), f),
        (Arg::Scalar(b), Arg::Scalar(c)) => three(to, n, tile(a), number(b), number(c), f),
    }
}

#[inline(always)]
unsafe fn run<L: Lanes>(
    instr: &Instr,
    slots: &[*mut f32; MAX_SLOTS],
    scalars: &[f32; MAX_SCALARS],
    n: usize,
) {
    let to = slots[usize::from(instr.to)];
    let [a, b, _] = instr.args;
    let tile = match a {
        Arg::Tile(slot) => slots[usize::from(slot)].cast_const(),
        Arg::Scalar(_) => std::ptr::null(),
    };
    let zero = L::splat(0.0);
    match instr.code {
        Code::Copy => match a {
            Arg::Tile(_) => one::<L>(to, n, tile, |x| x),
            Arg::Scalar(i) => {
                let x = L::splat(scalars[usize::from(i)]);
                each(to, n, |_| x, |_, _| x);
            }
        },
        Code::Neg => one::<L>(to, n, tile, |x| L::splat(-0.0).sub(x)),
        Code::Recip => one::<L>(to, n, tile, |x| L::splat(1.0).div(x)),
        Code::Sqrt => one::<L>(to, n, tile, |x| x.sqrt()),
        Code::Exp => function::<L, Exp>(to, n, tile),
        Code::Log => function::<L, Log>(to, n, tile),
        Code::Sin => function::<L, Sin>(to, n, tile),
        Code::Tanh => function::<L, Tanh>(to, n, tile),
        // Comparisons with NaN are false, so NaN stays.
        Code::Relu => one::<L>(to, n, tile, |x| L::select(x.less(zero), zero, x)),
        Code::Add => mixed::<L>(to, n, a, b, slots, scalars, |x, y| x.add(y)),
        Code::Sub => mixed::<L>(to, n, a, b, slots, scalars, |x, y| x.sub(y)),
        Code::Mul => mixed::<L>(to, n, a, b, slots, scalars, |x, y| x.mul(y)),
        Code::Div => mixed::<L>(to, n, a, b, slots, scalars, |x, y| x.div(y)),
        Code::Max => mixed::<L>(to, n, a, b, slots, scalars, |x, y| maximum(x, y)),
        Code::Less => {
            mixed::<L>(to, n, a, b, slots, scalars, |x, y| L::select(x.less(y), L::splat(1.0), zero));
        }
        Code::Select => {
            let select = |mask: L, yes, no| L::select(mask.not_zero(), yes, no);
            mixed_three::<L>(to, n, instr.args, slots, scalars, select);
        }
        Code::MulAdd => mixed_three::<L>(to, n, instr.args, slots, scalars, |x, y, z| x.mul_add(y, z)),
        Code::MulSub => mixed_three::<L>(to, n, instr.args, slots, scalars, |x, y, z| x.mul_sub(y, z)),
        Code::SubMul => mixed_three::<L>(to, n, instr.args, slots, scalars, |x, y, z| x.sub_from(y, z)),
    }
}

/// The larger; a NaN on either side wins, as in the rows `max` and `max_reduce` of the op table.
#[inline(always)]
pub unsafe fn maximum<L: Lanes>(x: L, y: L) -> L {
    let larger = L::select(y.less(x), x, y);
    L::select(x.is_nan(), x, larger)
}
