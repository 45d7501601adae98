//! Is it the same robot as MuJoCo's? Tables, single motions, stability, and the plugin's promises.

mod episodes;
mod motion;
mod readme;
mod stability;
mod tables;
