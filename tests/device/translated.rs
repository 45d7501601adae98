//! WGSL of every kind of kernel, translated to MSL and SPIR-V and validated: this needs no driver.

use super::{Case, learners, random_plans, rows};
use mamlx::lower::gpu::{Module, print};
use naga::back::{msl, spv};
use naga::front::wgsl;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::collections::BTreeSet;

fn texts(cases: &[Case]) -> BTreeSet<String> {
    let modules = cases.iter().map(|case| Module::of((case.plan)()));
    let of = |module: Module| -> Vec<String> {
        let kernels = module.stages.iter().flatten();
        kernels.map(|kernel| print::wgsl(kernel, &print::memories(kernel, &module.memory))).collect()
    };
    modules.flat_map(of).collect()
}

#[test]
fn every_kernel_translates_to_msl_and_spirv() {
    let mut cases = rows::samples();
    cases.extend(rows::reductions());
    cases.extend(rows::products());
    cases.extend(random_plans::cases(0..20));
    cases.extend(learners::sine());
    cases.extend(learners::convolutional());
    cases.extend(learners::reinforcement());
    let texts = texts(&cases);
    assert!(texts.len() > 200, "only {} texts", texts.len());
    for text in &texts {
        let module =
            wgsl::parse_str(text).unwrap_or_else(|why| panic!("{}\n{text}", why.emit_to_string(text)));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        let info = validator.validate(&module).unwrap_or_else(|why| panic!("{why:?}\n{text}"));
        let (msl, _) =
            msl::write_string(&module, &info, &msl::Options::default(), &msl::PipelineOptions::default())
                .unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert!(msl.contains("kernel void main_"), "{msl}");
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
        let words = words.unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(words[0], 0x0723_0203, "SPIR-V begins with its number");
    }
}

#[test]
fn the_validator_sees_a_mistake() {
    let text = texts(&rows::reductions()).pop_first().expect("there are texts");
    assert!(wgsl::parse_str(&text).is_ok());
    assert!(wgsl::parse_str(&text.replacen("let group =", "let other =", 1)).is_err(), "{text}");
}
