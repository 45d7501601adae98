//! Plugin libraries for the tests: `cargo test` does not build cdylibs, so they are built here, once per process, in
//! the profile that the tests themselves were built in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The library of a workspace member: `library("point")` builds and returns `…/libpoint.so`.
pub fn library(package: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !built.contains(package) {
        build(package);
        built.insert(package.to_owned());
    }
    folder().join(libloading::library_filename(package))
}

/// Where the libraries are: one folder above the test binary's.
pub fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test binary has a path");
    test.ancestors().nth(2).expect("the test binary is in a `deps` folder").to_owned()
}

fn build(package: &str) {
    let folder = folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} is not a profile's folder", folder.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(cargo)
        .args(["build", "--offline", "--quiet", "--package", package, "--profile", profile, "--target-dir"])
        .arg(folder.parent().expect("a profile's folder is in the target folder"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "building {package}: {}", String::from_utf8_lossy(&output.stderr));
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
