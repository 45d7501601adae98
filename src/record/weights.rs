//! `weights.safetensors`: the learnt parameters in the format that every framework reads.

use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The one key of the file's metadata. A single key, because the writer keeps several in no fixed order, and the
/// same run has to give the same bytes.
const SPEC_HASH: &str = "spec_hash";

/// A named block of f32 numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// `<method>/<parameter>`, for example `maml/layer0.weight`.
    pub name: String,
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Vec<f32>,
}

/// All tensors of a file and the specification that they belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Hash of the resolved specification; `None` in files of other programs.
    pub spec_hash: Option<String>,
    /// Sorted by name when read.
    pub tensors: Vec<Tensor>,
}

impl Weights {
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The bytes of the file. Errors: [`Error::Run`] when a shape does not fit its values or a name comes twice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let refuse = |text: String| Error::Run(format!("cannot write the weights: {text}"));
        let bytes: Vec<Vec<u8>> = self
            .tensors
            .iter()
            .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
            .collect();
        let mut views = Vec::with_capacity(self.tensors.len());
        let mut names = HashSet::with_capacity(self.tensors.len());
        for (tensor, bytes) in self.tensors.iter().zip(&bytes) {
            if !names.insert(&tensor.name) {
                return Err(refuse(format!("two tensors are called {}", tensor.name)));
            }
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
            views.push((&tensor.name, view.map_err(|error| refuse(format!("{}: {error}", tensor.name)))?));
        }
        // Not an empty map: with no tensors either, the writer's header would not be JSON.
        let metadata =
            self.spec_hash.as_ref().map(|hash| HashMap::from([(SPEC_HASH.to_string(), hash.clone())]));
        safetensors::serialize(views, metadata).map_err(|error| refuse(error.to_string()))
    }

    /// Errors: [`Error::Io`] when the file cannot be read; [`Error::Input`] when it is damaged, is not of this
    /// format, or holds numbers other than f32.
    pub fn read(path: &Path) -> Result<Weights> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Weights::from_bytes(&bytes).map_err(|why| Error::Input(format!("{}: {why}", path.display())))
    }

    /// The same from the file's bytes; the error continues a sentence that begins with the path.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Weights, String> {
        let unreadable =
            |error: SafeTensorError| format!("not a whole safetensors file: {}", shown(&error.to_string()));
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let metadata: Option<&HashMap<String, String>> = header.metadata().as_ref();
        let mut tensors = Vec::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor {} holds {:?}; expected F32", shown(name), view.dtype()));
            }
            let (values, _) = view.data().as_chunks::<4>();
            let values = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
            tensors.push(Tensor { name: name.to_string(), shape: view.shape().to_vec(), values });
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Weights { spec_hash: metadata.and_then(|map| map.get(SPEC_HASH)).cloned(), tensors })
    }
}

/// A text of the file for a message, without characters that would move a terminal's cursor.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
}
