//! Room `data`: bringing data sets to this machine, and looking at them.
//!
//! | file | what |
//! |---|---|
//! | `published` | the files that can be fetched, with their homes and checksums |
//! | `fetch` | downloads with resume, checked before they get their names |
//! | `import` | copies of local files, checked by the plugin that will read them |
//! | `info`, `sheet` | what a data set holds, in words and as a picture of a task |
//!
//! Nothing here knows how a data set is read: that is its plugin's business.

pub mod fetch;
pub mod import;
pub mod info;
pub mod published;
pub mod sheet;
