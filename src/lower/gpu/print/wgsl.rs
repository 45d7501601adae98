//! WGSL, for wgpu.

use super::{Dialect, Kind, MAX_TENSORS, body, calls_functions, shared};
use crate::lower::gpu::kernel::Kernel;

/// Longer functions, so that every device computes the same polynomials: a driver's own may be off by 2⁻¹¹.
const FUNCTIONS: &str = include_str!("functions.wgsl");

const BASICS: &str = "\
fn m_bits(x: u32) -> f32 {
  return bitcast<f32>(x);
}

fn m_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn m_max(a: f32, b: f32) -> f32 {
  return select(a, b, b > a || m_nan(b));
}
";

struct Wgsl<'a> {
    memories: &'a [usize],
}

/// A whole module with one entry `main`. Bindings: 0 and 1 are the memories (scratch, kept), 2 is the table of where
/// tensors begin, at a dynamic offset.
pub fn wgsl(kernel: &Kernel, memories: &[usize]) -> String {
    let mut text = String::from("@group(0) @binding(0) var<storage, read_write> m0: array<f32>;\n");
    text.push_str("@group(0) @binding(1) var<storage, read_write> m1: array<f32>;\n");
    text.push_str(&format!(
        "@group(0) @binding(2) var<uniform> begins: array<vec4<u32>, {}>;\n",
        MAX_TENSORS / 4
    ));
    for (name, length) in shared(kernel) {
        text.push_str(&format!("var<workgroup> {name}: array<f32, {length}>;\n"));
    }
    text.push_str(&format!("\n{BASICS}\n"));
    if calls_functions(kernel) {
        text.push_str(&format!("{FUNCTIONS}\n"));
    }
    let (groups, threads) = kernel.groups();
    text.push_str(&format!(
        "@compute @workgroup_size({threads})\nfn main(@builtin(workgroup_id) at: vec3<u32>, \
         @builtin(num_workgroups) all: vec3<u32>, @builtin(local_invocation_index) thread: u32) {{\n"
    ));
    text.push_str("  let group = at.y * all.x + at.x;\n");
    text.push_str(&format!("  if (group >= {groups}u) {{ return; }}\n"));
    for tensor in 0..memories.len() {
        let part = ["x", "y", "z", "w"][tensor % 4];
        text.push_str(&format!("  let t{tensor} = begins[{}].{part};\n", tensor / 4));
    }
    text.push_str(&body(kernel, &Wgsl { memories }));
    text.push_str("}\n");
    text
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "f32",
        Kind::Index => "u32",
        Kind::Position => "i32",
    }
}

impl Dialect for Wgsl<'_> {
    fn fixed(&self, kind: Kind, name: &str, value: &str) -> String {
        format!("let {name}: {} = {value};", self::name(kind))
    }

    fn variable(&self, name: &str, value: &str) -> String {
        format!("var {name}: f32 = {value};")
    }

    fn each(&self, name: &str, from: &str, to: &str, step: &str) -> String {
        format!("for (var {name}: u32 = {from}; {name} < {to}; {name} = {name} + {step})")
    }

    fn convert(&self, kind: Kind, value: &str) -> String {
        format!("{}({value})", name(kind))
    }

    fn choose(&self, condition: &str, yes: &str, no: &str) -> String {
        format!("select({no}, {yes}, {condition})")
    }

    fn sqrt(&self, value: &str) -> String {
        format!("sqrt({value})")
    }

    fn element(&self, tensor: usize, index: &str) -> String {
        format!("m{}[t{tensor} + {index}]", self.memories[tensor])
    }

    fn barrier(&self) -> &'static str {
        "workgroupBarrier();"
    }
}
