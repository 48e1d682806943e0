//! Worlds from files: an SFDX project as the org, HubSpot's own answers as the portal; and files that are no good.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use syncline::sandbox::load;
use syncline::sandbox::options::SandboxOptions;
use tempfile::TempDir;

use crate::support::Bench;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/org")
}

fn bench(portal: bool) -> Bench {
    let portal = portal.then(|| cases().join("portal.json"));
    let worlds = load::read(Some(&cases().join("project")), portal.as_deref()).unwrap();
    let rate_limit = (10_000, std::time::Duration::from_secs(10));
    let bench = Bench::with(SandboxOptions { worlds, rate_limit, ..SandboxOptions::default() });
    fs::remove_dir_all(bench.path("pipelines")).unwrap();
    fs::create_dir(bench.path("pipelines")).unwrap();
    bench
}

#[test]
fn a_project_is_served_with_its_fields_and_records() {
    let bench = bench(false);
    let output = bench.run(&["discover", "--format", "json"]).code(0).json().to_string();
    for object in ["Lease__c", "Unit__c", "Account", "User"] {
        assert!(output.contains(object), "{object}: {output}");
    }
    let shown = bench.run(&["discover", "Lease__c"]).code(0).stdout;
    let lines: Vec<String> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "Rent__c currency Rent",
        "Status__c picklist Status Draft | Signed",
        "Yearly_Rent__c currency Yearly rent calculated",
    ] {
        assert!(lines.iter().any(|printed| printed.starts_with(line)), "`{line}` is not in\n{shown}");
    }
    let records = |object: &str| {
        bench.sandbox.control("salesforce", "records", &json!({"object": object})).unwrap()["records"].clone()
    };
    let leases = records("Lease__c");
    assert_eq!((&leases[0]["values"]["Name"], &leases[1]["values"]["Name"]), (&json!("L-0001"), &json!("L-0002")));
    assert_eq!(leases[0]["values"]["Rent__c"], "1250.50", "all digits");
    let (accounts, units, users) = (records("Account"), records("Unit__c"), records("User"));
    assert_eq!(leases[0]["values"]["Tenant__c"], accounts[0]["id"], "references lead to records of other files");
    assert_eq!(units[0]["values"]["Lease__c"], leases[0]["id"], "children know their parent");
    let ann = users.as_array().unwrap().iter().find(|user| user["values"]["Name"] == "Ann Lee").unwrap();
    assert_eq!(leases[0]["values"]["OwnerId"], ann["id"]);
    assert_eq!(leases[1]["values"]["Indexed__c"], "true");
    assert_eq!(accounts[1]["values"]["NumberOfEmployees"], Value::Null);
}

#[test]
fn a_project_is_synced_like_any_other_org() {
    let bench = bench(false);
    bench.run(&["new", "leases", "--source", "Lease__c", "--target", "leases", "--create-target", "--apply"]).code(0);
    bench.run(&["validate", "--online"]).code(0);
    bench.import();
    let records = bench.sandbox.control("hubspot", "records", &json!({"object": "leases"})).unwrap();
    let all = records["records"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{records}");
    assert!(records.to_string().contains("L-0001") && records.to_string().contains("1250.5"), "{records}");
}

#[test]
fn a_portal_is_served_from_what_hubspot_answers() {
    let bench = bench(true);
    let printed = bench.run(&["discover", "leases"]).code(0).stdout;
    assert!(printed.contains("sf_id") && printed.contains("unique"), "{printed}");
    bench.run(&["new", "leases", "--source", "Lease__c", "--target", "leases", "--match", "sf_id"]).code(0);
    bench.run(&["validate", "--online"]).code(0);
    bench.import();
    let records = bench.sandbox.control("hubspot", "records", &json!({"object": "leases"})).unwrap();
    assert_eq!(records["records"].as_array().unwrap().len(), 2, "{records}");
    let dump = bench.sandbox.dump();
    let leases = &dump["hubspot"]["types"]["2-7001"];
    assert_eq!(leases["fully_qualified_name"], "p51234567_leases", "it is an object of the sandbox's portal");
    assert_eq!(dump["hubspot"]["types"]["0-2"]["properties"]["segment"]["groupName"], "own_group");
    let owners = dump["hubspot"]["owners"].as_object().unwrap();
    assert_eq!(owners.len(), 1, "the people of the org own records: {owners:?}");
    assert!(owners.values().all(|owner| owner["email"] == "Ann@acme.example"));
}

/// A copy of the project in which one file has another text.
fn changed(file: &str, text: &str) -> (TempDir, String) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = TempDir::new().unwrap();
    copy(&cases().join("project"), folder.path());
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    let error = load::read(Some(folder.path()), None).unwrap_err().to_string();
    (folder, error)
}

#[test]
fn a_project_with_a_mistake_is_refused_with_its_file_and_line() {
    let objects = "force-app/main/default/objects";
    let field = |name: &str, rest: &str| {
        format!("<?xml version=\"1.0\"?>\n<CustomField>\n    <fullName>{name}</fullName>\n    {rest}\n</CustomField>\n")
    };
    let values = |count: usize| {
        let value = |number: usize| format!("<value><fullName>v{number}</fullName></value>\n");
        let all: String = (0..count).map(value).collect();
        format!(
            "<label>X</label><type>Picklist</type>\n<valueSet>\n<valueSetDefinition>\n{all}</valueSetDefinition></valueSet>"
        )
    };
    let records = |record: &str| format!("{{\n  \"records\": [\n    {record}\n  ]\n}}\n");
    let file = format!("{objects}/Lease__c/fields/X__c.field-meta.xml");
    let data = "data/more.json".to_owned();
    let lookup = "<type>Lookup</type>\n    <referenceTo>Nothing__c</referenceTo>";
    for (file, text, line, message) in [
        (
            &file,
            "<CustomField>\n<fullName>X__c</fullName>\n<label>X</lable>\n</CustomField>".to_owned(),
            Some(3),
            "the XML is not valid",
        ),
        (&file, "<CustomObject/>".to_owned(), None, "must hold a <CustomField>"),
        (&file, "<CustomField><label>X</label></CustomField>".to_owned(), Some(1), "<fullName> is missing"),
        (&file, field("X__c", "<label>X</label>"), Some(2), "has no <type>"),
        (&file, field("X__c", "<type>Colour</type>"), Some(4), "unknown type `Colour`; known are AutoNumber"),
        (
            &file,
            field("X__c", "<type>Text</type><length>many</length>"),
            Some(4),
            "<length> must be a number, not `many`",
        ),
        (&file, field("X__c", &values(5_000)), Some(6), "5000 active values, and Salesforce takes at most 1000"),
        (&file, field("X__c", "<type>Picklist</type>"), Some(2), "has no <valueSet>"),
        (
            &file,
            field("X__c", "<type>Picklist</type><valueSet><valueSetName>Moods</valueSetName></valueSet>"),
            Some(4),
            "no such globalValueSet",
        ),
        (&file, field("X__c", lookup), None, "leads to `Nothing__c`"),
        (&file, field("Rent__c", "<type>Date</type>"), None, "is described in"),
        (
            &format!("{objects}/Lease__c/Lease__c.object-meta.xml"),
            "<CustomObject>\n<nameField><type>Date</type></nameField></CustomObject>".to_owned(),
            Some(2),
            "unknown type `Date`",
        ),
        (&data, "{\n  \"records\": [\n".to_owned(), Some(3), "JSON"),
        (&data, records("{ \"attributes\": { \"type\": \"Nothing__c\" } }"), Some(3), "no such object"),
        (&data, records("{ \"Name\": \"x\" }"), Some(3), "cannot be read"),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\" },\n      \"Nope__c\": 1 }"),
            Some(4),
            "no field `Nope__c`",
        ),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\" },\n\n      \"Tenant__c\": \"@Nobody\" }"),
            Some(5),
            "no record of the project has the referenceId `Nobody`",
        ),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\" },\n      \"Rent__c\": \"much\" }"),
            Some(4),
            "expected a number",
        ),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\" },\n      \"Start__c\": \"1.10.2026\" }"),
            Some(4),
            "expected a date",
        ),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\" },\n      \"Indexed__c\": \"yes\" }"),
            Some(4),
            "expected true or false",
        ),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\" },\n      \"Code__c\": \"123456789012345678901\" }"),
            Some(4),
            "longer than the 20 characters",
        ),
        (
            &data,
            records("{ \"attributes\": { \"type\": \"Lease__c\", \"referenceId\": \"L1\" } }"),
            Some(3),
            "two records have the referenceId `L1`",
        ),
        (
            &data,
            records(
                "{ \"attributes\": { \"type\": \"Account\" }, \"Units__r\": { \"records\": [{ \"attributes\": { \"type\": \"Unit__c\" } }] } }",
            ),
            Some(3),
            "no lookup to `Account`",
        ),
    ] {
        let (folder, error) = changed(file, &text);
        let place = folder.path().join(file);
        let start =
            line.map_or_else(|| format!("{}: ", place.display()), |line| format!("{}:{line}: ", place.display()));
        assert!(error.starts_with(&start) && error.contains(message), "{message}: {error}");
    }
    let nowhere = TempDir::new().unwrap();
    let error = load::read(Some(nowhere.path()), None).unwrap_err().to_string();
    assert!(error.contains("there are no objects in it"), "{error}");
}

#[test]
fn a_portal_file_with_a_mistake_is_refused_with_its_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("portal.json");
    let good = fs::read_to_string(cases().join("portal.json")).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    for (text, message) in [
        ("{\n\"schemas\": [".to_owned(), "portal.json:2: it is not the JSON"),
        ("{\"a\": 1}".to_owned(), "expected the `results`"),
        (edited("\"name\": \"leases\"", "\"name\": \"\""), "a schema has no `name`"),
        (edited("\"primaryDisplayProperty\": \"lease_name\",", ""), "has no `primaryDisplayProperty`"),
        (
            edited("\"type\": \"enumeration\"", "\"type\": \"colour\""),
            "portal.json:12: `leases.status` has the unknown type `colour`",
        ),
        (edited("\"value\": \"Signed\"", "\"value\": \"Draft\""), "has the option `Draft` twice"),
        (edited("\"companies\": { \"results\"", "\"companies\": { \"entries\""), "expected the `results`"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = load::read(None, Some(&path)).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
    assert!(load::read(None, Some(&folder.path().join("none.json"))).is_err());
    let worlds = load::read(None, Some(&cases().join("portal.json"))).unwrap();
    assert!(worlds.salesforce.is_none(), "without a project the sample org stays");
}

#[test]
fn a_world_that_cannot_be_read_is_told_before_anything_is_served() {
    let bench = bench(false);
    let broken = bench.path("broken.json");
    fs::write(&broken, "{").unwrap();
    for (flags, part) in [(["--org", "nowhere"], "nowhere"), (["--portal", "broken.json"], "broken.json:1")] {
        let ran = bench.run(&["sandbox", flags[0], flags[1]]).code(1);
        assert!(ran.stderr.contains("SL6011") && ran.stderr.contains(part) && ran.stdout.is_empty(), "{ran:?}");
    }
    let kept = bench.path("kept.json");
    fs::write(&kept, bench.sandbox.dump().to_string()).unwrap();
    let project = cases().join("project");
    let ran = bench.run(&["sandbox", "--org", project.to_str().unwrap(), "--data", "kept.json"]).code(1);
    assert!(ran.stderr.contains("holds a state already"), "{ran:?}");
}
