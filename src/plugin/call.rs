//! From a failed call to the error that the user sees.

use crate::error::Error;
use mamlx_plugin::abi;
use mamlx_plugin::caller::Failure;

/// A call while an instance is made: a panic is a failed run, all else a plugin or a parameter that does not fit.
pub fn while_creating(id: &str, failure: &Failure) -> Error {
    let text = format!("plugin `{id}`: {failure}");
    if failure.status == abi::PANIC { Error::Run(text) } else { Error::Input(text) }
}

/// A call of a run. `place` says where in the batch, such as ` in slot 3 (seed 17)`.
pub fn while_running(id: &str, failure: &Failure, place: &str) -> Error {
    Error::Run(format!("plugin `{id}`{place}: {failure}"))
}

/// Position of the first number that is NaN or infinite: one pass without branches, and a second one only then.
pub fn first_not_finite(numbers: &[f32]) -> Option<usize> {
    const EXPONENT: u32 = 0x7f80_0000;
    let bad = numbers.iter().fold(false, |bad, number| bad | (number.to_bits() & EXPONENT == EXPONENT));
    if bad { numbers.iter().position(|number| !number.is_finite()) } else { None }
}
