//! The only door to foreign code: find, inspect, load, call, check.
//!
//! ```text
//! SearchPath ─find─▶ path ─inspect─▶ PluginInfo ─load─▶ Plugin ─env, tasks, data─▶ instances, Send
//!                          reads the file; runs nothing      handshake
//! ```
//!
//! A library that does not fit is [`Error::Input`](crate::error::Error::Input), exit code 2; a call that fails once it
//! runs is [`Error::Run`](crate::error::Error::Run), exit code 1. `unsafe` in this room rests on the rules of
//! `plugins/sdk/include/mamlx_plugin.h`, which a plugin promises to keep by exporting its entry symbol.

mod call;
mod check;
mod data;
mod env;
mod find;
mod info;
mod inspect;
mod isolated;
mod load;
mod params;
pub mod places;
pub mod report;
mod tasks;

pub use check::{check, check_one, checks, trace};
pub use data::DataInstance;
pub use env::EnvInstance;
pub use find::SearchPath;
pub use info::PluginInfo;
pub use inspect::{described, inspect};
pub use isolated::{ended, worker};
pub use load::{Plugin, load};
pub use mamlx_plugin::checks::{Finding, Outcome};
pub use mamlx_plugin::{
    Class, DataSpaces, EnvSpaces, Field, Places, Role, Shape, Side, Split, TaskSpaces, View,
};
pub use tasks::TasksInstance;
