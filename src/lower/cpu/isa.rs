//! Instruction sets, chosen once when a program is made.

use std::fmt;

/// What the kernels may use. Each is one compilation of the same generic code over [`super::lanes`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// What every processor of the architecture has (SSE2 on x86-64, NEON on aarch64).
    Portable,
    /// 8 floats and fused multiply-add.
    Avx2,
    /// 16 floats, masks, and fused multiply-add.
    Avx512,
}

impl Isa {
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The best one that this processor has.
    pub fn detect() -> Isa {
        if Isa::Avx512.available() {
            Isa::Avx512
        } else if Isa::Avx2.available() {
            Isa::Avx2
        } else {
            Isa::Portable
        }
    }

    pub fn available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

/// Compiles a generic kernel body once for every instruction set and calls the one asked for.
///
/// `dispatch!(isa, body, (name: Type = value, …))` calls `body(PhantomData::<L>, value, …)` where `L` is the
/// register type of `isa`. The caller promises that `isa` is available.
macro_rules! dispatch {
    ($isa:expr, $body:path, ($($arg:ident : $type:ty = $value:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
        unsafe fn avx512($($arg: $type),*) {
            // SAFETY: the caller of the outer function keeps the contract of the body.
            unsafe { $body(std::marker::PhantomData::<crate::lower::cpu::lanes::Avx512>, $($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($arg: $type),*) {
            // SAFETY: as above.
            unsafe { $body(std::marker::PhantomData::<crate::lower::cpu::lanes::Avx2>, $($arg),*) }
        }
        unsafe fn portable($($arg: $type),*) {
            // SAFETY: as above.
            unsafe { $body(std::marker::PhantomData::<crate::lower::cpu::lanes::Portable>, $($arg),*) }
        }
        // SAFETY: the caller promises that the instruction set is available and keeps the contract of the body.
        unsafe {
            match $isa {
                #[cfg(target_arch = "x86_64")]
                crate::lower::cpu::Isa::Avx512 => avx512($($value),*),
                #[cfg(target_arch = "x86_64")]
                crate::lower::cpu::Isa::Avx2 => avx2($($value),*),
                _ => portable($($value),*),
            }
        }
    }};
}
pub(super) use dispatch;
