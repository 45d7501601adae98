//! Datasets, as the run room sees them.

use super::call::{first_not_finite, while_creating, while_running};
use super::load::{Plugin, Tables};
use super::params::params_json;
use crate::error::Result;
use crate::spec::ParamValue;
use mamlx_plugin::DataSpaces;
use mamlx_plugin::caller::{Data, Failure};
use std::collections::BTreeMap;

/// An instance of a dataset. It may move between threads. Every number that it hands out is finite.
pub struct DataInstance {
    id: String,
    data: Data,
}

impl Plugin {
    /// Makes an instance of a dataset plugin.
    ///
    /// # Errors
    /// As for [`Plugin::env`]; files that are missing are `Error::Input` with the plugin's advice.
    pub fn data(&self, params: &BTreeMap<String, ParamValue>) -> Result<DataInstance> {
        let Tables::Data(table) = self.tables else { return Err(self.wrong_kind("dataset")) };
        let params = params_json(&self.info, params)?;
        // SAFETY: `load` has checked the table; that its functions keep the rules is the plugin's promise.
        let data = unsafe { Data::new(table, &params, &self.places) };
        let data = data.map_err(|failure| while_creating(&self.info.id, &failure))?;
        Ok(DataInstance { id: self.info.id.clone(), data })
    }
}

impl DataInstance {
    /// The item shape, the splits and their classes.
    pub fn spaces(&self) -> &DataSpaces {
        self.data.spaces()
    }

    /// Reads items of one class into `out`, [items, item shape].
    ///
    /// # Panics
    /// When an index is not one of [`DataInstance::spaces`].
    pub fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<()> {
        let place = |spaces: &DataSpaces| {
            let split = &spaces.splits[split];
            format!(", in class `{}` of `{}`", split.classes[class].name, split.name)
        };
        let result = self.data.read(split, class, items, out).and_then(|()| match first_not_finite(out) {
            Some(i) => {
                let item = items[i / self.data.spaces().item_length()];
                Err(Failure::about("read", format!("item {item} contains {}", out[i])))
            }
            None => Ok(()),
        });
        result.map_err(|failure| while_running(&self.id, &failure, &place(self.spaces())))
    }

    /// Ends the instance, and tells a failure to do so; dropping it ends it silently.
    pub fn destroy(self) -> Result<()> {
        self.data.destroy().map_err(|failure| while_running(&self.id, &failure, ""))
    }
}
