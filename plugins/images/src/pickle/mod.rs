//! Python pickles with images, read as data.
//!
//! A pickle is a program for a stack machine that may call any function of Python's libraries. The machine here knows
//! the opcodes of protocols 2 to 5 that dictionaries, lists, numbers, texts and NumPy arrays need, and treats the six
//! functions that such pickles name as shapes to recognise; whatever else a pickle asks for is refused by name.
//! Nothing is ever executed. Sources: Python's `pickletools`, and `numpy.ndarray.__reduce__`.
//!
//! Long byte strings are not read while the machine runs: it notes where they are, and rows are read from there.

mod input;
mod layout;
mod machine;
mod object;

pub use layout::ImageRows;
