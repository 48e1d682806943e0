//! Generated files are current. `SNAPSHOTS=overwrite cargo test generated` renews them.

use std::path::Path;

use syncline::config::schema;

/// Compares a file with what it should be, or renews it.
#[track_caller]
pub(crate) fn check(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests")]
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not current: renew it with `SNAPSHOTS=overwrite cargo test`, and read the difference"
    );
}

#[test]
fn generated_schemas_are_current() {
    for name in schema::NAMES {
        check(&format!("schemas/{name}.schema.json"), &schema::text(name).unwrap());
    }
}
