//! Whole runs on a device, from the command line: what is printed where there is none, and the processor's results where
//! there is one.

use super::Case;
use crate::lower::learners::{data, learner};
use crate::run::{POINT, SINUSOID, assert_same, mamlx, run};
use mamlx::bench::Workload;
use mamlx::graph::eval::evaluate;
use mamlx::lower::Device;
use mamlx::lower::device::Kind;
use mamlx::nn::Activation;
use mamlx::record::Tensor;
use mamlx::spec::Order;
use std::path::Path;

#[test]
fn a_device_that_is_not_here_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for kind in Kind::ALL.into_iter().filter(|kind| Device::open(*kind).is_err()) {
        let args =
            ["run", "experiments/sinusoid.yaml", "--device", kind.word(), "--out", out.to_str().unwrap()];
        let output = mamlx(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(&format!("device: {}", kind.word())) && said.contains("cpu (processor"),
            "{said}"
        );
        if !kind.built() && kind != Kind::Metal {
            assert!(said.contains(&format!("cargo build --release --features {}", kind.word())), "{said}");
        }
        assert!(!out.join("spec.yaml").exists(), "nothing is written");
    }
}

#[test]
fn devices_are_listed() {
    let output = mamlx(&["devices"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for kind in Kind::ALL {
        assert!(text.lines().any(|line| line.starts_with(kind.word())), "{text}");
    }
}

#[test]
fn a_batch_has_the_sum_of_its_tasks_gradients() {
    let learner = learner(Order::Second, Activation::Tanh, &[5]);
    let (batch, one) = (learner.batch_gradient(3, 4, 6, 2), learner.meta_gradient(&[], 4, 6, 2));
    let inputs = data(&batch);
    let slices: Vec<&[f64]> = inputs.iter().map(|port| &port[..]).collect();
    let together = evaluate(&batch, &slices);
    let mut sum = vec![0.0; together[0].len()];
    for task in 0..3 {
        // θ and the rate have no task axis.
        let of = |(i, port): (usize, &Vec<f64>)| {
            let size = port.len() / 3;
            if i < 2 { port.clone() } else { port[task * size..(task + 1) * size].to_vec() }
        };
        let own: Vec<Vec<f64>> = inputs.iter().enumerate().map(of).collect();
        let own = evaluate(&one, &own.iter().map(|port| &port[..]).collect::<Vec<_>>());
        sum.iter_mut().zip(&own[0]).for_each(|(sum, g)| *sum += g);
        assert!((together[1][task] - own[1][0]).abs() < 1e-12);
    }
    assert!(sum.iter().zip(&together[0]).all(|(a, b)| (a - b).abs() < 1e-12), "{sum:?}");
    super::check(&[Case::new(move || learner.batch_gradient(3, 4, 6, 2), &inputs, 1e-6, 1e-5)]);
}

/// Whether two tables are equal but for numbers that differ by `tolerance` of their size, or of 1.
fn close(a: &Path, b: &Path, file: &str, tolerance: f64) {
    let read = |folder: &Path| std::fs::read_to_string(folder.join(file)).unwrap();
    let (left, right) = (read(a), read(b));
    assert_eq!(left.lines().count(), right.lines().count(), "{file}");
    for (x, y) in left.lines().zip(right.lines()) {
        let same = |(x, y): (&str, &str)| match (x.parse::<f64>(), y.parse::<f64>()) {
            (Ok(x), Ok(y)) => (x - y).abs() <= tolerance * x.abs().max(1.0),
            _ => x == y,
        };
        assert!(x.split(',').zip(y.split(',')).all(same), "{file}:\n{x}\n{y}");
    }
}

fn compare(spec: &str, settings: &[&str], tolerance: f64) {
    let Some(kind) =
        [Kind::Vulkan, Kind::Metal, Kind::Cuda].into_iter().find(|kind| Device::open(*kind).is_ok())
    else {
        eprintln!("skipped: there is no GPU driver, or this build has none");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [cpu, gpu, again] = ["cpu", "gpu", "again"].map(|name| folder.path().join(name));
    run(spec, &cpu, settings);
    run(spec, &gpu, &[settings, &["--device", kind.word(), "--threads", "2"]].concat());
    run(spec, &again, &[settings, &["--device", kind.word(), "--threads", "1"]].concat());
    assert_same(&gpu, &again, "two runs on one device");
    close(&cpu, &gpu, "train.csv", tolerance);
    close(&cpu, &gpu, "eval.csv", tolerance);
}

#[test]
fn regression_is_the_processors() {
    compare("experiments/sinusoid.yaml", &SINUSOID, 1e-4);
}

#[test]
fn reinforcement_is_the_processors() {
    // A policy that differs by rounding acts differently by rounding, and so on: one meta-iteration.
    let one = [&POINT[..], &["--set", "outer.iterations=1"]].concat();
    // Products by differences go to the device task by task; the gradients of Adam are those of all tasks at once.
    compare("experiments/point_nav.yaml", &one, 2e-3);
    compare("experiments/point_nav.yaml", &[&one[..], &["--set", "outer.optimizer=adam"]].concat(), 2e-3);
}

/// What `mamlx bench --device` times: a meta-step's mean gradient, and a policy's product, of one small size each.
#[test]
fn benchmarks_compute_what_the_processor_does() {
    let cpu = Device::cpu();
    for kind in [Kind::Cuda, Kind::Metal, Kind::Vulkan] {
        let device = match Device::open(kind) {
            Ok(device) => device,
            Err(why) => {
                eprintln!("skipped: {why}");
                continue;
            }
        };
        // Of six images a ReLU within rounding of zero may fall to the other side.
        let cases = [
            ("sine5", [3, 2], 1e-4),
            ("omni5-near", [2, 1], 1e-2),
            ("rl-grad", [2, 40], 1e-4),
            ("rl-fvp", [2, 40], 1e-4),
        ];
        for (name, size, tolerance) in cases {
            let workload = Workload::named(name).unwrap().sized(size);
            let answer =
                |device: &Device| workload.prepare((device, 1), None, None).unwrap().answer().unwrap();
            let (ours, theirs) = (answer(&device), answer(&cpu));
            assert_eq!(ours, answer(&device), "{name} gives the same bytes twice");
            // A bias before a normalisation has no gradient but rounding, so parts are not compared with themselves.
            let all =
                |tensors: &[Tensor]| tensors.iter().flat_map(|t| t.values.clone()).collect::<Vec<f32>>();
            let (ours, theirs) = (all(&ours), all(&theirs));
            let largest = theirs.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
            assert!(apart < tolerance, "{}: {name}: {apart:e}", device.name());
        }
    }
}
