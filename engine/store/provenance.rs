//! Where a landscape or a barcode comes from. No time, no machine: the same run has the same provenance.

use crate::explore::Method;
use crate::spelled::spelled;
use serde::{Deserialize, Serialize};

spelled! {
    /// What two minima are compared as, and so what the bars are between.
    #[derive(Default)]
    pub enum Space {
        /// Between these parameters.
        #[default]
        Raw = "raw",
        /// Between these functions: modulo the declared symmetries.
        Aligned = "aligned",
    }
}

spelled! {
    /// What a barcode was made of, by the word that configurations and files have for it. Whether the samples of a grid or
    /// of a cloud are a function that was given, or those of a loss, is told by [`Heights`].
    #[derive(Default)]
    pub enum By {
        /// Nobody says.
        #[default]
        Unsaid = "",
        /// Minima and paths between them.
        Paths = "paths",
        /// Samples on a grid.
        Grid = "grid",
        /// Samples at points, and their nearest neighbours.
        Cloud = "cloud",
        /// Samples at the vertices of a graph.
        Graph = "graph",
    }
}

impl From<&Method> for By {
    fn from(method: &Method) -> By {
        match method {
            Method::Paths => By::Paths,
            Method::Grid(_) => By::Grid,
            Method::Cloud(_) => By::Cloud,
        }
    }
}

spelled! {
    /// What the deaths of a barcode are.
    #[derive(Default)]
    pub enum Heights {
        /// Nobody says.
        #[default]
        Unsaid = "",
        /// Upper bounds.
        UpperBounds = "upper bounds",
        /// Those of the function itself.
        Exact = "exact",
        /// Those of samples, which bound nothing.
        AsSampled = "as sampled",
    }
}

/// Everything that decides a result, the code apart. Hashes are hexadecimal text; an empty text means "none", and
/// such fields are left out of what is printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provenance {
    /// The version of mountainpass.
    pub version: String,
    /// The backend's name.
    pub backend: String,
    /// The backend's version.
    pub backend_version: String,
    /// The model as the configuration names it, `mlp:64-8-10:tanh`.
    pub model: String,
    /// SHA-256 of the model, as the backend tells it.
    pub model_hash: String,
    /// SHA-256 of the data, or of the files that a sampled function was read from.
    pub data_hash: String,
    /// SHA-256 of what in the configuration decides the results.
    pub config_hash: String,
    /// The text of the configuration.
    pub config: String,
    /// The seed of the first start.
    pub seed: Option<u64>,
    /// What minima were compared as.
    pub space: Space,
    /// p, the length of theta; 0 where there is none.
    pub parameters: u64,
    /// The size of the data set; 0 means there is none.
    pub samples: u64,
    /// By what it was made.
    pub method: By,
    /// What the deaths are.
    pub heights: Heights,
    /// How minima were come by, where it was not by descents from starts alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub minima: String,
    /// The other runs whose findings were merged into those of this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<Source>,
}

/// A run whose findings were merged into another's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// SHA-256 of what in its configuration decided the results.
    pub config_hash: String,
    /// The text of its configuration.
    pub config: String,
    /// The seed of its first start.
    pub seed: Option<u64>,
}

/// The version of this mountainpass.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Provenance {
    /// That of a function whose samples were given: a grid and a graph are all there is of it, and between points nothing
    /// is known.
    pub fn of_given(method: By) -> Provenance {
        let heights = if method == By::Cloud { Heights::AsSampled } else { Heights::Exact };
        Provenance { version: VERSION.to_owned(), method, heights, ..Provenance::default() }
    }

    /// True where a function was sampled, so that there is no path.
    pub fn is_of_samples(&self) -> bool {
        matches!(self.method, By::Grid | By::Cloud | By::Graph)
    }

    /// Why the findings of another run are not of the same loss, seen in the same way: what differs, here and there.
    pub fn differs(&self, other: &Provenance) -> Option<(&'static str, String, String)> {
        let of = |from: &Provenance| {
            [
                ("backend", from.backend.clone()),
                ("backend version", from.backend_version.clone()),
                ("model", from.model_hash.clone()),
                ("data", from.data_hash.clone()),
                ("number of parameters", from.parameters.to_string()),
                ("space", from.space.to_string()),
                ("method", from.method.to_string()),
            ]
        };
        let pairs = of(self).into_iter().zip(of(other));
        let mut differing = pairs.filter(|(here, there)| here.1 != there.1);
        differing.next().map(|((what, here), (_, there))| (what, here, there))
    }

    /// This run, with the findings of another one merged into its own.
    pub fn merged_with(mut self, other: Provenance) -> Provenance {
        let Provenance { config_hash, config, seed, merged, .. } = other;
        self.merged.push(Source { config_hash, config, seed });
        self.merged.extend(merged);
        self
    }
}
