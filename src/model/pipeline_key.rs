//! How an entry of a list of pipelines names its pipeline: by `pipeline`, like everything else that names one, and once more by
//! `name`, the only key of such entries in 0.1.0.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The two keys.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PipelineKeys<'a> {
    /// The pipeline's name.
    pipeline: &'a str,
    /// The same, for programs that read it by this key.
    #[schemars(extend("deprecated" = true))]
    name: &'a str,
}

/// Writes a name under both keys.
pub fn serialize<T: AsRef<str>, S: Serializer>(name: &T, serializer: S) -> Result<S::Ok, S::Error> {
    PipelineKeys { pipeline: name.as_ref(), name: name.as_ref() }.serialize(serializer)
}

/// Reads a name from the key that is there.
pub fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    struct Keys {
        pipeline: Option<String>,
        name: Option<String>,
    }
    let keys = Keys::deserialize(deserializer)?;
    // Reports of 0.1.0 have the old key alone.
    let name = keys.pipeline.or(keys.name).ok_or_else(|| serde::de::Error::missing_field("pipeline"))?;
    Ok(T::from(name))
}
