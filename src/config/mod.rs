//! YAML text -> `PipelineConfig` and `ProjectConfig`. Reads files and the environment; may use `model` and `diagnostic`.

pub mod address;
pub mod alerts;
pub mod associate;
pub mod association;
pub mod compose;
pub mod env;
pub mod explain;
pub mod files;
pub mod hide;
pub mod load;
pub mod pipeline;
pub mod pipeline_test;
pub mod project;
pub mod read;
pub mod rules;
pub mod scalar;
pub mod schema;
pub mod select;
pub mod spans;
pub mod typed;
pub mod yaml;
pub mod yaml_errors;
