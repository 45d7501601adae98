//! Safe calls into `mamlx.data/1`.

use super::{Door, Failure};
use crate::{DataSpaces, Places, abi};
use std::ffi::CString;

/// One instance of a dataset plugin.
pub struct Data {
    table: &'static abi::Data,
    door: Door,
    spaces: DataSpaces,
}

// SAFETY: the header lets any thread call an instance, one call at a time, and every method takes `&mut self`.
unsafe impl Send for Data {}

impl Data {
    /// Creates an instance, telling it where files may be, and reads its description. A plugin of version 1.0 looks
    /// for its files by itself.
    ///
    /// # Safety
    /// The table's functions keep the rules of `mamlx_plugin.h`, and its library stays loaded.
    pub unsafe fn new(table: &'static abi::Data, params: &str, places: &Places) -> Result<Self, Failure> {
        let places = CString::new(places.json())
            .map_err(|_| Failure::about("open", "a folder's name contains a zero byte".into()))?;
        let door = Door::create(params, table.destroy, |params, out, error| match table.open {
            // SAFETY, for both: the caller vouches for the table; the pointers are valid during the call.
            Some(open) => unsafe { open(params, places.as_ptr(), out, error) },
            None => unsafe { (table.create)(params, out, error) },
        })?;
        let mut data = Data { table, door, spaces: DataSpaces { item_shape: vec![], splits: vec![] } };
        let text = data.door.describe(table.describe)?;
        data.spaces = DataSpaces::parse(&text).map_err(|why| Failure::about("describe", why))?;
        Ok(data)
    }

    /// The item shape, the splits and their classes.
    pub fn spaces(&self) -> &DataSpaces {
        &self.spaces
    }

    /// Reads items of one class; out: [items, item shape]. The indices are those of [`Data::spaces`].
    pub fn read(
        &mut self,
        split: usize,
        class: usize,
        items: &[u32],
        out: &mut [f32],
    ) -> Result<(), Failure> {
        let n_items = self.spaces.splits[split].classes[class].items;
        assert!(items.iter().all(|&item| item < n_items), "items");
        assert_eq!(out.len(), items.len() * self.spaces.item_length(), "out");
        let (split, class, count) = (split as u32, class as u32, items.len() as u32);
        let read = self.table.read;
        // SAFETY: by the contract of `new`, and every length is checked.
        self.door.call("read", |instance, error| unsafe {
            read(instance, split, class, items.as_ptr(), count, out.as_mut_ptr(), error)
        })
    }

    /// Ends the instance and says how that went; dropping it ends it silently.
    pub fn destroy(mut self) -> Result<(), Failure> {
        self.door.end()
    }
}
