//! MAML for supervised few-shot learning (paper, Algorithm 2).

use super::{inner, loss};
use crate::graph::{Plan, Port, Shape, Tape, Var, grad, vjp};
use crate::nn::{Moments, Network, Pass, Role};
use crate::spec::{Loss, Order, Reduction};

/// The most inner steps whose meta-gradient is one graph, with every step fused into its neighbours.
const LONGEST_UNROLL: usize = 5;

/// What the plans need to know of the experiment.
#[derive(Clone, Debug)]
pub struct Learner {
    pub model: Network,
    pub loss: Loss,
    pub reduction: Reduction,
    pub order: Order,
}

/// A set of points: `x [lead…, n, inputs]` (images flat), `y [lead…, n, outputs]`.
struct Points<'t> {
    x: Var<'t>,
    y: Var<'t>,
}

impl Learner {
    /// The meta-gradient (Algorithm 2, lines 4 to 10): adapt with `steps` inner steps on the support points, then
    /// differentiate the loss of the adapted parameters on the query points with respect to the initial ones.
    ///
    /// Ports in: `theta`, `rate`, `support_x`, `support_y` (absent when `steps` is 0), `query_x`, `query_y`.
    /// Ports out: `gradient` (as theta), `loss` (lead).
    /// With no inner step this is ordinary training on the query points: the `pretrained` and `oracle` baselines.
    /// Where the network keeps running averages, their part of `gradient` is their distance from the moments of the
    /// batches: see [`crate::nn::Layout::settle`].
    pub fn meta_gradient(&self, lead: &[usize], support: usize, query: usize, steps: usize) -> Plan {
        self.gradient_of(lead, false, support, query, steps)
    }

    /// The same for a batch of tasks that start from one θ: `theta` has no task axis, and `gradient` is the sum of all
    /// tasks' gradients, computed in one launch. `loss` is `[tasks]`.
    pub fn batch_gradient(&self, tasks: usize, support: usize, query: usize, steps: usize) -> Plan {
        self.gradient_of(&[tasks], true, support, query, steps)
    }

    fn gradient_of(&self, lead: &[usize], shared: bool, support: usize, query: usize, steps: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let given = self.model.layout().inputs(&tape, if shared { &[] } else { lead });
            let mut inputs = vec![self.model.layout().port("theta", &given)];
            // Every task has a copy of its own: the gradient of the sum over tasks with respect to it is the task's.
            let mut theta = given;
            if shared {
                theta.iter_mut().for_each(|p| *p = p.broadcast(Shape::new(&[lead, &p.shape[..]].concat())));
            }
            let mut adapted = theta.clone();
            let mut passes: Vec<Vec<Moments>> = Vec::with_capacity(steps + 1);
            let mut shown = None;
            if steps > 0 {
                let rate = tape.input(&[]);
                let points = self.points(&tape, lead, support);
                inputs.push(Port::single("rate", rate));
                inputs.extend(points.ports("support"));
                for step in 0..steps {
                    adapted = tape.scope(&format!("inner step {}", step + 1), || {
                        let pass = Pass { updates: step, ..Pass::default() };
                        let (loss, moments) = self.loss_on(&adapted, &points, support, &pass);
                        passes.push(moments);
                        self.inner_step(&adapted, loss, rate, self.order == Order::Second)
                    });
                }
                shown = Some(points);
            }
            let points = self.points(&tape, lead, query);
            inputs.extend(points.ports("query"));
            let loss = tape.scope("outer loss", || {
                let beside = shown.as_ref().filter(|_| self.model.needs_support());
                let beside = beside.map(|shown| self.moments(&adapted, shown.x, steps));
                let pass = Pass { updates: steps, judging: false, support: beside.as_deref() };
                let shown = if steps > 0 { support } else { query };
                let (loss, moments) = self.loss_on(&adapted, &points, shown, &pass);
                passes.push(moments);
                loss
            });
            let mut gradient = self.outer_gradient_of(&theta, loss, &passes);
            if shared {
                gradient = gradient.into_iter().map(|g| g.sum(&[0])).collect();
            }
            (inputs, vec![self.model.layout().port("gradient", &gradient), Port::single("loss", loss)])
        };
        Plan::new("meta_gradient", tape, inputs, outputs)
    }

    /// The outer loss that [`meta_gradient`](Self::meta_gradient) differentiates, of parameters that have taken `steps`
    /// inner steps on `support` points.
    ///
    /// Ports in: `theta`, `support_x` (only where [`Network::needs_support`] and `steps` is not 0), `query_x`, `query_y`.
    /// Ports out: `loss`.
    pub fn outer_loss(&self, lead: &[usize], support: usize, query: usize, steps: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let mut inputs = vec![self.model.layout().port("theta", &theta)];
            let mut beside = None;
            if self.model.needs_support() && steps > 0 {
                let x = self.xs(&tape, lead, support);
                inputs.push(Port::single("support_x", x));
                beside = Some(self.moments(&theta, x, steps));
            }
            let points = self.points(&tape, lead, query);
            inputs.extend(points.ports("query"));
            let pass = Pass { updates: steps, judging: false, support: beside.as_deref() };
            let (loss, _) = self.loss_on(&theta, &points, if steps > 0 { support } else { query }, &pass);
            (inputs, vec![Port::single("loss", loss)])
        };
        Plan::new("outer_loss", tape, inputs, outputs)
    }

    /// Whether the meta-gradient through so many inner steps is one graph. Longer ones are composed, step by step, of
    /// [`step_adjoint`](Self::step_adjoint) and [`outer_gradient`](Self::outer_gradient), so that neither lowering nor
    /// the graph grows with the steps. A network that counts its steps has another graph for each.
    pub fn unrolls(&self, steps: usize) -> bool {
        steps <= LONGEST_UNROLL || self.model.counts_steps()
    }

    /// One inner step on `n` points and its adjoint: θ′ = θ − α ∇L(θ) and, given λ′ = dL_outer/dθ′, λ = (dθ′/dθ)ᵀ λ′.
    ///
    /// Ports in: `theta`, `rate`, `support_x`, `support_y`, late `adjoint` (λ′, as theta).
    /// Ports out: `adapted` (θ′, as theta), which the first stage writes, and `pulled` (λ, as theta).
    /// To first order λ is λ′: then there is no port `adjoint` and no port `pulled`.
    pub fn step_adjoint(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let layout = self.model.layout();
            let theta = layout.inputs(&tape, lead);
            let rate = tape.input(&[]);
            let points = self.points(&tape, lead, n);
            let (loss, _) = self.loss_on(&theta, &points, n, &Pass::default());
            let adapted = self.inner_step(&theta, loss, rate, self.order == Order::Second);
            let mut inputs = vec![layout.port("theta", &theta), Port::single("rate", rate)];
            inputs.extend(points.ports("support"));
            let mut outputs = vec![layout.port("adapted", &adapted)];
            if self.order == Order::Second {
                let adjoint = layout.inputs(&tape, lead);
                inputs.push(layout.port("adjoint", &adjoint).late());
                outputs[0].early = true;
                outputs.push(layout.port("pulled", &vjp(&adapted, &adjoint, &theta)));
            }
            (inputs, outputs)
        };
        Plan::new("step_adjoint", tape, inputs, outputs)
    }

    /// The outer loss of parameters that have taken inner steps on `support` points, with its gradient with respect to
    /// those adapted parameters: where the adjoints begin.
    ///
    /// Ports in: `theta`, `support_x` (only where [`Network::needs_support`]), `query_x`, `query_y`.
    /// Ports out: `gradient` (as theta), `loss` (lead). Running averages as for
    /// [`meta_gradient`](Self::meta_gradient).
    pub fn outer_gradient(&self, lead: &[usize], support: usize, query: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let mut inputs = vec![self.model.layout().port("theta", &theta)];
            let mut beside = None;
            if self.model.needs_support() {
                let x = self.xs(&tape, lead, support);
                inputs.push(Port::single("support_x", x));
                beside = Some(self.moments(&theta, x, 0));
            }
            let points = self.points(&tape, lead, query);
            inputs.extend(points.ports("query"));
            let pass = Pass { support: beside.as_deref(), ..Pass::default() };
            let (loss, moments) = self.loss_on(&theta, &points, support, &pass);
            let gradient = self.outer_gradient_of(&theta, loss, &[moments]);
            (inputs, vec![self.model.layout().port("gradient", &gradient), Port::single("loss", loss)])
        };
        Plan::new("outer_gradient", tape, inputs, outputs)
    }

    /// One inner step on `n` points: `theta`, `rate`, `x`, `y` → `adapted` (as theta), `loss` (before the step).
    pub fn adapt(&self, lead: &[usize], n: usize) -> Plan {
        self.adapt_after(lead, n, 0)
    }

    /// The inner step that follows `updates` others; which one it is matters where [`Network::counts_steps`].
    pub fn adapt_after(&self, lead: &[usize], n: usize, updates: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let rate = tape.input(&[]);
            let points = self.points(&tape, lead, n);
            let pass = Pass { updates, ..Pass::default() };
            let (loss, _) = self.loss_on(&theta, &points, n, &pass);
            let adapted = self.inner_step(&theta, loss, rate, false);
            let mut inputs = vec![self.model.layout().port("theta", &theta), Port::single("rate", rate)];
            inputs.extend(points.ports("support"));
            (inputs, vec![self.model.layout().port("adapted", &adapted), Port::single("loss", loss)])
        };
        Plan::new("adapt", tape, inputs, outputs)
    }

    /// Loss and predictions on `n` points: `theta`, `x`, `y` → `loss`, `predicted [lead…, n, outputs]`.
    /// Where [`Network::needs_support`], use [`evaluate_after`](Self::evaluate_after).
    pub fn evaluate(&self, lead: &[usize], n: usize) -> Plan {
        self.evaluate_after(lead, 0, n, 0)
    }

    /// The same after `updates` inner steps (which matters where [`Network::counts_steps`]), beside the `support`
    /// points whose moments normalise the queries where [`Network::needs_support`].
    ///
    /// Ports in: `theta`, `support_x` (only where that is so and `support` is not 0), `query_x`, `query_y`.
    pub fn evaluate_after(&self, lead: &[usize], support: usize, n: usize, updates: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let mut inputs = vec![self.model.layout().port("theta", &theta)];
            let mut beside = None;
            if self.model.needs_support() && support > 0 {
                let x = self.xs(&tape, lead, support);
                inputs.push(Port::single("support_x", x));
                beside = Some(self.moments(&theta, x, updates));
            }
            let points = self.points(&tape, lead, n);
            let pass = Pass { updates, judging: true, support: beside.as_deref() };
            let (predicted, _) = self.model.pass(&theta, points.x, &pass);
            let shot = self.shot(n);
            let loss = loss::supervised(self.loss, self.reduction, shot, predicted, points.y);
            inputs.extend(points.ports("query"));
            (inputs, vec![Port::single("loss", loss), Port::single("predicted", predicted)])
        };
        Plan::new("evaluate", tape, inputs, outputs)
    }

    /// What the network's body (see [`Network::body`]) makes of `support` and of `n` query points, each normalised as
    /// evaluations do.
    ///
    /// Ports in: `theta` (the body's), `support_x`, `query_x`.
    /// Ports out: `support [lead…, support, features]`, `query [lead…, n, features]`.
    pub fn features(body: &Network, lead: &[usize], support: usize, n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = body.layout().inputs(&tape, lead);
            let size = body.input().iter().product();
            let [shown, asked] = [support, n].map(|n| tape.input(&[lead, &[n, size]].concat()));
            let (_, moments) = body.pass(&theta, shown, &Pass::default());
            let judging = Pass { judging: true, support: Some(&moments), ..Pass::default() };
            let of = |x| body.pass(&theta, x, &judging).0;
            let outputs = vec![Port::single("support", of(shown)), Port::single("query", of(asked))];
            let inputs = [Port::single("support_x", shown), Port::single("query_x", asked)];
            (std::iter::once(body.layout().port("theta", &theta)).chain(inputs).collect(), outputs)
        };
        Plan::new("features", tape, inputs, outputs)
    }

    fn xs<'t>(&self, tape: &'t Tape, lead: &[usize], n: usize) -> Var<'t> {
        let size = self.model.input().iter().product();
        tape.input(&[lead, &[n, size]].concat())
    }

    fn points<'t>(&self, tape: &'t Tape, lead: &[usize], n: usize) -> Points<'t> {
        let x = self.xs(tape, lead, n);
        Points { x, y: tape.input(&[lead, &[n, self.model.outputs()]].concat()) }
    }

    /// The moments of these points at every batch normalisation.
    fn moments<'t>(&self, params: &[Var<'t>], x: Var<'t>, updates: usize) -> Vec<Moments<'t>> {
        self.model.pass(params, x, &Pass { updates, ..Pass::default() }).1
    }

    /// K of `n` support points: all of them for one task, those of one class for N classes.
    fn shot(&self, n: usize) -> usize {
        match self.loss {
            Loss::CrossEntropy => (n / self.model.outputs()).max(1),
            Loss::SquaredError | Loss::Reinforce => n,
        }
    }

    /// The loss on these points; `support` is the number of support points, which the released code divides the
    /// outer loss by too (protocol A.0 row 16).
    fn loss_on<'t>(
        &self,
        params: &[Var<'t>],
        points: &Points<'t>,
        support: usize,
        pass: &Pass<'_, 't>,
    ) -> (Var<'t>, Vec<Moments<'t>>) {
        let (predicted, moments) = self.model.pass(params, points.x, pass);
        (loss::supervised(self.loss, self.reduction, self.shot(support), predicted, points.y), moments)
    }

    fn inner_step<'t>(
        &self,
        params: &[Var<'t>],
        loss: Var<'t>,
        rate: Var<'t>,
        second_order: bool,
    ) -> Vec<Var<'t>> {
        let roles = self.model.layout().entries;
        let adapted: Vec<bool> = roles.iter().map(|entry| entry.role == Role::Adapted).collect();
        inner::step_some(params, &adapted, loss, rate, second_order)
    }

    /// ∇ of the outer loss, with the distances of running averages in their places.
    fn outer_gradient_of<'t>(
        &self,
        theta: &[Var<'t>],
        loss: Var<'t>,
        passes: &[Vec<Moments<'t>>],
    ) -> Vec<Var<'t>> {
        let gradient = grad(loss.sum_all(), theta);
        let distances = self.model.distances(theta, passes);
        gradient.into_iter().zip(distances).map(|(g, distance)| distance.unwrap_or(g)).collect()
    }
}

impl Points<'_> {
    fn ports(&self, set: &str) -> [Port; 2] {
        [Port::single(&format!("{set}_x"), self.x), Port::single(&format!("{set}_y"), self.y)]
    }
}
