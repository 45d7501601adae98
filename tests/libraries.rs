//! Plugin libraries for the tests: `cargo test` does not build cdylibs, so they are built here, once per process, in
//! the profile that the tests themselves were built in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library of a workspace member: `library("point")` is `…/libpoint.so`, freshly built.
pub fn library(package: &str) -> PathBuf {
    build().join(libloading::library_filename(package))
}

/// The library of one of the SDK's examples.
pub fn example(name: &str) -> PathBuf {
    build().join("examples").join(libloading::library_filename(name))
}

/// Where the libraries are.
pub fn folder() -> PathBuf {
    build().to_owned()
}

/// Builds every library of the workspace: selecting single packages would choose other features for what they share,
/// and build that once more.
fn build() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("the test binary has a path");
        let folder = test.ancestors().nth(2).expect("the test binary is in a `deps` folder").to_owned();
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(profile) => profile,
            None => panic!("{} is not a profile's folder", folder.display()),
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut command = Command::new(cargo);
        // Build scripts look at what cargo tells a test of its package: with it they, and all that rests on them, would be
        // built once more.
        let of_this_package =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|part| name.starts_with(part));
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.filter(|name| of_this_package(name)).for_each(|name| {
            command.env_remove(name);
        });
        let output = command
            .args(["build", "--workspace", "--lib", "--bins", "--examples", "--offline", "--quiet"])
            .args(features())
            .args(["--profile", profile, "--target-dir"])
            .arg(folder.parent().expect("a profile's folder is in the target folder"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "building the plugins: {}", String::from_utf8_lossy(&output.stderr));
        folder
    })
}

/// The features that this test has, for the program that it tests.
fn features() -> Vec<&'static str> {
    let all = [
        (cfg!(feature = "vulkan"), "mamlx/vulkan"),
        (cfg!(feature = "metal"), "mamlx/metal"),
        (cfg!(feature = "cuda"), "mamlx/cuda"),
        (cfg!(feature = "gpu"), "mamlx/gpu"),
    ];
    all.into_iter().filter(|(on, _)| *on).flat_map(|(_, feature)| ["--features", feature]).collect()
}

/// Compiles C sources with the system's compiler. `None`, and a line that says so, when there is none.
pub fn compile_c(source: &Path, out: &Path, options: &[&str]) -> Option<()> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/sdk/include");
    let result = Command::new(&compiler)
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .args([include.as_os_str(), source.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(options)
        .output();
    match result {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(())
        }
        Err(error) => {
            eprintln!("skipped: no C compiler ({} {error})", compiler.display());
            None
        }
    }
}
