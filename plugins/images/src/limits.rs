//! What a set of images may cost. Everything real is far below: Omniglot has 32,460 images of 300 bytes,
//! MiniImagenet 60,000 of 100 KB.

/// Members of an archive or files of a folder.
pub const MEMBERS: u64 = 300_000;
/// Bytes of an archive's list of members.
pub const DIRECTORY_BYTES: u64 = 128 << 20;
/// Bytes of one encoded image.
pub const MEMBER_BYTES: u64 = 32 << 20;
/// Bytes of all members of an archive, unpacked.
pub const TOTAL_BYTES: u64 = 32 << 30;
/// Unpacked bytes for one packed byte, over a whole archive. Images hardly shrink any further; a bomb shrinks a
/// thousandfold.
pub const RATIO: u64 = 50;
/// Height and width of an encoded image, in pixels.
pub const SIDE: u32 = 4096;
/// Bytes that decoding one image may take: 4096 × 4096 in four channels, and as much again.
pub const DECODER_BYTES: u64 = 128 << 20;
/// Folders within folders.
pub const DEPTH: usize = 8;
/// Bytes of a member's name.
pub const NAME_BYTES: usize = 1024;
/// Bytes of a decoded set: MiniImagenet has 1.27 GB.
pub const SET_BYTES: u64 = 64 << 30;
/// A decoded set up to this size is held in memory; a larger one is read from the cache file, item by item.
pub const MEMORY_BYTES: u64 = 256 << 20;
