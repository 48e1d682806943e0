//! Many portals in one database: their connections, and who may see which of them.

use serde_json::json;
use syncline::ops::fleet;
use syncline::project::wiring::{Outside, open, open_portal};

use crate::support::postgres::{PASSWORD, shared};
use crate::support::{Bench, Ran, ended};

/// A project with portals whose states are in a database of its own. Its password is there as it is.
fn bench(portals: usize) -> (Bench, String) {
    let (bench, database) = (Bench::new(60), shared().database());
    bench.edit("syncline.yaml", "sqlite:.syncline/state.db", &shared().address(&database, "crm"));
    for number in 1..=portals {
        // Two of them have the sandbox's number: only the files are checked for that.
        let id = if number < 3 { 51_234_567 } else { 1_000 + number };
        bench.write(&format!("portals/p{number}.yaml"), &format!("version: 1\nportal_id: {id}\n"));
    }
    (bench, database)
}

fn import(bench: &Bench, portal: &str) {
    let ran = bench.run(&["import", "--yes", "--target", portal]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
}

#[test]
fn all_portals_of_a_database_share_its_connections() {
    let (bench, database) = bench(30);
    import(&bench, "p1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let project = open(&bench.path(""), &|_| None, Outside::real()).unwrap();
        let told = fleet::status(&project, true).await.unwrap().fleet.unwrap();
        assert_eq!((told.portals.len(), told.fresh, told.late), (30, 1, 29), "{told:?}");
        let portals: Vec<_> = (1..=30).map(|number| format!("p{number}")).collect();
        let portals: Vec<_> = portals.iter().map(|name| open_portal(&project, name, &|_| None).unwrap()).collect();
        let states: Vec<_> = portals.iter().map(|portal| portal.state_for_reading().unwrap()).collect();
        let name = syncline::model::ids::PipelineName::new("subscriptions");
        let asked = states.iter().map(|state| state.open_failures(&name));
        futures_util::future::try_join_all(asked).await.unwrap();
        let open = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'syncline'"
        );
        let open: u32 = shared().sql(&database, &open).parse().unwrap();
        assert!((1..=5).contains(&open), "{open} connections");
    });
}

#[test]
fn a_role_sees_the_portals_that_it_may_see() {
    let (bench, database) = bench(2);
    import(&bench, "p1");
    import(&bench, "p2");
    let sql = |text: &str| shared().sql(&database, text);
    let without = "SELECT string_agg(c.relname, ',') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind = 'r' AND a.attname = 'state_id' AND NOT c.relrowsecurity";
    assert_eq!(sql(without), "", "tables that show all rows to everybody");
    // As docs/deploy/postgres.md has it.
    let grants = |role: &str| {
        let password = "viewer-password-1";
        sql(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD '{password}'"));
        sql(&format!(
            "GRANT USAGE ON SCHEMA syncline TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA syncline TO {role};
             ALTER DEFAULT PRIVILEGES IN SCHEMA syncline GRANT SELECT ON TABLES TO {role}"
        ));
        shared().address(&database, "crm").replace(&format!("postgres:{PASSWORD}"), &format!("{role}:{password}"))
    };
    let (all, own) = (grants(&format!("{database}_all")), grants(&format!("{database}_p1")));
    sql(&format!("INSERT INTO syncline.viewers VALUES ('{database}_p1', 'crm/p1')"));
    let own_address = shared().address(&database, "crm");
    let run = |address: &str, arguments: &[&str]| -> Ran {
        bench.edit("syncline.yaml", &own_address, address);
        let ran = ended(bench.command(arguments).output().unwrap());
        bench.edit("syncline.yaml", address, &own_address);
        ran
    };
    let records = |address: &str, portal: &str| {
        let told = run(address, &["status", "--target", portal, "--format", "json"]).code(0).json();
        told["pipelines"].as_array().unwrap().iter().map(|it| it["records"].as_u64().unwrap()).sum::<u64>()
    };
    assert!(records(&all, "p1") > 0 && records(&all, "p2") > 0 && records(&own, "p1") > 0);
    assert_eq!(records(&own, "p2"), 0, "another portal's");
    for command in [&["runs"][..], &["failures"], &["status"]] {
        let of =
            |portal: &str| run(&own, &[command, &["--target", portal, "--format", "json"]].concat()).code(0).json();
        assert_ne!(of("p1"), of("p2"), "{command:?}");
    }
    // By hand, and in every table.
    let seen = |table: &str, column: &str| {
        sql(&format!("SET ROLE {database}_p1; SELECT count(DISTINCT {column}) FROM syncline.{table}"))
    };
    assert_eq!(
        (seen("states", "id"), seen("runs", "state_id"), seen("viewers", "role")),
        ("1".into(), "1".into(), "1".into())
    );
    assert_eq!(seen("identities", "state_id"), "1");
    assert_eq!(sql(&format!("SET ROLE {database}_all; SELECT count(DISTINCT state_id) FROM syncline.identities")), "2");
    // Neither may write.
    for address in [&all, &own] {
        let ran = run(address, &["sync", "--once", "--target", "p1"]).code(1);
        assert!(ran.stderr.contains("docs/deploy/postgres.md"), "{ran:?}");
    }
}

#[test]
fn takeovers_are_told_of_the_fleet_and_of_each_portal() {
    let (bench, database) = bench(2);
    let sql = |text: &str| shared().sql(&database, text);
    import(&bench, "p1");
    import(&bench, "p2");
    assert_eq!(bench.run(&["status", "--format", "json"]).code(0).json()["fleet"]["takeovers"], 0);
    assert!(!bench.run(&["status"]).code(0).stdout.contains("takeover"));
    for (portal, takeovers) in [("p1", 3), ("p2", 1)] {
        sql(&format!(
            "INSERT INTO syncline.portals (key, epoch, owner, process, until, state_id, calls, takeovers)
             SELECT '{portal}', 9, 'x', 'x', 'epoch', id, 0, {takeovers} FROM syncline.states WHERE name = 'crm/{portal}'"
        ));
    }
    let told = bench.run(&["status", "--format", "json"]).code(0).json();
    let fleet = &told["fleet"];
    assert_eq!((&fleet["takeovers"], &fleet["portals"][0]["takeovers"]), (&json!(4), &json!(3)), "{fleet}");
    let text = bench.run(&["status"]).code(0);
    assert!(text.stdout.contains("; 4 takeovers\n") && text.stdout.contains("taken over"), "{text:?}");
    // A role that sees one portal sees its takeovers, and no other's.
    let role = format!("{database}_viewer");
    sql(&format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; INSERT INTO syncline.viewers VALUES ('{role}', 'crm/p1')"
    ));
    sql(&format!("GRANT USAGE ON SCHEMA syncline TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA syncline TO {role}"));
    assert_eq!(sql(&format!("SET ROLE {role}; SELECT sum(takeovers) FROM syncline.portals")), "3");
    let served = bench.serve(&[]);
    assert_eq!(served.get("/status.json").status(200).fits("status")["fleet"]["takeovers"], 4);
    let page = served.get("/").status(200).body;
    assert!(page.contains("data-label=\"taken over\">3<"), "{page}");
    let metrics = served.get("/metrics").status(200).body;
    assert!(metrics.contains("\nsyncline_portal_takeovers_total 4\n"), "{metrics}");
    let metrics = bench.serve(&["--portal-labels"]).get("/metrics").status(200).body;
    assert!(metrics.contains("\nsyncline_portal_takeovers_total{portal=\"p1\"} 3\n"), "{metrics}");
    assert!(!metrics.contains("\nsyncline_portal_takeovers_total "), "{metrics}");
}

#[test]
fn tables_of_the_first_version_are_brought_up_to_date() {
    let (bench, database) = bench(2);
    let sql = |text: &str| shared().sql(&database, text);
    sql("CREATE SCHEMA syncline");
    sql(include_str!("../../src/state/postgres/migrations/0001_initial.sql"));
    sql("UPDATE syncline.version SET version = 1; INSERT INTO syncline.states (name) VALUES ('crm/p1')");
    // Who only looks changes nothing.
    let ran = bench.run(&["status", "--target", "p1"]).code(1);
    assert!(ran.stderr.contains("must be migrated"), "{ran:?}");
    import(&bench, "p1");
    assert_eq!(sql("SELECT count(*) FROM syncline.states"), "1");
    bench.run(&["status", "--target", "p1"]).code(0);
    assert_ne!(sql("SELECT count(*) FROM pg_policy WHERE polname = 'of_states'"), "0");
}
