//! The checks of `mamlx plugin check`, for the author's own tests: through the C interface, without the host.
//! `#[test] fn it_keeps_the_rules() { mamlx_plugin::harness::check_env::<MyEnvironment>(); }` is a whole test.

use crate::caller::{Data, Env, Tasks};
use crate::checks::{self, Finding, Outcome};
use crate::export::Exported;
use crate::{Dataset, Environment, Places, Render, TaskDistribution};

/// Checks an environment with its default parameters.
///
/// # Panics
/// When a check fails, with all findings in the message.
pub fn check_env<E: Environment>() {
    check_env_with::<E>("{}");
}

/// Checks an environment with parameters, a JSON object; see [`check_env`].
pub fn check_env_with<E: Environment>(params: &str) {
    // SAFETY: the table is the SDK's own.
    judge(checks::environment(&|n_slots| unsafe { Env::new(Exported::<E>::ENV, params, n_slots) }));
}

/// Checks the drawing of an environment with parameters, a JSON object; see [`check_env`].
pub fn check_render_with<E: Render>(params: &str) {
    // SAFETY: both tables are the SDK's own, for the same type.
    let make = |n_slots| unsafe {
        Env::new(Exported::<E>::ENV, params, n_slots).map(|env| env.with_render(Exported::<E>::RENDER))
    };
    judge(vec![checks::rendering(&make)]);
}

/// Checks a task distribution with its default parameters; see [`check_env`].
pub fn check_tasks<T: TaskDistribution>() {
    check_tasks_with::<T>("{}");
}

/// Checks a task distribution with parameters, a JSON object; see [`check_env`].
pub fn check_tasks_with<T: TaskDistribution>(params: &str) {
    // SAFETY: the table is the SDK's own.
    judge(checks::distribution(&|| unsafe { Tasks::new(Exported::<T>::TASKS, params) }));
}

/// Checks a dataset with its default parameters; see [`check_env`].
pub fn check_data<D: Dataset>() {
    check_data_in::<D>("{}", &Places::default());
}

/// Checks a dataset with parameters, a JSON object, and with files in these places; see [`check_env`].
pub fn check_data_in<D: Dataset>(params: &str, places: &Places) {
    // SAFETY: the table is the SDK's own.
    judge(checks::dataset(&|| unsafe { Data::new(Exported::<D>::DATA, params, places) }));
}

fn judge(findings: Vec<Finding>) {
    let text: Vec<String> = findings.iter().map(Finding::to_string).collect();
    let text = text.join("\n");
    assert!(
        findings.iter().all(|finding| finding.outcome != Outcome::Fail),
        "the plugin breaks the rules:\n{text}"
    );
    println!("{text}");
}
