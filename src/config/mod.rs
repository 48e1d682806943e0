//! YAML text -> `PipelineConfig` and `ProjectConfig`. Reads files and the environment; may use `model` and `diagnostic`.

pub mod pipeline;
pub mod scalar;
