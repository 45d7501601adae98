//! The CUDA text of every kind of kernel, compiled as C++ and run on the processor: there need not be a GPU.

use super::{Case, learners, random_plans, rows};
use crate::lower::slices;
use libloading::Library;
use mamlx::graph::Plan;
use mamlx::lower::gpu::kernel::{Kernel, Schedule};
use mamlx::lower::gpu::{Module, print};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const BEFORE: &str = include_str!("cuda_on_cpu.h");
const AFTER: &str = include_str!("cuda_on_cpu_run.h");

/// Every different text among the kernels of some modules, with the number of its entry.
struct Texts {
    code: String,
    numbers: HashMap<String, usize>,
}

impl Texts {
    fn of<'a>(modules: impl Iterator<Item = &'a Module>) -> Texts {
        let mut texts =
            Texts { code: format!("{BEFORE}\n{}\n{AFTER}\n", print::CUDA_PRELUDE), numbers: HashMap::new() };
        let mut calls = String::new();
        for module in modules {
            for kernel in module.stages.iter().flatten() {
                let next = texts.numbers.len();
                texts.numbers.entry(key(module, kernel)).or_insert(next);
            }
        }
        let mut texts_in_order: Vec<(&String, &usize)> = texts.numbers.iter().collect();
        texts_in_order.sort_by_key(|(_, number)| **number);
        for (text, number) in texts_in_order {
            texts.code.push_str(&text.replacen("NAME", &format!("kernel_{number}"), 1));
            let _ = writeln!(
                calls,
                "    case {number}: launch((Entry)kernel_{number}, groups, threads, barriers, m0, m1, begins); break;"
            );
        }
        let _ = write!(
            texts.code,
            "extern \"C\" void call(unsigned number, unsigned groups, unsigned threads, bool barriers, float *m0, \
             float *m1, const Begins *begins) {{\n  switch (number) {{\n{calls}  }}\n}}\n"
        );
        texts
    }
}

fn key(module: &Module, kernel: &Kernel) -> String {
    print::cuda(kernel, &print::memories(kernel, &module.memory), "NAME")
}

type Call = unsafe extern "C" fn(u32, u32, u32, bool, *mut f32, *mut f32, *const c_void);

/// Compiles the texts into a library; none where there is no compiler.
fn compile(folder: &Path, code: &str) -> Option<Library> {
    let (source, library) = (folder.join("kernels.cpp"), folder.join("kernels.so"));
    std::fs::write(&source, code).expect("the folder is ours");
    let compiler = Command::new("c++")
        .args(["-shared", "-fPIC", "-O0", "-w", "-ffp-contract=off", "-std=c++11", "-o"])
        .args([&library, &source])
        .output();
    let Ok(output) = compiler else {
        eprintln!("skipped: there is no C++ compiler to try the CUDA text with");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // SAFETY: the library has no initialiser of its own.
    Some(unsafe { Library::new(&library) }.expect("what was just compiled loads"))
}

fn run(library: &Library, texts: &Texts, module: &Module, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    // SAFETY: the signature is that of the text above.
    let call = unsafe { library.get::<Call>(b"call") }.expect("the text has this entry");
    let memory = &module.memory;
    let mut scratch = vec![f32::NAN; memory.scratch_floats.max(1)];
    let mut kept = vec![f32::NAN; memory.kept_floats.max(1)];
    for (start, data) in memory.inputs.iter().zip(inputs) {
        scratch[*start..start + data.len()].copy_from_slice(data);
    }
    for kernel in module.stages.iter().flatten() {
        let mut begins = [0u64; print::MAX_TENSORS];
        let offsets = print::offsets(kernel, memory);
        begins.iter_mut().zip(offsets).for_each(|(begin, offset)| *begin = offset as u64);
        let ((groups, threads), barriers) = (kernel.groups(), kernel.schedule != Schedule::Flat);
        let number = texts.numbers[&key(module, kernel)] as u32;
        // SAFETY: the lowering checked every access against its buffer.
        unsafe {
            let (m0, m1) = (scratch.as_mut_ptr(), kept.as_mut_ptr());
            call(number, groups as u32, threads as u32, barriers, m0, m1, begins.as_ptr().cast());
        }
    }
    let sizes = module.outputs.iter().map(|port| port.size());
    memory.outputs.iter().zip(sizes).map(|(start, size)| scratch[*start..start + size].to_vec()).collect()
}

fn check(cases: &[Case]) {
    let modules: Vec<Module> = cases.iter().map(|case| Module::of((case.plan)())).collect();
    let texts = Texts::of(modules.iter());
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let Some(library) = compile(folder.path(), &texts.code) else { return };
    for (case, module) in cases.iter().zip(&modules) {
        let inputs = case.singles();
        case.check("CUDA text", &run(&library, &texts, module, &slices(&inputs)));
    }
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn cuda_text_computes_what_it_says() {
    let mut cases = rows::samples();
    cases.extend(rows::reductions());
    cases.extend(rows::products().into_iter().step_by(3));
    cases.extend(rows::parted());
    cases.extend(random_plans::cases(0..10));
    cases.extend(learners::sine().pop());
    check(&cases);
}

#[test]
#[ignore = "takes half a minute: every whole gradient"]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn cuda_text_of_every_gradient() {
    check(&random_plans::cases(0..60));
    check(&learners::sine());
    check(&learners::convolutional());
    check(&learners::reinforcement());
}

#[test]
fn equal_kernels_share_one_text() {
    // Two inner steps after the first run the same kernels at other places.
    let build = |steps| -> Plan { learners::conv_4(2).meta_gradient(&[4], 3, 3, steps) };
    let different = |steps| Texts::of([Module::of(build(steps))].iter()).numbers.len();
    let (three, five) = (different(3), different(5));
    assert!(five < three + 12, "{three} texts for three steps, {five} for five");
}
