//! CUDA C, for NVRTC.

use super::{Dialect, Kind, MAX_TENSORS, body, shared};
use crate::lower::gpu::kernel::{Kernel, Schedule};

/// What stands once before all kernels of a text.
pub const PRELUDE: &str = concat!(
    "struct Begins {\n  unsigned long long at[32];\n};\n\n",
    "__device__ static float m_bits(unsigned x) {\n  return __uint_as_float(x);\n}\n\n",
    "__device__ static bool m_nan(float x) {\n  return (__float_as_uint(x) & 0x7fffffffu) > 0x7f800000u;\n}\n\n",
    "__device__ static float m_max(float a, float b) {\n  return (b > a || m_nan(b)) ? b : a;\n}\n\n",
    include_str!("functions.cu"),
);

const _: () = assert!(MAX_TENSORS == 32, "the prelude spells it out");

struct Cuda;

/// One entry `name(m0, m1, begins)`: the memories (scratch, kept), and where in them tensors begin.
pub fn cuda(kernel: &Kernel, memories: &[usize], name: &str) -> String {
    let (groups, threads) = kernel.groups();
    // So many groups of a product to a multiprocessor, or its threads may have more registers than that leaves.
    let bounds = match kernel.schedule {
        Schedule::Tiled { tile, .. } => format!("{threads}, {}", tile.together()),
        _ => threads.to_string(),
    };
    let mut text = format!("extern \"C\" __global__ void __launch_bounds__({bounds}) {name}");
    text.push_str("(float *m0, float *m1, const Begins begins) {\n");
    for (name, length) in shared(kernel) {
        text.push_str(&format!("  __shared__ __align__(16) float {name}[{length}];\n"));
    }
    text.push_str("  const unsigned group = blockIdx.y * gridDim.x + blockIdx.x;\n");
    text.push_str("  const unsigned thread = threadIdx.x;\n");
    text.push_str(&format!("  if (group >= {groups}u) {{ return; }}\n"));
    for (tensor, memory) in memories.iter().enumerate() {
        text.push_str(&format!("  float *t{tensor} = m{memory} + begins.at[{tensor}];\n"));
    }
    text.push_str(&body(kernel, &Cuda));
    text.push_str("}\n");
    text
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "float",
        Kind::Index => "unsigned",
        Kind::Position => "int",
    }
}

impl Dialect for Cuda {
    fn fixed(&self, kind: Kind, name: &str, value: &str) -> String {
        format!("const {} {name} = {value};", self::name(kind))
    }

    fn variable(&self, name: &str, value: &str) -> String {
        format!("float {name} = {value};")
    }

    fn each(&self, name: &str, from: &str, to: &str, step: &str) -> String {
        format!("for (unsigned {name} = {from}; {name} < {to}; {name} = {name} + {step})")
    }

    fn convert(&self, kind: Kind, value: &str) -> String {
        format!("({})({value})", name(kind))
    }

    fn choose(&self, condition: &str, yes: &str, no: &str) -> String {
        format!("({condition} ? {yes} : {no})")
    }

    fn sqrt(&self, value: &str) -> String {
        format!("sqrtf({value})")
    }

    fn element(&self, tensor: usize, index: &str) -> String {
        format!("t{tensor}[{index}]")
    }

    /// Without regard to what is written, so that several may be on their way.
    fn read(&self, tensor: usize, index: &str) -> String {
        format!("__ldg(t{tensor} + ({index}))")
    }

    fn barrier(&self) -> &'static str {
        "__syncthreads();"
    }

    fn unroll(&self, times: usize) -> Option<String> {
        Some(format!("#pragma unroll {times}"))
    }

    fn wide(&self) -> bool {
        true
    }

    fn load_wide(&self, tensor: usize, index: &str, names: &[String]) -> String {
        let [a, b, c, d] = names else { unreachable!("there are four") };
        let load = format!("const float4 wide = __ldg((const float4 *)(t{tensor} + ({index})));");
        format!("{load} {a} = wide.x; {b} = wide.y; {c} = wide.z; {d} = wide.w;")
    }

    fn load_shared(&self, index: &str, names: &[String]) -> String {
        let [a, b, c, d] = names else { unreachable!("there are four") };
        let load = format!("const float4 {a}q = *(const float4 *)(part + ({index}));");
        format!("{load} const float {a} = {a}q.x, {b} = {a}q.y, {c} = {a}q.z, {d} = {a}q.w;")
    }

    fn store_shared(&self, index: &str, values: &[String]) -> String {
        format!("*(float4 *)(part + ({index})) = make_float4({});", values.join(", "))
    }
}
