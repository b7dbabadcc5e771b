//! What names stand for in a graph of the file, and in the graphs around it.

use super::lowering::Value;
use super::messages::TensorProto;
use super::tensors;
use mountainpass_sdk::Error;
use std::collections::HashMap;
use std::path::Path;

/// The names of one graph.
pub(super) struct Scope<'a> {
    values: HashMap<&'a str, Value>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    folder: Option<&'a Path>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// Of the file's graph.
    pub fn new(
        values: HashMap<&'a str, Value>,
        initializers: HashMap<&'a str, &'a TensorProto>,
        folder: Option<&'a Path>,
    ) -> Scope<'a> {
        Scope { values, initializers, folder, outer: None }
    }

    /// Of a graph inside another.
    pub fn inside(outer: &'a Scope<'a>, initializers: HashMap<&'a str, &'a TensorProto>) -> Scope<'a> {
        Scope { values: HashMap::new(), initializers, folder: outer.folder, outer: Some(outer) }
    }

    /// Lets a name stand for a value.
    pub fn give(&mut self, name: &'a str, value: Value) {
        if !name.is_empty() {
            self.values.insert(name, value);
        }
    }

    /// What a name stands for.
    pub fn find(&self, name: &str) -> Result<Option<Value>, Error> {
        match (self.values.get(name), self.initializers.get(name), self.outer) {
            (Some(value), ..) => Ok(Some(value.clone())),
            (None, Some(tensor), _) => tensors::read(tensor, self.folder).map(|tensor| Some(Value::Known(tensor))),
            (None, None, Some(outer)) => outer.find(name),
            (None, None, None) => Ok(None),
        }
    }
}
