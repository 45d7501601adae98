//! Files that data sets publish, with their checksums.

/// A checksum in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    Md5(&'static str),
    Sha256(&'static str),
}

/// A file of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    pub name: &'static str,
    pub checksum: Checksum,
}

/// The home of Omniglot: the repository of its authors (MIT licence).
pub const OMNIGLOT_HOME: &str = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/";

/// 964 and 659 characters; the MD5 sums are those that the authors' and other loaders check.
pub const OMNIGLOT: [File; 2] = [
    File { name: "images_background.zip", checksum: Checksum::Md5("68d2efa1b9178cc56df9314c21c6e718") },
    File { name: "images_evaluation.zip", checksum: Checksum::Md5("6b91aef0f799c5bb55b94e3f2daec811") },
];

/// The two minimal sets, 136 and 156 characters.
pub const OMNIGLOT_MINIMAL: [File; 2] = [
    File {
        name: "images_background_small1.zip",
        checksum: Checksum::Sha256("f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4"),
    },
    File {
        name: "images_background_small2.zip",
        checksum: Checksum::Sha256("3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f"),
    },
];
