//! The meta-gradient through many inner steps, composed step by step: θ₀ → θ₁ → … → θₙ, the outer loss at θₙ, and its
//! adjoint λₙ → … → λ₀ back through every step (Algorithm 2 of the paper, by the chain rule).

use super::reversal::{Reversal, Sizes, Walk};
use crate::lower::{Kept, Program, Scratch, lower};
use crate::meta::supervised::Learner as Plans;
use crate::spec::Order;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The program of one inner step, of which the first stage is the step and the second its adjoint, and that of the
/// outer loss.
pub struct Composed {
    step: Program,
    outer: Program,
    order: Order,
    /// Whether the outer loss takes the support points too.
    beside: bool,
    reversal: Reversal,
    /// Of each thread, made when it is first used.
    memory: Vec<Mutex<Option<Memory>>>,
}

/// One thread's working memory.
struct Memory {
    step: Scratch,
    outer: Scratch,
    residuals: Vec<Residuals>,
    checkpoints: Vec<Vec<f32>>,
    /// The parameters behind the last step taken, and a place for the next ones.
    moved: [Vec<f32>; 2],
    /// The adjoint, and a place for the next one.
    adjoint: [Vec<f32>; 2],
}

/// What a step leaves for its adjoint: the parameters that it began from, and what its first stage kept.
struct Residuals {
    theta: Vec<f32>,
    kept: Kept,
}

/// What one task's meta-gradient is of.
pub struct Of<'a> {
    pub theta: &'a [f32],
    pub rate: f32,
    /// `x` and `y` of the support points, then of the query points.
    pub points: [&'a [f32]; 4],
}

/// A task on its way.
struct Path<'a> {
    on: &'a Composed,
    memory: &'a mut Memory,
    of: &'a Of<'a>,
    loss: f32,
}

impl Composed {
    /// Lowers both programs. Nothing is repeated unless [`keep_within`](Self::keep_within) asks for it.
    pub fn new(plans: &Plans, support: usize, query: usize, steps: usize, threads: usize) -> Composed {
        Composed {
            step: lower(plans.step_adjoint(&[], support)),
            outer: lower(plans.outer_gradient(&[], support, query)),
            order: plans.order,
            beside: plans.model.needs_support(),
            reversal: Reversal::whole(steps),
            memory: (0..threads).map(|_| Mutex::new(None)).collect(),
        }
    }

    fn theta_bytes(&self) -> u64 {
        4 * self.step.inputs()[0].size() as u64
    }

    fn sizes(&self) -> Sizes {
        let checkpoint = self.theta_bytes();
        Sizes { checkpoint, residuals: checkpoint + self.step.kept_bytes() as u64 }
    }

    /// What a thread needs however little is kept.
    fn base_bytes(&self) -> u64 {
        let arena = |program: &Program| (program.scratch_bytes() - program.kept_bytes()) as u64;
        arena(&self.step) + self.outer.scratch_bytes() as u64 + 4 * self.theta_bytes()
    }

    fn kept_bytes(&self, reversal: Reversal) -> u64 {
        match self.order {
            Order::Second => reversal.bytes(self.sizes()),
            Order::First => self.step.kept_bytes() as u64,
        }
    }

    /// Working memory of one thread.
    pub fn bytes(&self) -> u64 {
        self.base_bytes() + self.kept_bytes(self.reversal)
    }

    /// The least that [`keep_within`](Self::keep_within) can do with.
    pub fn least_bytes(&self) -> u64 {
        self.base_bytes() + self.kept_bytes(Reversal::least(self.reversal.steps))
    }

    /// From now on no thread takes more than so many bytes, or than [`least_bytes`](Self::least_bytes) where that is
    /// more.
    pub fn keep_within(&mut self, bytes: u64) {
        let steps = self.reversal.steps;
        let left = bytes.saturating_sub(self.base_bytes());
        if self.order == Order::Second {
            self.reversal = Reversal::within(steps, self.sizes(), left).unwrap_or(Reversal::least(steps));
        }
        self.memory.iter_mut().for_each(|memory| *memory = Mutex::new(None));
    }

    /// How inner steps are repeated to save memory.
    pub fn reversal(&self) -> Reversal {
        self.reversal
    }

    /// Floating-point operations of one task, products only.
    pub fn flops(&self) -> u64 {
        let steps = self.reversal.steps as u64;
        steps * self.step.flops() + self.outer.flops()
    }

    fn memory(&self) -> Memory {
        let theta = || vec![0.0; self.step.inputs()[0].size()];
        let (rows, checkpoints) = match self.order {
            Order::Second => (self.reversal.row, self.reversal.checkpoints),
            Order::First => (1, 0),
        };
        Memory {
            step: self.step.stage_scratch(),
            outer: self.outer.scratch(),
            residuals: (0..rows).map(|_| Residuals { theta: theta(), kept: self.step.kept() }).collect(),
            checkpoints: (0..checkpoints).map(|_| theta()).collect(),
            moved: [theta(), theta()],
            adjoint: [theta(), theta()],
        }
    }

    /// The kernels of one inner step with its adjoint, then of the outer loss, each with its time.
    pub fn profile(&self, of: &Of) -> Vec<(String, Duration)> {
        let [support_x, support_y, query_x, query_y] = of.points;
        let (mut adapted, mut pulled, mut loss) = (of.theta.to_vec(), of.theta.to_vec(), [0.0]);
        let rate = [of.rate];
        let mut inputs: Vec<&[f32]> = vec![of.theta, &rate, support_x, support_y, of.theta];
        let mut outputs: Vec<&mut [f32]> = vec![&mut adapted, &mut pulled];
        inputs.truncate(self.step.inputs().len());
        outputs.truncate(self.step.outputs().len());
        let mut times = self.step.profile(&mut self.step.scratch(), &inputs, &mut outputs);
        let mut inputs: Vec<&[f32]> = vec![of.theta, support_x, query_x, query_y];
        if !self.beside {
            inputs.remove(1);
        }
        let outputs: &mut [&mut [f32]] = &mut [&mut pulled, &mut loss];
        times.extend(self.outer.profile(&mut self.outer.scratch(), &inputs, outputs));
        times
    }

    /// Fills in a task's meta-gradient and gives its outer loss.
    pub fn run(&self, thread: usize, of: &Of, gradient: &mut [f32]) -> f32 {
        let mut memory = self.memory[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memory.get_or_insert_with(|| self.memory());
        let mut path = Path { on: self, memory, of, loss: 0.0 };
        match self.order {
            Order::Second => self.reversal.walk(&mut path),
            // To first order the adjoint behind the last step is that before the first.
            Order::First => {
                path.take(0, self.reversal.steps);
                path.judge();
            }
        }
        let loss = path.loss;
        gradient.copy_from_slice(&memory.adjoint[0]);
        loss
    }
}

impl Path<'_> {
    /// Takes so many steps from the parameters at `level` to `moved[0]`, keeping nothing of them.
    fn take(&mut self, level: usize, steps: usize) {
        let Memory { step, residuals, checkpoints, moved, .. } = &mut *self.memory;
        let [support_x, support_y, ..] = self.of.points;
        moved[0].copy_from_slice(if level == 0 { self.of.theta } else { &checkpoints[level - 1] });
        for _ in 0..steps {
            let [from, to] = moved;
            let inputs: [&[f32]; 5] = [from, &[self.of.rate], support_x, support_y, &[]];
            self.on.first_stage(step, &mut residuals[0].kept, &inputs, to);
            moved.swap(0, 1);
        }
    }

    /// The outer loss of `moved[0]` and its gradient, where the adjoint begins.
    fn judge(&mut self) {
        let Memory { outer, moved, adjoint, .. } = &mut *self.memory;
        let [support_x, _, query_x, query_y] = self.of.points;
        let all: [&[f32]; 4] = [&moved[0], support_x, query_x, query_y];
        let alone: [&[f32]; 3] = [&moved[0], query_x, query_y];
        let loss = std::slice::from_mut(&mut self.loss);
        let inputs: &[&[f32]] = if self.on.beside { &all } else { &alone };
        self.on.outer.run(outer, inputs, &mut [&mut adjoint[0], loss]);
    }
}

impl Composed {
    /// One inner step, of which what its adjoint needs is kept. `inputs` end with a place for the adjoint, which there is
    /// none of to first order.
    fn first_stage(&self, scratch: &mut Scratch, kept: &mut Kept, inputs: &[&[f32]; 5], to: &mut [f32]) {
        match self.order {
            Order::Second => self.step.prepare(scratch, kept, inputs, &mut [to, &mut []]),
            Order::First => self.step.apply(scratch, kept, &inputs[..4], &mut [to]),
        }
    }
}

impl Walk for Path<'_> {
    fn advance(&mut self, level: usize, steps: Range<usize>) {
        self.take(level, steps.len());
        std::mem::swap(&mut self.memory.moved[0], &mut self.memory.checkpoints[level]);
    }

    fn record(&mut self, level: usize, steps: Range<usize>) {
        let Memory { step, residuals, checkpoints, moved, .. } = &mut *self.memory;
        let [support_x, support_y, ..] = self.of.points;
        let start = if level == 0 { self.of.theta } else { &checkpoints[level - 1] };
        residuals[0].theta.copy_from_slice(start);
        for number in 0..steps.len() {
            let (these, later) = residuals.split_at_mut(number + 1);
            let Residuals { theta, kept } = &mut these[number];
            let inputs: [&[f32]; 5] = [theta, &[self.of.rate], support_x, support_y, &[]];
            let last = number + 1 == steps.len();
            let to = if last { &mut moved[0] } else { &mut later[0].theta };
            self.on.first_stage(step, kept, &inputs, to);
        }
        if steps.end == self.on.reversal.steps {
            self.judge();
        }
    }

    fn pull(&mut self, steps: Range<usize>) {
        let Memory { step, residuals, adjoint, .. } = &mut *self.memory;
        let [support_x, support_y, ..] = self.of.points;
        for Residuals { theta, kept } in residuals[..steps.len()].iter().rev() {
            let [later, earlier] = &mut *adjoint;
            let inputs: [&[f32]; 5] = [theta, &[self.of.rate], support_x, support_y, later];
            self.on.step.apply(step, kept, &inputs, &mut [&mut [], earlier]);
            adjoint.swap(0, 1);
        }
    }
}
