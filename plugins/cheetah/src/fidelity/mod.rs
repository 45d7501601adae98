//! Is it the same robot as MuJoCo's? Tables, single motions, statistics over 100,000 steps, and the plugin's promises.

mod episodes;
mod learning;
mod motion;
mod readme;
mod statistics;
mod tables;
