//! The promise: whatever the disk does and whenever the process dies, what was saved is whole, the message says which
//! file, and the same command goes on to the bytes of an undisturbed run.
//!
//! Faults are injected by strace at the n-th system call of a kind that touches the run folder. Without strace these
//! tests say so and end. The default suite takes a sample of the places; the ignored tests take every one.

use crate::run::{assert_same, mamlx, run};
use mamlx::random::{Purpose, stream};
use rand::Rng;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A run of a few milliseconds that writes every kind of file several times.
pub const TINY: [&str; 20] = [
    "--set",
    "outer.iterations=3",
    "--set",
    "outer.tasks=2",
    "--set",
    "eval.tasks=2",
    "--set",
    "eval.every=2",
    "--set",
    "eval.steps=1",
    "--set",
    "eval.support=[5]",
    "--set",
    "model.hidden=[3]",
    "--set",
    "methods=[random, maml]",
    "--set",
    "eval.rate={}",
    "--set",
    "published=[]",
];
pub const SPEC: &str = "experiments/sinusoid.yaml";
/// Everything that a run writes in its folder, finished or not.
const FILES: [&str; 7] =
    ["train.csv", "eval.csv", "timing.csv", "spec.yaml", "summary.csv", "run.json", "weights.safetensors"];

/// Kinds of system calls, and how many of each the sample leaves out between two.
const KINDS: [(&str, usize); 5] =
    [("write", 7), ("fsync,fdatasync", 11), ("rename", 5), ("ftruncate", 2), ("openat", 13)];

pub fn strace_is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| {
        let works = Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "true"])
            .status()
            .is_ok_and(|s| s.success());
        if !works {
            eprintln!("skipped: strace is not here, or may not trace");
        }
        works
    })
}

fn args(out: &Path) -> Vec<String> {
    let own = ["run", SPEC, "--out", out.to_str().unwrap(), "--threads", "1", "--checkpoint-every", "0"];
    own.iter().chain(&TINY).map(|arg| arg.to_string()).collect()
}

/// The run under strace, with `inject` at the calls of this kind that touch the run folder.
fn traced(out: &Path, kind: &str, inject: &str) -> Command {
    std::fs::create_dir_all(out).unwrap();
    let plain = mamlx(&[]);
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={kind}"),
        "-e",
        &format!("inject={kind}:{inject}"),
    ]);
    let mut paths: Vec<PathBuf> = vec![out.into(), out.join(".lock")];
    for name in FILES.iter().map(|name| name.to_string()).chain((1..12).map(|n| format!("checkpoint.{n}"))) {
        paths.push(out.join(format!("{name}.tmp")));
        paths.push(out.join(name));
    }
    paths.iter().for_each(|path| {
        command.arg("-P").arg(path);
    });
    command.arg(env!("CARGO_BIN_EXE_mamlx")).args(args(out));
    plain.get_envs().for_each(|(key, value)| {
        command.env(key, value.unwrap_or_default());
    });
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null());
    command
}

pub fn undisturbed() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            run(SPEC, folder.path(), &[&TINY[..], &["--threads", "1"]].concat());
            folder
        })
        .path()
}

/// Goes on by the same command and compares with the undisturbed run.
fn goes_on(out: &Path, what: &str) {
    run(SPEC, out, &[&TINY[..], &["--threads", "1"]].concat());
    assert_same(undisturbed(), out, what);
}

/// Kills or fails the n-th call of each kind for every `stride`-th n, until a run gets through; how many faults fired.
fn at_every_call(
    first: usize,
    strided: bool,
    inject: &str,
    kinds: &[&str],
    hurt: impl Fn(&Output, &Path, &str),
) -> usize {
    let mut fired = 0;
    for (kind, stride) in KINDS.iter().filter(|(kind, _)| kinds.contains(kind)) {
        for n in
            (1..).skip(if strided { first % stride } else { 0 }).step_by(if strided { *stride } else { 1 })
        {
            let temp = tempfile::tempdir().unwrap();
            let out = temp.path().join("run");
            let what = format!("{inject} at {kind} number {n}");
            let output = traced(&out, kind, &format!("{inject}:when={n}")).output().unwrap();
            if output.status.success() {
                assert_same(undisturbed(), &out, "no fault fired");
                break;
            }
            hurt(&output, &out, &what);
            goes_on(&out, &what);
            fired += 1;
            assert!(n < 2000, "{what}: it never ends");
        }
    }
    fired
}

fn killed(output: &Output, _: &Path, what: &str) {
    assert_eq!(output.status.code(), None, "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The process ends by itself, with the code for files, and names the file.
fn told(output: &Output, out: &Path, what: &str) {
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(3), "{what}: {text}");
    assert!(text.contains(out.to_str().unwrap()), "{what}: {text}");
}

fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|(kind, _)| *kind).collect()
}

#[test]
fn killed_at_a_sample_of_all_storage_calls_nothing_is_lost() {
    if strace_is_here() {
        let fired = at_every_call(3, true, "signal=KILL", &kinds(), killed);
        assert!(fired >= 10, "only {fired} kills");
    }
}

#[test]
#[ignore = "minutes; every single place"]
fn killed_at_every_storage_call_nothing_is_lost() {
    if strace_is_here() {
        let fired = at_every_call(0, false, "signal=KILL", &kinds(), killed);
        eprintln!("{fired} kills, nothing lost");
        assert!(fired >= 100, "only {fired} kills");
    }
}

#[test]
fn a_full_disk_and_a_failing_sync_are_told_and_survived_at_a_sample_of_calls() {
    if strace_is_here() {
        let full = at_every_call(5, true, "error=ENOSPC", &["write"], told);
        let failing = at_every_call(2, true, "error=EIO", &["fsync,fdatasync"], told);
        assert!(full >= 2 && failing >= 2, "{full} and {failing} faults");
    }
}

#[test]
#[ignore = "minutes; every single place"]
fn a_full_disk_and_a_failing_sync_are_told_and_survived_at_every_call() {
    if strace_is_here() {
        let full = at_every_call(0, false, "error=ENOSPC", &["write"], told);
        let failing = at_every_call(0, false, "error=EIO", &["fsync,fdatasync"], told);
        let renames = at_every_call(0, false, "error=EIO", &["rename"], told);
        eprintln!("{full} full disks, {failing} failed syncs, {renames} failed renames, nothing lost");
    }
}

/// Every write fails from the n-th on, as on a disk that stays full: the first error is told, and nothing hangs.
#[test]
fn a_disk_that_stays_full_is_told_once() {
    if strace_is_here() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("run");
        let output = traced(&out, "write", "error=ENOSPC:when=12+").output().unwrap();
        told(&output, &out, "full from the 12th write on");
        assert!(String::from_utf8_lossy(&output.stderr).contains("What was saved before is whole"));
        goes_on(&out, "full from the 12th write on");
    }
}

/// A limit on file sizes is a full disk that everybody can have.
#[cfg(unix)]
#[test]
fn a_file_size_limit_is_told_like_a_full_disk() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("run");
    let plain = mamlx(&[]);
    let mut shell = Command::new("bash");
    // Blocks of 1024 bytes: the weights fit, the evaluations do not.
    shell.args(["-c", "ulimit -f 1 && exec \"$@\"", "bash", env!("CARGO_BIN_EXE_mamlx")]).args(args(&out));
    plain.get_envs().for_each(|(key, value)| {
        shell.env(key, value.unwrap_or_default());
    });
    let Ok(output) = shell.current_dir(env!("CARGO_MANIFEST_DIR")).output() else {
        eprintln!("skipped: no bash");
        return;
    };
    told(&output, &out, "files of at most 1 KiB");
    goes_on(&out, "files of at most 1 KiB");
}

/// A file system of its own that is really full, and then is made larger.
#[cfg(target_os = "linux")]
#[test]
fn a_really_full_file_system_is_survived() {
    let temp = tempfile::tempdir().unwrap();
    let (mount, copy) = (temp.path().join("disk"), temp.path().join("copy"));
    std::fs::create_dir_all(&mount).unwrap();
    let plain = mamlx(&[]);
    let script = "mount -t tmpfs -o size=16k tmpfs \"$1\" || exit 77; shift; \"$@\"; code=$?; [ $code = 3 ] || exit 78; \
                  mount -o remount,size=4m \"$MOUNT\" && \"$@\" && cp -r \"$MOUNT/run\" \"$COPY\"";
    let mut shell = Command::new("unshare");
    shell.args(["-Urm", "bash", "-c", script, "bash"]).arg(&mount).arg(env!("CARGO_BIN_EXE_mamlx"));
    shell.args(args(&mount.join("run"))).env("MOUNT", &mount).env("COPY", &copy);
    plain.get_envs().for_each(|(key, value)| {
        shell.env(key, value.unwrap_or_default());
    });
    match shell.current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null()).output() {
        Ok(output) if output.status.success() => assert_same(undisturbed(), &copy, "a full tmpfs"),
        Ok(output) if output.status.code() == Some(78) => {
            panic!("the full disk was not told: {}", String::from_utf8_lossy(&output.stderr))
        }
        _ => eprintln!("skipped: no user namespaces with mounts here"),
    }
}

/// Kills a longer run at random times, always the same run, until it is through.
fn random_kills(kills: usize) {
    let temp = tempfile::tempdir().unwrap();
    let (whole, torn) = (temp.path().join("whole"), temp.path().join("torn"));
    let longer = [
        &TINY[..],
        &["--set", "outer.iterations=20000", "--set", "outer.log_every=1", "--set", "eval.every=500"],
    ]
    .concat();
    run(SPEC, &whole, &longer);
    let mut random = stream(3, Purpose::Init, 0, 0, 0);
    let arguments =
        [&["run", SPEC, "--out", torn.to_str().unwrap(), "--checkpoint-every", "0"], &longer[..]].concat();
    let mut hit = 0;
    for _ in 0..kills {
        let mut child = mamlx(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(30 + random.next_u32() % 170)));
        child.kill().unwrap();
        hit += usize::from(child.wait().unwrap().code().is_none());
    }
    run(SPEC, &torn, &longer);
    assert_same(&whole, &torn, "killed at random");
    eprintln!("{hit} kills, nothing lost");
    assert!(hit * 2 >= kills, "only {hit} of {kills} met the run at work");
}

#[test]
fn random_kills_lose_nothing() {
    random_kills(6);
}

#[test]
#[ignore = "a minute"]
fn fifty_random_kills_lose_nothing() {
    random_kills(50);
}
