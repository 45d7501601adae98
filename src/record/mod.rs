//! Room `record`: numbers → bytes. Rows, files, checkpoints, statistics, pictures; no tensors, no plugins.
//!
//! | file | what it turns into what |
//! |---|---|
//! | `number` | a float → the shortest text that parses back to it |
//! | `row` | typed rows and the header of every CSV |
//! | `read` | a CSV of ours → rows |
//! | `csv_file` | rows → an append-only file that can be cut back to a recorded length |
//! | `disk` | bytes → a file that is either the old one or the new one |
//! | `lock` | one process per run folder |
//! | `folder` | the run folder: everything a run writes goes through it |
//! | `bytes` | little-endian packing with checked reading |
//! | `checkpoint` | a checkpoint ↔ checksummed bytes |
//! | `generations` | `checkpoint.N` on disk: save, find the newest whole one, sweep |
//! | `manifest` | `run.json` |
//! | `weights` | `weights.safetensors` |
//! | `stats` | values → mean and 95 % interval |
//! | `bootstrap` | scores of runs × tasks → interquartile mean and its interval |
//! | `compare` | rows of two `eval.csv` → paired differences |
//! | `verdict` | a mean and a published number → how they stand |
//! | `page` | runs → one self-contained HTML page |
//! | `paper` | runs of the paper's experiments → one table and one page beside the published numbers |
//! | `seeds` | rows of several `summary.csv` → one summary over seeds |
//! | `sweep` | summaries of a sweep's runs → one table |
//! | `breakdown` | rows of `eval.csv` → groups of them by a parameter of the task |
//! | `summary` | rows of `eval.csv` → rows of `summary.csv` |
//! | `curves` | rows of `summary.csv` → the closing table and the pictures |
//! | `picture` | curves → SVG |
//! | `figures` | a page → its pictures as files |
//! | `raster` | SVG → PNG |
//! | `scene` | films of episodes → GIF, HTML, SVG |
//! | `note` | rows of one evaluation → a line or two for who watches |
//! | `table` | cells → aligned text |
//! | `progress` | where a run stands → one line on stderr |

pub mod answers;
pub mod bootstrap;
pub mod breakdown;
pub mod bytes;
pub mod checkpoint;
pub mod compare;
pub mod csv_file;
pub mod curves;
pub mod disk;
pub mod figures;
pub mod folder;
pub mod generations;
pub mod lock;
pub mod manifest;
pub mod note;
pub mod number;
pub mod page;
pub mod paper;
pub mod picture;
pub mod progress;
pub mod raster;
pub mod read;
pub mod row;
pub mod scene;
pub mod seeds;
pub mod stats;
pub mod summary;
pub mod sweep;
pub mod table;
pub mod verdict;
pub mod weights;

pub use bytes::{Packer, Short, Unpacker};
pub use checkpoint::{Checkpoint, Lengths, Stamp};
pub use folder::RunFolder;
pub use manifest::{DataRecord, GradientRecord, Host, Manifest, PluginRecord, Status};
pub use picture::{Picture, Published, Series};
pub use progress::Progress;
pub use row::{EvalRow, Identity, Metric, SummaryRow, TimingRow, TrainRow};
pub use summary::{Against, Comparison, SummaryKey, summarise};
pub use table::Table;
pub use weights::{Tensor, Weights};
