//! A spec file and its plugin, opened and checked: everything that can be wrong before the first row is found here.

use super::certificate::Certificate;
use super::few_shot::{self, FewShot};
use super::learner::Learner;
use super::programs::Counts;
use super::rl::{self, Reinforcement};
use super::supervised::{self, Supervised};
use crate::error::{Error, Result};
use crate::graph::Plan;
use crate::meta::build;
use crate::meta::supervised::Learner as Plans;
use crate::nn::block::Misfit;
use crate::plugin::{Plugin, SearchPath};
use crate::record::{DataRecord, GradientRecord, Host, Identity, Manifest, PluginRecord, Stamp, Status};
use crate::spec::{self, Draft, Estimator, Method, Order, PluginKind, Spec, SweepRun, Word};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A checked experiment.
pub struct Experiment {
    pub spec: Spec,
    pub plugin: Plugin,
    /// Where relative paths of the spec start.
    folder: PathBuf,
}

/// One run of a sweep: the grid's settings and what they make of the file.
pub struct SweptExperiment {
    /// Key path and value, in the grid's order.
    pub settings: Vec<(String, String)>,
    pub experiment: Experiment,
}

/// Reads a spec file as far as its plugin, which is loaded.
fn draft(path: &Path, overrides: &[String], search: &SearchPath) -> Result<(Draft, Plugin)> {
    let file = std::fs::File::open(path).map_err(Error::io("read the spec", path))?;
    let text = spec::limited(file).map_err(Error::io("read the spec", path))?;
    let draft = spec::read(&text, &path.display().to_string(), overrides)?;
    match search.load(draft.plugin()) {
        Ok(plugin) => Ok((draft, plugin)),
        Err(Error::Input(why)) => Err(draft.refuse("task.plugin", &why, None, None).into()),
        Err(other) => Err(other),
    }
}

/// Whether the layers fit shows only once an instance has said what a point is.
fn layers_fit(draft: &Draft, plugin: &Plugin, spec: &Spec) -> Result<()> {
    let Some(Err(misfit)) = network_fit(spec, plugin)? else { return Ok(()) };
    let (key, message) = (build::key(&spec.model, &misfit), misfit.to_string());
    let declared = Some((&plugin.info.params, plugin.info.kind));
    Err(draft.refuse(&key, &message, None, declared).into())
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

impl Experiment {
    /// Reads and checks a spec file with its overrides (`path=value`), loading the plugin that it names.
    ///
    /// Errors: [`Error::Input`] with every problem of the spec at once; [`Error::Io`].
    pub fn open(path: &Path, overrides: &[String], search: &SearchPath) -> Result<Experiment> {
        let (draft, plugin) = draft(path, overrides, search)?;
        let spec = draft.resolve(&plugin.info.params, plugin.info.kind)?;
        layers_fit(&draft, &plugin, &spec)?;
        let plugin = plugin.isolated(spec.isolation.limit());
        Ok(Experiment { spec, plugin, folder: folder_of(path) })
    }

    /// Reads and checks a spec file with every run of its sweep, in order; a file without a sweep is its only run.
    ///
    /// Errors as for [`Experiment::open`].
    pub fn open_all(path: &Path, overrides: &[String], search: &SearchPath) -> Result<Vec<SweptExperiment>> {
        let (draft, plugin) = draft(path, overrides, search)?;
        let runs = draft.expand(&plugin.info.params, plugin.info.kind)?;
        runs.iter().try_for_each(|run| layers_fit(&draft, &plugin, &run.spec))?;
        let experiment = |run: SweepRun| {
            let plugin = plugin.clone().isolated(run.spec.isolation.limit());
            let experiment = Experiment { spec: run.spec, plugin, folder: folder_of(path) };
            SweptExperiment { settings: run.settings, experiment }
        };
        Ok(runs.into_iter().map(experiment).collect())
    }

    /// The same plugin and folder with another spec, which the caller has made of this one.
    pub fn with(&self, spec: Spec) -> Experiment {
        Experiment { spec, plugin: self.plugin.clone(), folder: self.folder.clone() }
    }

    /// A spec of the same plugin read anew: keys that came after it was written have their defaults.
    ///
    /// Errors: [`Error::Input`] where it is none any more; `name` is what the text is called there.
    pub fn reread(&self, text: &str, name: &str) -> Result<Spec> {
        let draft = spec::read::<&str>(text, name, &[])?;
        Ok(draft.resolve(&self.plugin.info.params, self.plugin.info.kind)?)
    }

    /// Builds and lowers everything the run needs.
    pub fn learner(&self, threads: usize) -> Result<Box<dyn Learner>> {
        match self.plugin.info.kind {
            PluginKind::Environment => {
                Ok(Box::new(Reinforcement::new(&self.spec, &self.plugin, &self.folder, threads)?))
            }
            PluginKind::Tasks => {
                let on = (&super::device(&self.spec)?, threads);
                Ok(Box::new(Supervised::new(&self.spec, &self.plugin, &self.folder, on)?))
            }
            PluginKind::Data => {
                let on = (&super::device(&self.spec)?, threads);
                Ok(Box::new(FewShot::new(&self.spec, &self.plugin, on)?))
            }
        }
    }

    /// The same for a data set only, with all that its answers need.
    pub fn few_shot(&self, threads: usize) -> Result<FewShot> {
        FewShot::new(&self.spec, &self.plugin, (&super::device(&self.spec)?, threads))
    }

    /// What a data set holds; none where the tasks come from elsewhere.
    pub fn data_record(&self) -> Result<Option<DataRecord>> {
        if self.plugin.info.kind != PluginKind::Data {
            return Ok(None);
        }
        few_shot::digest::digest(&mut self.plugin.data(&self.spec.task.params)?).map(Some)
    }

    /// The same for an environment only, with all that a replay needs.
    pub fn reinforcement(&self, threads: usize) -> Result<Reinforcement> {
        Reinforcement::new(&self.spec, &self.plugin, &self.folder, threads)
    }

    /// The same for drawn tasks only and one thread of the processor, with all that their fits need.
    pub fn regression(&self) -> Result<Supervised> {
        Supervised::new(&self.spec, &self.plugin, &self.folder, (&crate::lower::Device::cpu(), 1))
    }

    /// Every plan of the experiment's first trained method, as the CPU runs them: one task a launch.
    pub fn plans(&self) -> Result<Vec<Plan>> {
        let (spec, params) = (&self.spec, &self.spec.task.params);
        if self.plugin.info.kind == PluginKind::Environment {
            let env = self.plugin.env(params, 1)?;
            let spaces = env.spaces();
            let policy = build::policy(&spec.model, spaces.observation.len(), spaces.action.len(), 0);
            let rows = rl::piece_rows(spec);
            let score = (spec.outer.estimator != Estimator::Maml).then(|| policy.score(&[], rows));
            let always = [
                policy.act(&[], spec.task.support),
                policy.policy_gradient(&[], rows),
                policy.policy_curvature(&[], rows),
                policy.surrogate(&[], rows, false),
                policy.surrogate(&[], rows, true),
                policy.fisher(&[], rows),
            ];
            return Ok(always.into_iter().chain(score).collect());
        }
        let (plans, counts) = self.supervised()?;
        let mut training = match plans.unrolls(spec.inner.steps) {
            true => vec![plans.meta_gradient(&[], counts.support, counts.query, spec.inner.steps)],
            false => vec![
                plans.step_adjoint(&[], counts.support),
                plans.outer_gradient(&[], counts.support, counts.query),
            ],
        };
        training.extend([
            plans.adapt(&[], counts.eval[0]),
            plans.evaluate_after(&[], counts.eval[0], counts.query, 0),
        ]);
        Ok(training)
    }

    /// What the plans of a supervised experiment are made from, and the points of its tasks.
    pub fn supervised(&self) -> Result<(Plans, Counts)> {
        let (spec, params) = (&self.spec, &self.spec.task.params);
        if self.plugin.info.kind == PluginKind::Data {
            let shape = self.plugin.data(params)?.spaces().item_shape.clone();
            return Ok((few_shot::plans(spec, Method::Maml, &shape)?, few_shot::counts(spec)));
        }
        let tasks = self.plugin.tasks(params)?;
        let (x, y) = (tasks.spaces().x.len(), tasks.spaces().y.len());
        Ok((supervised::plans(spec, Method::Maml, &[x], y)?, supervised::counts(spec)))
    }

    /// The file of test tasks, if it lies below the spec's folder: a copy goes into the run folder, at the same place,
    /// so that the resolved spec there runs as it is.
    pub fn task_file(&self) -> Result<Option<(PathBuf, Vec<u8>)>> {
        let inside = |path: &&PathBuf| path.components().all(|part| matches!(part, Component::Normal(_)));
        let name = self.spec.eval.task_file.as_ref().map(PathBuf::from);
        let Some(name) = name.as_ref().filter(inside) else { return Ok(None) };
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io("read the test tasks (eval.task_file)", &path))?;
        Ok(Some((name.clone(), bytes)))
    }

    pub fn identity(&self) -> Identity {
        Identity { experiment: self.spec.name.clone(), run: self.spec.run_name(), seed: self.spec.seed }
    }

    /// What has to be the same for a run to go on.
    pub fn stamp(&self) -> Stamp {
        let info = &self.plugin.info;
        Stamp {
            spec_hash: self.spec.hash(),
            version: env!("CARGO_PKG_VERSION").into(),
            plugins: BTreeMap::from([(info.id.clone(), info.sha256.clone())]),
        }
    }

    pub fn manifest(
        &self,
        status: Status,
        message: Option<String>,
        threads: usize,
        gradients: &[Certificate],
    ) -> Manifest {
        let (spec, info) = (&self.spec, &self.plugin.info);
        let order = |method: &Method| match method {
            Method::Maml | Method::Context if spec.inner.order == Order::Second => Some(2),
            Method::Maml | Method::Fomaml | Method::Context => Some(1),
            Method::Pretrained
            | Method::Random
            | Method::Oracle
            | Method::Finetune
            | Method::NearestNeighbour
            | Method::Averaged
            | Method::AveragedL2
            | Method::AveragedToMean => None,
        };
        let orders = spec.methods.iter().filter_map(|m| Some((m.word().to_string(), order(m)?)));
        let version = |name: &str, version: &str| (name.to_string(), version.to_string());
        let mut extra = BTreeMap::from([version("threads", &threads.to_string())]);
        if !spec.isolation.is_none() {
            extra.extend([version("isolation", "process")]);
        }
        extra.insert("dynamics_version".into(), info.dynamics_version.to_string());
        Manifest {
            status,
            message,
            experiment: spec.name.clone(),
            run: spec.run_name(),
            seed: spec.seed,
            spec_hash: spec.hash(),
            device: spec.device.word().into(),
            derivative_order: orders.collect(),
            gradients: gradients.iter().map(|found| (found.of.clone(), record(found))).collect(),
            selected: BTreeMap::new(),
            versions: BTreeMap::from([
                version("mamlx", env!("CARGO_PKG_VERSION")),
                version("luminal", "0.2.0"),
            ]),
            plugins: vec![PluginRecord {
                id: info.id.clone(),
                version: info.version.clone(),
                sha256: info.sha256.clone(),
            }],
            data: None,
            host: Host::here(),
            extra,
        }
    }
}

fn record(certificate: &Certificate) -> GradientRecord {
    let text = |value: f64| format!("{value:.1e}");
    GradientRecord {
        derivative_order: certificate.order,
        error_f32: text(certificate.error_f32),
        error_f64: text(certificate.error_f64),
        other_order: certificate.other_order.map(text),
        holds: certificate.holds(),
    }
}

/// Builds the networks of a spec with blocks, to see whether they fit what the plugin's points are. `None`: nothing to
/// find out, or a data set whose files are not here, which its spec can be checked without.
fn network_fit(spec: &Spec, plugin: &Plugin) -> Result<Option<std::result::Result<(), Misfit>>> {
    if spec.model.layers.is_none() {
        return Ok(None);
    }
    let (params, steps) = (&spec.task.params, spec.inner.steps);
    let fit = |input: &[usize], outputs| build::network(&spec.model, input, outputs, steps, None).map(|_| ());
    match plugin.info.kind {
        PluginKind::Environment => Ok(None),
        PluginKind::Tasks => {
            let spaces = plugin.tasks(params)?.spaces().clone();
            let mut methods = spec.methods.iter();
            let each = |method: &Method| fit(&[supervised::inputs(&spaces, *method)], spaces.y.len());
            Ok(Some(methods.try_for_each(each)))
        }
        PluginKind::Data => {
            let data = plugin.data(params).ok();
            Ok(data.map(|data| fit(&data.spaces().item_shape, spec.task.ways.unwrap_or(2))))
        }
    }
}
