//! MAML for supervised few-shot learning (paper, Algorithm 2).

use super::{inner, loss};
use crate::graph::{Plan, Port, Tape, Var, grad};
use crate::nn::Mlp;
use crate::spec::{Loss, Order, Reduction};

/// What the plans need to know of the experiment.
#[derive(Clone, Debug)]
pub struct Learner {
    pub model: Mlp,
    pub loss: Loss,
    pub reduction: Reduction,
    pub order: Order,
}

/// A set of points: `x [lead…, n, inputs]`, `y [lead…, n, outputs]`.
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
    pub fn meta_gradient(&self, lead: &[usize], support: usize, query: usize, steps: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let mut inputs = vec![self.model.layout().port("theta", &theta)];
            let mut adapted = theta.clone();
            if steps > 0 {
                let rate = tape.input(&[]);
                let points = self.points(&tape, lead, support);
                inputs.push(Port::single("rate", rate));
                inputs.extend(points.ports("support"));
                for step in 0..steps {
                    adapted = tape.scope(&format!("inner step {}", step + 1), || {
                        let loss = self.loss_on(&adapted, &points, support);
                        inner::step(&adapted, loss, rate, self.order == Order::Second)
                    });
                }
            }
            let points = self.points(&tape, lead, query);
            inputs.extend(points.ports("query"));
            let loss = tape.scope("outer loss", || self.loss_on(&adapted, &points, query));
            let gradient = grad(loss.sum_all(), &theta);
            (inputs, vec![self.model.layout().port("gradient", &gradient), Port::single("loss", loss)])
        };
        Plan::new("meta_gradient", tape, inputs, outputs)
    }

    /// One inner step on `n` points: `theta`, `rate`, `x`, `y` → `adapted` (as theta), `loss` (before the step).
    pub fn adapt(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let rate = tape.input(&[]);
            let points = self.points(&tape, lead, n);
            let loss = self.loss_on(&theta, &points, n);
            let adapted = inner::step(&theta, loss, rate, false);
            let mut inputs = vec![self.model.layout().port("theta", &theta), Port::single("rate", rate)];
            inputs.extend(points.ports("support"));
            (inputs, vec![self.model.layout().port("adapted", &adapted), Port::single("loss", loss)])
        };
        Plan::new("adapt", tape, inputs, outputs)
    }

    /// Loss and predictions on `n` points: `theta`, `x`, `y` → `loss`, `predicted [lead…, n, outputs]`.
    pub fn evaluate(&self, lead: &[usize], n: usize) -> Plan {
        let tape = Tape::new();
        let (inputs, outputs) = {
            let theta = self.model.layout().inputs(&tape, lead);
            let points = self.points(&tape, lead, n);
            let predicted = self.model.forward(&theta, points.x);
            let loss = loss::supervised(self.loss, self.reduction, n, predicted, points.y);
            let mut inputs = vec![self.model.layout().port("theta", &theta)];
            inputs.extend(points.ports("query"));
            (inputs, vec![Port::single("loss", loss), Port::single("predicted", predicted)])
        };
        Plan::new("evaluate", tape, inputs, outputs)
    }

    fn points<'t>(&self, tape: &'t Tape, lead: &[usize], n: usize) -> Points<'t> {
        let widths = &self.model.widths;
        let of = |width: usize| tape.input(&[lead, &[n, width]].concat());
        Points { x: of(widths[0]), y: of(widths[widths.len() - 1]) }
    }

    fn loss_on<'t>(&self, params: &[Var<'t>], points: &Points<'t>, shot: usize) -> Var<'t> {
        let predicted = self.model.forward(params, points.x);
        loss::supervised(self.loss, self.reduction, shot, predicted, points.y)
    }
}

impl Points<'_> {
    fn ports(&self, set: &str) -> [Port; 2] {
        [Port::single(&format!("{set}_x"), self.x), Port::single(&format!("{set}_y"), self.y)]
    }
}
