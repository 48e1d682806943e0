//! `test`: runs `pipelines/NAME.test.yaml` against the definitions and the catalog, offline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::config::decode::decode;
use crate::config::env::Variables;
use crate::config::files::Files;
use crate::config::load::{Loaded, is_test};
use crate::config::pipeline_test::{ExpectConfig, PipelineTestConfig, RejectedConfig, TestConfig};
use crate::config::read::{self, SourceFile};
use crate::config::yaml::escape;
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::failure::Reason;
use crate::model::ids::{SalesforceId, SalesforceIdError};
use crate::model::object::{FieldKind, SourceObject, TargetObject};
use crate::model::owners::Owners;
use crate::model::record::{Desired, Record};
use crate::pipeline::compiled::Pipeline;
use crate::project::error::OpsError;
use crate::project::offline::{self, Offline};
use crate::project::revision::base;
use crate::project::selection::{MODIFIED, choose};
use crate::sys::clock::Clock;

/// What `now` is where a test file says nothing: 2000-01-01T00:00:00Z.
/// Fixed, so that a test of `now` gives the same today and next year.
const NOW: Timestamp = Timestamp::constant(946_684_800, 0);

/// What the tests said.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Syncline test results")]
pub struct TestReport {
    /// Each test, by file and place.
    pub tests: Vec<TestResult>,
    /// Pipelines that have no test.
    pub untested: Vec<String>,
    /// Tests that did not hold.
    pub failed: usize,
}

/// One test.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TestResult {
    /// The pipeline.
    pub pipeline: String,
    /// The test.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is not as expected; none where all is.
    pub differences: Vec<Difference>,
    /// How long it took.
    pub seconds: f64,
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The property, the lookup, or `rejected`.
    pub part: String,
    /// What was expected; none for nothing.
    pub expected: Option<String>,
    /// What came; none for nothing.
    pub got: Option<String>,
}

/// Runs the tests of the chosen pipelines.
///
/// Errors: no catalog; findings in definitions or test files; a name that no pipeline has.
pub fn test(files: &Files, variables: Variables<'_>, names: &[String], clock: &Clock) -> Result<TestReport, OpsError> {
    let (Offline { mut loaded, catalog }, pipelines) = offline::compiled(files, variables);
    if loaded.failed() {
        return Err(OpsError::Findings(Box::new(loaded)));
    }
    if catalog.is_empty() {
        let help = "run `syncline catalog pull` with credentials once, and commit the files of catalog/";
        return Err(OpsError::refused(
            "SL3010",
            "there is no catalog: types of fields and properties are not known",
            help,
        ));
    }
    let mut chosen = choose(&loaded, names)?.pipelines;
    let earlier = earlier(&loaded, names)?;
    let mut suites = Vec::new();
    let mut findings = Vec::new();
    for (file, config) in suites_of(files, &mut loaded, &mut findings) {
        let Some(index) = pipeline_of(&file, &config, &loaded, &mut findings) else { continue };
        let changed =
            |base: &Files| base.read(&file.name, FILE_BYTES_MAX).ok().as_deref() != Some(file.text.as_bytes());
        if earlier.iter().any(changed) && !chosen.contains(&index) {
            chosen.push(index);
            chosen.sort_unstable();
        }
        if let Some(pipeline) = pipelines[index].as_ref().filter(|_| chosen.contains(&index)) {
            let suite = Suite { file, config, pipeline: Arc::clone(pipeline), index };
            suite.check_names(&loaded, &catalog, &mut findings);
            suite.check_sense(&mut findings);
            suites.push(suite);
        }
    }
    // A misspelt field would make a test fail for a reason that is not the mapping's.
    if !findings.is_empty() {
        loaded.findings = findings;
        return Err(OpsError::Findings(Box::new(loaded)));
    }
    let untested = chosen.iter().filter(|index| !suites.iter().any(|suite| suite.index == **index));
    let untested = untested.map(|index| loaded.pipelines[*index].config.name.clone()).collect();
    let mut tests = Vec::new();
    for suite in &suites {
        for (number, test) in suite.config.tests.iter().enumerate() {
            let started = clock.now();
            let differences = suite.run(test);
            let seconds = Duration::try_from(clock.now().duration_since(started)).unwrap_or_default().as_secs_f64();
            tests.push(TestResult {
                pipeline: suite.pipeline.name.to_string(),
                name: test.name.clone(),
                file: suite.file.name.to_string(),
                line: suite.line(number),
                differences,
                seconds,
            });
        }
    }
    let failed = tests.iter().filter(|test| !test.differences.is_empty()).count();
    Ok(TestReport { tests, untested, failed })
}

/// Most test files of a project.
const FILES_MAX: usize = 4_000;

/// Largest test file of an earlier revision that is compared, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The files at the revisions of `modified:REF`: a pipeline counts as modified there when its tests are.
fn earlier(loaded: &Loaded, names: &[String]) -> Result<Vec<Files>, OpsError> {
    let references = names.iter().filter_map(|name| name.strip_prefix(MODIFIED));
    references.map(|reference| Ok(base(&loaded.root, reference)?.files)).collect()
}

/// The test files of a project. One that cannot be read is a finding, and the others are run all the same.
fn suites_of(
    files: &Files,
    loaded: &mut Loaded,
    findings: &mut Vec<Diagnostic>,
) -> Vec<(SourceFile, PipelineTestConfig)> {
    let folder = loaded.project.as_ref().map_or("pipelines", |project| &project.pipelines).to_owned();
    let mut suites = Vec::new();
    for path in files.tree(&folder, FILES_MAX).into_iter().flatten().filter(|path| is_test(path)) {
        let (file, value) = read::read(files, &path, &path.as_str().into(), "pipeline-test");
        loaded.files.push(file.clone());
        match value {
            Err(finding) => findings.push(finding),
            Ok(value) => {
                let config = decode(&file, "pipeline-test", value, findings);
                suites.extend(config.map(|config| (file, config)));
            }
        }
    }
    suites
}

/// The pipeline that a file tests.
fn pipeline_of(
    file: &SourceFile,
    config: &PipelineTestConfig,
    loaded: &Loaded,
    findings: &mut Vec<Diagnostic>,
) -> Option<usize> {
    // A test lies beside its pipeline under the same name, unless it names another one.
    let stem = file.name.trim_end_matches(".test.yaml").trim_end_matches(".test.yml");
    let found = match &config.pipeline {
        Some(name) => loaded.pipelines.iter().position(|pipeline| pipeline.config.name == *name),
        None => loaded
            .pipelines
            .iter()
            .position(|pipeline| pipeline.file.name.trim_end_matches(".yaml").trim_end_matches(".yml") == stem),
    };
    if found.is_none() {
        let names: Vec<&str> = loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str()).collect();
        let (place, message) = match &config.pipeline {
            Some(name) => (Place::Value("/pipeline".to_owned()), format!("there is no pipeline `{name}`")),
            None => (Place::File, format!("there is no pipeline in {stem}.yaml that these tests could be of")),
        };
        let finding = Diagnostic::error("SL2055", &file.name, place, message);
        findings.push(finding.with_help(format!("name it with `pipeline:`; pipelines are: {}", names.join(", "))));
    }
    found
}

struct Suite {
    file: SourceFile,
    config: PipelineTestConfig,
    pipeline: Arc<Pipeline>,
    index: usize,
}

impl Suite {
    fn line(&self, number: usize) -> usize {
        let start = self.file.locate(&Place::Value(format!("/tests/{number}/name"))).start;
        self.file.text.get(..start).map_or(1, |text| text.matches('\n').count() + 1)
    }

    /// Names that neither system knows are mistakes of the test, not of the mapping.
    fn check_names(&self, loaded: &Loaded, catalog: &Catalog, findings: &mut Vec<Diagnostic>) {
        let config = &loaded.pipelines[self.index].config;
        let source = catalog.source(&config.source.connection, &config.source.object);
        let target = catalog.target(&config.target.connection, &config.target.object).map(|entry| &entry.object);
        for (number, test) in self.config.tests.iter().enumerate() {
            for path in test.source.keys() {
                // Without the object in the catalog nothing can be called unknown.
                let known = source.is_none_or(|source| self.knows(source, path));
                if !known {
                    let fields = source.iter().flat_map(|source| source.fields.iter().map(|field| field.name.as_str()));
                    let columns = self.pipeline.columns.iter().map(|column| &*column.path);
                    let near = nearest(path, fields.chain(columns));
                    let pointer = format!("/tests/{number}/source/{}", escape(path));
                    let message = format!("{} has no field `{path}` that the mapping could read", config.source.object);
                    findings.push(self.unknown(Place::Key(pointer), message, near));
                }
            }
            let expect = format!("/tests/{number}/expect");
            let properties = test.expect.properties.keys();
            let properties = properties.map(|name| (name, Place::Key(format!("{expect}/properties/{}", escape(name)))));
            let keeps = test.expect.keeps.iter().enumerate();
            let keeps = keeps.map(|(place, name)| (name, Place::Value(format!("{expect}/keeps/{place}"))));
            let absent = |name: &str| target.is_some_and(|target| !target.properties.contains_key(name));
            for (name, place) in properties.chain(keeps).filter(|(name, _)| absent(name)) {
                let known = |target: &'_ TargetObject| target.properties.keys().cloned().collect::<Vec<_>>();
                let known = target.map(known).unwrap_or_default();
                let near = nearest(name, known.iter().map(String::as_str));
                let message = format!("{} has no property `{name}`", config.target.object);
                findings.push(self.unknown(place, message, near));
            }
            for field in test.expect.associations.keys().filter(|field| self.association(field).is_none()) {
                let pointer = format!("/tests/{number}/expect/associations/{}", escape(field));
                let near = nearest(field, self.pipeline.associations.iter().map(|association| &*association.key.0));
                let message = format!("the pipeline has no association for the lookup `{field}`");
                findings.push(self.unknown(Place::Key(pointer), message, near));
            }
        }
    }

    /// Expectations that cannot all be meant: what a rejected record sends is nothing that could be compared.
    fn check_sense(&self, findings: &mut Vec<Diagnostic>) {
        for (number, test) in self.config.tests.iter().enumerate() {
            let ExpectConfig { properties, exact, keeps, associations, rejected } = &test.expect;
            let pointer = |key: &str| format!("/tests/{number}/expect/{key}");
            let others = [
                ("properties", !properties.is_empty()),
                ("exact", *exact),
                ("keeps", !keeps.is_empty()),
                ("associations", !associations.is_empty()),
            ];
            for (key, _) in others.iter().filter(|(_, given)| rejected.is_some() && *given) {
                let message = format!("`{key}` has no effect beside `rejected`");
                let finding = Diagnostic::error("SL2057", &self.file.name, Place::Key(pointer(key)), message);
                let why = "of a record that is rejected, nothing is sent";
                findings.push(finding.with_why(why).with_help("expect either a rejection or what is sent"));
            }
            for (place, name) in keeps.iter().enumerate().filter(|(_, name)| properties.contains_key(*name)) {
                let message = format!("`{name}` is expected to be sent and not to be sent");
                let place = Place::Value(format!("{}/{place}", pointer("keeps")));
                let finding = Diagnostic::error("SL2057", &self.file.name, place, message);
                findings.push(finding.with_help("remove it from `keeps`, or from `properties`"));
            }
        }
    }

    fn unknown(&self, place: Place, message: String, near: Option<&str>) -> Diagnostic {
        let finding = Diagnostic::error("SL2056", &self.file.name, place, message);
        match near {
            Some(near) => finding.with_help(format!("did you mean `{near}`?")),
            None => finding.with_help("look at the definition and at the files of catalog/"),
        }
    }

    /// A field of the object, or a path that the mapping reads.
    fn knows(&self, source: &SourceObject, path: &str) -> bool {
        source.field(path).is_some()
            || self.pipeline.columns.iter().any(|column| column.path.eq_ignore_ascii_case(path))
    }

    /// The place of an association, by its field or its key with the label.
    fn association(&self, name: &str) -> Option<usize> {
        let all = &self.pipeline.associations;
        let by_key = all.iter().position(|association| association.key.0.eq_ignore_ascii_case(name));
        by_key.or_else(|| all.iter().position(|association| association.field.eq_ignore_ascii_case(name)))
    }

    fn run(&self, test: &TestConfig) -> Vec<Difference> {
        let record = match self.record(test) {
            Ok(record) => record,
            Err(message) => return vec![difference("Id", None, Some(message))],
        };
        let now = self.config.now.map_or(NOW, |now| now.0);
        let mut owners = Owners::default();
        self.config.owners.iter().for_each(|(email, id)| owners.add(email, &id.0, false));
        let desired = self.pipeline.transform(&record, now, &owners).map_err(|reason| match reason.code.as_str() {
            "SL5014" => Reason { message: format!("{}; `owners` of the test file lacks it", reason.message), ..reason },
            _ => reason,
        });
        // A record that exists need not have what HubSpot demands of a new one, and a row of a junction object creates none.
        let desired = desired.and_then(|desired| match test.exists || self.pipeline.is_junction {
            true => Ok(desired),
            false => self.pipeline.check_create(&desired).map(|()| desired),
        });
        match (desired, &test.expect.rejected) {
            (Err(reason), Some(expected)) => rejected(&reason, expected),
            (Err(reason), None) => {
                vec![difference("rejected", None, Some(format!("{}: {}", reason.code, reason.message)))]
            }
            (Ok(_), Some(expected)) => {
                let code = expected.code.clone().unwrap_or_else(|| "with any reason".to_owned());
                vec![difference("rejected", Some(code), None)]
            }
            (Ok(desired), None) => self.compare(&desired, &test.expect, test.exists),
        }
    }

    fn record(&self, test: &TestConfig) -> Result<Record, String> {
        let given = |path: &str| {
            let value = test.source.iter().find(|(name, _)| name.eq_ignore_ascii_case(path));
            value.and_then(|(_, value)| value.as_ref()).map(|value| value.0.as_str()).filter(|value| !value.is_empty())
        };
        // Any id serves: most tests are not about it.
        let id = given("Id").unwrap_or("a00000000000001");
        let id: SalesforceId = id.parse().map_err(|error: SalesforceIdError| error.to_string())?;
        let value = |column: &crate::model::record::Column| {
            // A checkbox of Salesforce is never null.
            let missing = (column.kind == FieldKind::Boolean).then_some("false");
            if column.path.eq_ignore_ascii_case("Id") { Some(id.as_str()) } else { given(&column.path).or(missing) }
        };
        let values = self.pipeline.columns.iter().map(value).collect();
        Ok(Record { id, modified: None, deleted: false, values })
    }

    fn compare(&self, desired: &Desired, expect: &ExpectConfig, exists: bool) -> Vec<Difference> {
        let match_property = &self.pipeline.target.match_property;
        let created = desired.create_only.iter().filter(|_| !exists);
        let sent: BTreeMap<&str, &str> =
            desired.properties.iter().chain(created).map(|(name, value)| (&**name, value)).collect();
        let mut found = Vec::new();
        for (name, expected) in &expect.properties {
            let expected = expected.as_ref().map_or("", |value| &value.0);
            match sent.get(name.as_str()) {
                // As texts first: most expectations are written as the value is sent.
                Some(value) if *value == expected || self.same(name, value, expected) => {}
                got => found.push(difference(
                    name,
                    Some(shown(expected)),
                    Some(got.map_or("(not sent)".to_owned(), |value| shown(value))),
                )),
            }
        }
        for name in &expect.keeps {
            if let Some(value) = sent.get(name.as_str()) {
                found.push(difference(name, Some("(not sent)".to_owned()), Some(shown(value))));
            }
        }
        if expect.exact {
            let other =
                // The match property is set by Syncline itself, and no test has to repeat it.
                sent.iter().filter(|(name, _)| **name != &**match_property && !expect.properties.contains_key(**name));
            found.extend(other.map(|(name, value)| difference(name, None, Some(shown(value)))));
        }
        for (field, expected) in &expect.associations {
            let got =
                self.association(field).and_then(|place| desired.lookups[place].as_ref()).map(|asked| asked.target);
            let expected = expected.as_ref().map(|value| &value.0).filter(|value| !value.is_empty());
            let wanted = expected.map(|text| text.parse::<crate::model::ids::SalesforceId>());
            let same = match &wanted {
                None => got.is_none(),
                Some(Ok(id)) => got == Some(*id),
                Some(Err(_)) => false,
            };
            if !same {
                let expected = expected.map_or("(no association)".to_owned(), Clone::clone);
                let got = got.map_or("(no association)".to_owned(), |id| id.to_string());
                found.push(difference(field, Some(expected), Some(got)));
            }
        }
        found
    }

    /// Whether two texts are one value for HubSpot: `4800.50` and `4800.5` are one number.
    fn same(&self, property: &str, one: &str, other: &str) -> bool {
        crate::pipeline::values::compare::same(self.pipeline.kind_of(property), other, Some(one))
    }
}

fn rejected(reason: &Reason, expected: &RejectedConfig) -> Vec<Difference> {
    let mut found = Vec::new();
    if let Some(code) = expected.code.as_ref().filter(|code| **code != reason.code) {
        found.push(difference(
            "rejected.code",
            Some(code.clone()),
            Some(format!("{}: {}", reason.code, reason.message)),
        ));
    }
    if let Some(property) = expected.property.as_ref().filter(|property| reason.property.as_ref() != Some(*property)) {
        found.push(difference("rejected.property", Some(property.clone()), reason.property.clone()));
    }
    if let Some(message) = expected.message.as_ref().filter(|message| !reason.message.contains(message.as_str())) {
        found.push(difference("rejected.message", Some(format!("…{message}…")), Some(reason.message.clone())));
    }
    found
}

fn difference(part: &str, expected: Option<String>, got: Option<String>) -> Difference {
    Difference { part: part.to_owned(), expected, got }
}

fn shown(value: &str) -> String {
    if value.is_empty() { "(cleared)".to_owned() } else { value.to_owned() }
}
