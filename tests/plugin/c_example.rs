//! The header is the contract: C code compiled against it agrees with the Rust side.

use crate::libraries::compile_c;
use mamlx::plugin::{self, Outcome};
use mamlx_plugin::{Role, abi};
use std::mem::offset_of;
use std::path::{Path, PathBuf};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn swing(options: &[&str]) -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join(libloading::library_filename("swing"));
    let options = [&["-shared", "-fPIC", "-lm"], options].concat();
    compile_c(&source("plugins/sdk/examples/c/swing.c"), &library, &options)?;
    Some((folder, library))
}

#[test]
fn the_c_example_passes_every_check() {
    let Some((_folder, library)) = swing(&[]) else { return };
    let plugin = plugin::load(&library).unwrap();
    assert_eq!(plugin.info.id, "swing");
    for finding in plugin::check(&plugin, &Default::default()).unwrap() {
        assert_eq!(finding.outcome, Outcome::Pass, "{finding}");
    }
}

/// A pendulum at rest at the bottom starts with the torque's acceleration, 1 rad/s² per N m.
#[test]
fn the_c_example_swings() {
    let Some((_folder, library)) = swing(&[]) else { return };
    let mut env = plugin::load(&library).unwrap().env(&Default::default(), 2).unwrap();
    let (mut obs, mut rewards, mut terminated) = ([0.0; 4], [0.0; 2], [0; 2]);
    env.reset(&[1, 0], &[8, 9], &[0.5, -0.5], &mut obs).unwrap();
    let before = obs;
    env.step(&[1, 0], &[4.0, -4.0], &mut obs, &mut rewards, &mut terminated).unwrap();
    for (row, torque) in [4.0f32, -4.0].into_iter().enumerate() {
        let (angle, rate) = (before[2 * row], before[2 * row + 1]);
        let expected = rate + 0.05 * (torque - 0.2 * rate - 9.81 * angle.sin());
        assert!((obs[2 * row + 1] - expected).abs() < 1e-5);
        assert!((obs[2 * row] - (angle + 0.05 * expected)).abs() < 1e-5);
    }
}

#[test]
fn c_and_rust_agree_on_every_struct() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("layout");
    let Some(()) = compile_c(&source("tests/plugins/layout.c"), &program, &[]) else { return };
    let output = std::process::Command::new(&program).output().unwrap();
    let c = String::from_utf8(output.stdout).unwrap();
    let mut rust = String::new();
    macro_rules! layout {
        ($name:literal, $type:ty, $($member:ident),*) => {
            rust += &format!("{} {} {}\n", $name, size_of::<$type>(), align_of::<$type>());
            $(rust += &format!("{}.{} {}\n", $name, stringify!($member), offset_of!($type, $member));)*
        };
    }
    layout!("mamlx_error", abi::Error, struct_size, message, capacity, position);
    layout!("mamlx_env", abi::Env, struct_size, create, destroy, describe, sample_task, reset, step);
    layout!("mamlx_shape", abi::Shape, x1, y1, x2, y2, radius, role);
    layout!("mamlx_render", abi::Render, struct_size, describe, shapes);
    layout!("mamlx_tasks", abi::Tasks, struct_size, create, destroy, describe, sample_task, sample);
    layout!("mamlx_data", abi::Data, struct_size, create, destroy, describe, read, open);
    layout!("mamlx_plugin", abi::Plugin, struct_size, abi_major, abi_minor, descriptor, get_feature);
    rust += &format!("version {} {}\n", abi::MAJOR, abi::MINOR);
    let statuses = [abi::OK, abi::FAILED, abi::PANIC, abi::BAD_CALL, abi::TOO_SMALL];
    rust += &format!("status {}\n", statuses.map(|status| status.to_string()).join(" "));
    let roles = [Role::Body, Role::Limb, Role::Goal, Role::Ground];
    rust += &format!("roles {}\n", roles.map(|role| (role as u32).to_string()).join(" "));
    rust += &format!("features {} {} {} {}\n", abi::ENV, abi::RENDER, abi::TASKS, abi::DATA);
    assert_eq!(c, rust);
}

/// The header's documentation promises that it stays short.
#[test]
fn the_header_is_short() {
    let header = std::fs::read_to_string(source("plugins/sdk/include/mamlx_plugin.h")).unwrap();
    assert!(header.lines().count() <= 300);
}
