//! `diff`: what changed in the definitions since a git revision, in terms of mapping, with a class and a line for each.

use serde_json::{Value, json};

use crate::support::Bench;

const FILE: &str = "pipelines/subscriptions.yaml";

/// A bench whose project is committed.
fn committed() -> Bench {
    let bench = Bench::new(30);
    bench.repository();
    bench
}

fn diff(bench: &Bench, arguments: &[&str]) -> Value {
    let mut all = vec!["diff", "--format", "json"];
    all.extend(arguments);
    bench.run(&all).code(0).json()
}

/// `class part line` of each change of the pipeline, in the order in which they are told.
fn changes_in(diff: &Value, name: &str) -> Vec<String> {
    let pipeline = diff["pipelines"].as_array().unwrap().iter().find(|pipeline| pipeline["name"] == name);
    let pipeline = pipeline.unwrap_or_else(|| panic!("{name} is not in {diff}"));
    let changes = pipeline["changes"].as_array().unwrap().iter();
    changes
        .map(|change| {
            let text = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("class"), text("part"), change["line"])
        })
        .collect()
}

/// A name; what is edited in the sample pipeline; class, part and line of each change that is told; a piece of the text.
type Edit = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str], &'static str);

const EDITS: &[Edit] = &[
    (
        "another field feeds a property",
        &[("{ from: External_Code__c, to: external_code }", "{ from: Notes__c, to: external_code }")],
        &["needs_backfill fields.external_code 26"],
        "`external_code` is filled from `Notes__c` instead of `External_Code__c`",
    ),
    (
        "a value map changes",
        &[("On Hold: on_hold", "On Hold: cancelled")],
        &["needs_backfill fields.status 18"],
        "`On Hold` becomes `cancelled` instead of `on_hold`",
    ),
    (
        "a value map loses a value",
        &[(", Draft: draft", "")],
        &["needs_backfill fields.status 18"],
        "records with a value that the map lost are rejected",
    ),
    (
        "a value map loses a value that is cleared then",
        &[(", Draft: draft }", " }\n    otherwise: clear")],
        &["can_remove_data fields.status 18", "can_remove_data fields.status 19"],
        "`Draft` is no longer mapped",
    ),
    (
        "what a blank does",
        &[("to: amount, when_blank: keep", "to: amount")],
        &["can_remove_data fields.amount 19"],
        "a blank in Salesforce clears `amount` in HubSpot",
    ),
    (
        "a number is scaled",
        &[("to: amount, when_blank: keep", "to: amount, when_blank: keep, scale: 0.01")],
        &["needs_backfill fields.amount 19"],
        "the scale of `amount` changed",
    ),
    (
        "the delete behaviour",
        &[("on_filter_exit: keep", "on_filter_exit: archive")],
        &["can_remove_data on_filter_exit 41"],
        "keep → archive",
    ),
    (
        "the delete behaviour, the harmless way",
        &[("on_delete: archive", "on_delete: keep")],
        &["new_records_only on_delete 40"],
        "archive → keep",
    ),
    (
        "an association is dropped",
        &[("  - field: Work_Order__c\n    pipeline: work_orders\n", "")],
        &["new_records_only associations.Work_Order__c null"],
        "associations that were made stay as they are and no longer follow Salesforce",
    ),
    (
        "an association has another label",
        &[("    label: billing_account\n", "")],
        &["needs_backfill associations.Account__c 33"],
        "the new label replaces the one that Syncline made before",
    ),
    (
        "a filter is narrower",
        &[("where: Status__c != 'Draft'", "where: Status__c NOT IN ('Draft', 'Cancelled')")],
        &["needs_backfill source.where 8"],
        "fewer records belong: the filter is narrower",
    ),
    (
        "a filter is narrower, and who leaves it is archived",
        &[
            ("where: Status__c != 'Draft'", "where: Status__c = 'Active'"),
            ("on_filter_exit: keep", "on_filter_exit: archive"),
        ],
        &["can_remove_data source.where 8", "can_remove_data on_filter_exit 41"],
        "2 can remove data",
    ),
    (
        "a filter is gone",
        &[("  where: Status__c != 'Draft'\n", "")],
        &["needs_backfill source.where 7"],
        "Status__c != 'Draft' → (all)",
    ),
    (
        "a filter says the same in other words",
        &[("where: Status__c != 'Draft'", "where: Status__c <> 'Draft'")],
        &[],
        "",
    ),
    (
        "a property is no longer mapped",
        &[("  - { from: Seats__c, to: seats }\n", "")],
        &["new_records_only fields.seats null"],
        "it keeps its last values and no longer follows Salesforce",
    ),
    (
        "a property is mapped as well",
        &[(
            "  - { from: Notes__c, to: notes }\n",
            "  - { from: Notes__c, to: notes }\n  - { from: Currency__c, to: currency }\n",
        )],
        &["needs_backfill fields.currency 26"],
        "the property `currency` is mapped: it is filled from `Currency__c`",
    ),
    (
        "values are no longer masked",
        &[(", sensitive: true", "")],
        &["no_record_effect fields.billing_email 27"],
        "plans, failures and logs show them from now on",
    ),
    (
        "the guard lets more go",
        &[("\nsync:\n", "\nguard: { archive: 50% }\n\nsync:\n")],
        &["can_remove_data guard.archive 43"],
        "one run may archive more records before it stops",
    ),
    (
        "the rhythm, and a comment",
        &[("  every: 5m", "  # Often.\n  every: 1m")],
        &["no_record_effect sync.every 45"],
        "5m → 1m",
    ),
    (
        "the dangerous comes first",
        &[("On Hold: on_hold", "On Hold: cancelled"), ("on_filter_exit: keep", "on_filter_exit: archive")],
        &["can_remove_data on_filter_exit 41", "needs_backfill fields.status 18"],
        "2 changes: 1 can remove data, 1 needs a backfill",
    ),
];

#[test]
fn each_edit_is_told_in_terms_of_mapping() {
    let bench = committed();
    assert_eq!(diff(&bench, &[])["pipelines"], json!([]));
    assert!(bench.run(&["diff"]).code(0).stdout.contains("nothing changed"));
    let clean = std::fs::read_to_string(bench.path(FILE)).unwrap();
    for (name, edits, expected, piece) in EDITS {
        for (from, to) in *edits {
            bench.edit(FILE, from, to);
        }
        let found = diff(&bench, &[]);
        if expected.is_empty() {
            assert_eq!(found["pipelines"], json!([]), "{name}");
        } else {
            assert_eq!(changes_in(&found, "subscriptions"), *expected, "{name}: {found:#}");
        }
        let text = bench.run(&["diff"]).code(0).stdout;
        assert!(text.contains(piece), "{name}: `{piece}` is not in\n{text}");
        // The changed definition itself is sound, so that the table is about real edits.
        bench.run(&["validate"]).code(0);
        bench.write(FILE, &clean);
    }
}

#[test]
fn exit_codes_and_names_are_as_for_other_commands() {
    let bench = committed();
    bench.run(&["diff", "--exit-code"]).code(0);
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench.run(&["diff", "--exit-code"]).code(2);
    bench.run(&["diff"]).code(0);
    assert_eq!(diff(&bench, &["work*"])["pipelines"], json!([]));
    assert_eq!(changes_in(&diff(&bench, &["sub*"]), "subscriptions").len(), 1);
    let ran = bench.run(&["diff", "nobody"]).code(1);
    assert!(ran.stderr.contains("nobody"), "{ran:?}");
}

#[test]
fn a_branch_is_compared_with_where_it_left_its_base() {
    let bench = committed();
    bench.git(&["checkout", "--quiet", "-b", "review"]);
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench.keep("Cancel what is on hold");
    // What happens on the base meanwhile is not this branch's doing.
    bench.git(&["checkout", "--quiet", "main"]);
    bench.edit("pipelines/work_orders.yaml", "on_delete: keep", "on_delete: archive");
    bench.keep("Archive work orders");
    bench.git(&["checkout", "--quiet", "review"]);
    let found = diff(&bench, &["--base", "main"]);
    assert_eq!(found["pipelines"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(changes_in(&found, "subscriptions"), ["needs_backfill fields.status 18"]);
    // The same selects pipelines for other commands, and a project may lie below the repository's root.
    let planned = bench.run(&["plan", "modified:main", "--format", "json"]).code(0).json();
    let names: Vec<&str> =
        planned["pipelines"].as_array().unwrap().iter().filter_map(|pipeline| pipeline["name"].as_str()).collect();
    assert_eq!(names, ["subscriptions"]);
    let none = bench.run(&["plan", "modified:HEAD", "--format", "json"]).code(0);
    assert_eq!(none.json()["pipelines"], json!([]));
    assert!(none.stderr.contains("none is enabled, or none has changed"), "{none:?}");
}

#[test]
fn files_and_names_may_move() {
    let bench = committed();
    bench.git(&["mv", FILE, "pipelines/renewals.yaml"]);
    let found = diff(&bench, &[]);
    assert_eq!(found["pipelines"][0]["standing"], "moved");
    assert_eq!(found["pipelines"][0]["file_before"], FILE);
    let text = bench.run(&["diff"]).code(0).stdout;
    assert!(
        text.contains("the same in another file  pipelines/renewals.yaml (it was in pipelines/subscriptions.yaml)"),
        "{text}"
    );
    bench.edit("pipelines/renewals.yaml", "On Hold: on_hold", "On Hold: cancelled");
    let found = diff(&bench, &[]);
    assert_eq!(found["pipelines"][0]["standing"], "changed");
    assert_eq!(changes_in(&found, "subscriptions"), ["needs_backfill fields.status 18"]);
    bench.edit("pipelines/renewals.yaml", "name: subscriptions", "name: renewals");
    let found = diff(&bench, &[]);
    assert_eq!(found["pipelines"][0]["standing"], "renamed");
    let changes = changes_in(&found, "renewals");
    assert_eq!(changes, ["can_remove_data name 3", "needs_backfill fields.status 18"]);
    std::fs::remove_file(bench.path("pipelines/renewals.yaml")).unwrap();
    let found = diff(&bench, &[]);
    assert_eq!(found["pipelines"][0]["standing"], "removed");
    assert_eq!(changes_in(&found, "subscriptions"), ["can_remove_data pipeline null"]);
    bench.git(&["checkout", "--quiet", "HEAD", "--", FILE]);
    let copy = std::fs::read_to_string(bench.path(FILE)).unwrap();
    bench.write(
        "pipelines/more.yaml",
        &copy.replace("name: subscriptions", "name: more").replace("object: subscriptions", "object: projects"),
    );
    let found = diff(&bench, &[]);
    assert_eq!((&found["pipelines"][0]["name"], &found["pipelines"][0]["standing"]), (&json!("more"), &json!("added")));
}

#[test]
fn the_project_file_counts_and_shows_no_secret() {
    let bench = committed();
    bench.edit("syncline.yaml", "access_token: ", "access_token: new-secret-");
    bench.edit("syncline.yaml", "state: sqlite:.syncline/state.db", "state: sqlite:.syncline/other.db");
    let ran = bench.run(&["diff"]).code(0);
    assert!(
        ran.stdout.contains("connections.hubspot.access_token") && ran.stdout.contains("other.db"),
        "{}",
        ran.stdout
    );
    let old = syncline::sandbox::options::HUBSPOT_TOKEN;
    for form in ["text", "json", "markdown"] {
        let ran = bench.run(&["diff", "--format", form, "-vv"]).code(0);
        assert!(!ran.stdout.contains("new-secret") && !ran.stdout.contains(old), "{}", ran.stdout);
        assert!(!ran.stderr.contains("new-secret") && !ran.stderr.contains(old), "{}", ran.stderr);
    }
}

#[test]
fn what_cannot_be_compared_is_said() {
    let bench = Bench::new(5);
    let ran = bench.run(&["diff"]).code(1);
    assert!(ran.stderr.contains("SL1014") && ran.stderr.contains("git init"), "{ran:?}");
    bench.git(&["init", "--quiet", "--initial-branch", "main"]);
    // A repository without a commit.
    let ran = bench.run(&["diff"]).code(1);
    assert!(ran.stderr.contains("SL1015"), "{ran:?}");
    bench.edit(FILE, "name: subscriptions", "name: [");
    bench.repository();
    for base in ["nowhere", "--base=x", "HEAD~9", "main:syncline.yaml", "-x"] {
        let ran = bench.run(&["diff", &format!("--base={base}")]).code(1);
        assert!(ran.stderr.contains("SL1015"), "{base}: {ran:?}");
    }
    // A file that was broken at the base is noted, and what can be compared is.
    bench.edit(FILE, "name: [", "name: subscriptions");
    bench.edit("pipelines/work_orders.yaml", "on_delete: keep", "on_delete: archive");
    let ran = bench.run(&["diff"]).code(0);
    assert!(ran.stdout.contains("pipelines/subscriptions.yaml could not be read as it was at HEAD"), "{}", ran.stdout);
    assert!(ran.stdout.contains("keep → archive"), "{}", ran.stdout);
    // A file that is broken now is an error with its place.
    bench.edit(FILE, "name: subscriptions", "name: [");
    let ran = bench.run(&["diff"]).code(1);
    assert!(ran.stderr.contains("pipelines/subscriptions.yaml:"), "{ran:?}");
}

#[test]
fn a_part_of_the_history_is_said_to_be_one() {
    let bench = committed();
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench.keep("Cancel what is on hold");
    let first = bench.git(&["rev-parse", "HEAD~1"]).trim().to_owned();
    let folder = tempfile::TempDir::new().unwrap();
    let address = format!("file://{}", bench.path("").display());
    bench.git(&["clone", "--quiet", "--depth", "1", &address, folder.path().to_str().unwrap()]);
    let mut command = bench.command(&["diff", "--base", &first]);
    let ran = crate::support::ended(command.current_dir(folder.path()).output().unwrap()).code(1);
    assert!(ran.stderr.contains("SL1015") && ran.stderr.contains("fetch-depth: 0"), "{ran:?}");
}

#[test]
fn with_records_the_plan_comes_along() {
    let bench = committed();
    bench.import();
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    let found = bench.run(&["diff", "--records", "--format", "json"]).code(0).json();
    let found_in = crate::support::report(&found, "subscriptions");
    let held = bench.rows("Subscription__c").values().filter(|row| row["values"]["Status__c"] == "On Hold").count();
    assert!(held > 0 && found_in["actions"]["update"] == held, "{held} are on hold: {found_in}");
    assert_eq!(found_in["definition_changes"][0]["part"], "fields.status");
    assert_eq!(found["pipelines"].as_array().unwrap().len(), 1, "the other pipeline did not change");
    let text = bench.run(&["diff", "--records"]).code(0).stdout;
    assert!(text.contains("needs a backfill") && text.contains("status: \"on_hold\" → \"cancelled\""), "{text}");
}

#[test]
fn what_changed_in_the_systems_is_data() {
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    bench.repository();
    bench.hubspot("archive_property", json!({"object": "subscriptions", "property": "headline"}));
    bench.hubspot("add_option", json!({"object": "subscriptions", "property": "status", "value": "paused"}));
    bench.salesforce("hide", json!({"object": "Subscription__c", "field": "Seats__c"}));
    bench.run(&["catalog", "pull"]).code(0);
    let changes = diff(&bench, &[])["catalog"].clone();
    let found = |item: &str| {
        let all = changes.as_array().unwrap().iter();
        let mut of_item = all.filter(|change| change["item"] == item);
        let change = of_item.next().unwrap_or_else(|| panic!("{item} is not in {changes}")).clone();
        assert!(of_item.next().is_none(), "{changes}");
        change
    };
    for (item, expected) in [
        (
            "headline",
            json!({"system": "hubspot", "connection": "hubspot", "object": "subscriptions", "kind": "removed",
                "attribute": "type", "value": null, "before": "string", "after": null}),
        ),
        (
            "status",
            json!({"system": "hubspot", "object": "subscriptions", "kind": "value_added", "attribute": "options",
                "value": "paused", "before": null, "after": "paused"}),
        ),
        (
            "Seats__c",
            json!({"system": "salesforce", "object": "Subscription__c", "kind": "removed", "attribute": "type",
                "before": "int", "after": null}),
        ),
    ] {
        let change = found(item);
        for (key, expected) in expected.as_object().unwrap() {
            assert_eq!(&change[key], expected, "{key} of {change}");
        }
        assert_eq!(change["pipelines"], json!(["subscriptions"]), "{change}");
    }
    // For people it stays a sentence.
    let text = bench.run(&["diff"]).code(0).stdout;
    let sentence = "  subscriptions.headline was archived in HubSpot (subscriptions)";
    assert!(text.contains("changes in the two systems, from the catalog") && text.contains(sentence), "{text}");
}
