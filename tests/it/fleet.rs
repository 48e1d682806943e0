//! Many portals in one database: their connections, and who may see which of them.

use serde_json::{Value, json};
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
fn the_fleet_says_what_each_portal_says() {
    let (bench, database) = bench(5);
    // Two whose states are files.
    for portal in ["p4", "p5"] {
        let number = 1_000 + portal[1..].parse::<u32>().unwrap();
        bench.write(
            &format!("portals/{portal}.yaml"),
            &format!("version: 1\nportal_id: {number}\nstate: \"sqlite:{portal}.db\"\n"),
        );
    }
    let unread = bench.run(&["status", "--format", "json"]).code(0).json();
    assert_eq!(unread["fleet"]["late"], 5, "before there is any state: {unread}");
    import(&bench, "p1");
    import(&bench, "p2");
    // One whose import was broken off, one whose last run found another process there after one that failed.
    let sql = |text: &str| shared().sql(&database, text);
    let of = |portal: &str| format!("(SELECT id FROM syncline.states WHERE name = 'crm/{portal}')");
    sql(&format!(
        "INSERT INTO syncline.imports (state_id, pipeline, began, read, total)
         SELECT state_id, id, 0, 3, 7 FROM syncline.pipelines WHERE state_id = {} AND name = 'subscriptions'",
        of("p1")
    ));
    sql(&format!(
        "INSERT INTO syncline.runs (state_id, id, pipeline, kind, status, started, ended, tally, error)
         SELECT DISTINCT ON (r.pipeline) r.state_id, '7ZZZZZZZZZZZZZZZZZZZZZZZZ' || n, r.pipeline, r.kind, 'failed', r.started + n, r.started + n,
             r.tally, CASE n WHEN 1 THEN 'Salesforce was away (SL3002)' ELSE 'another process is at it (SL6004)' END
         FROM syncline.runs r CROSS JOIN generate_series(1, 2) n
         JOIN syncline.pipelines p ON p.state_id = r.state_id AND p.id = r.pipeline AND p.name = 'work_orders'
         WHERE r.state_id = {} ORDER BY r.pipeline",
        of("p2")
    ));
    sql(&format!(
        "INSERT INTO syncline.runs (state_id, id, pipeline, kind, status, started, ended, tally, error)
         SELECT state_id, '7ZZZZZZZZZZZZZZZZZZZZZZZZ3', pipeline, kind, status, started + 1, ended + 1, tally, 'another process is at it (SL6004)'
         FROM syncline.runs WHERE state_id = {} AND id LIKE '7ZZZZ%' LIMIT 1",
        of("p2")
    ));
    let told = bench.run(&["status", "--format", "json"]).code(0).json();
    let portals = told["fleet"]["portals"].as_array().unwrap();
    assert_eq!(portals.len(), 5);
    for portal in portals {
        let name = portal["portal"].as_str().unwrap();
        let one = bench.run(&["status", "--target", name, "--format", "json"]).code(0).json();
        let all = one["pipelines"].as_array().unwrap();
        for (of_fleet, of_pipeline) in [
            ("records", "records"),
            ("pending_associations", "pending_associations"),
            ("open_failures", "open_failures"),
        ] {
            let sum: u64 = all.iter().map(|it| it[of_pipeline].as_u64().unwrap()).sum();
            assert_eq!(portal[of_fleet].as_u64(), Some(sum), "{of_fleet}: {portal}\n{one}");
        }
        let last = all.iter().filter_map(|it| it["last_run"]["started"].as_str()).max();
        assert_eq!(portal["last_run"].as_str(), last, "{portal}\n{one}");
        assert_eq!(portal["lag_seconds"].is_null(), all.iter().any(|it| it["lag_seconds"].is_null()), "{portal}");
        let urgent = ["definition", "last_run", "unfinished_import"];
        let reasons = || all.iter().flat_map(|it| it["attention"].as_array().unwrap());
        let is_broken = reasons().any(|it| urgent.contains(&it["reason"].as_str().unwrap()));
        assert_eq!(portal["standing"] == "broken", is_broken, "{portal}\n{one}");
        if let Some(problem) = portal["problem"].as_str() {
            let same = |it: &&Value| problem.ends_with(it["message"].as_str().unwrap());
            assert!(reasons().any(|it| same(&it)) || problem.contains(" ago"), "{problem}\n{one}");
        }
    }
    let standings: Vec<_> = portals.iter().map(|portal| portal["standing"].as_str().unwrap()).collect();
    assert_eq!(standings, ["broken", "broken", "late", "late", "late"], "{told}");
    assert!(portals[1]["problem"].as_str().unwrap().contains("SL3002"), "{told}");
}

#[test]
fn one_portal_of_many_is_looked_at_on_the_page() {
    let (bench, _) = bench(2);
    import(&bench, "p1");
    bench.write("token", "a-token-of-this-test-0123456789");
    std::fs::set_permissions(bench.path("token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let served = bench.serve(&["--token-file", "token"]);
    let headers = [("authorization", "Bearer a-token-of-this-test-0123456789")];
    let get = |path: &str| served.ask("GET", path, &headers, "");
    let page = get("/").status(200).body;
    assert!(page.contains("<a href=\"/portals/p1/\">p1</a>") && !page.contains(">Failures</a>"), "{page}");
    // Each answer is that of the command line.
    for (path, command, schema) in [
        ("/portals/p1/status.json", &["status"][..], "status"),
        ("/portals/p1/failures.json", &["failures"], "failures"),
        ("/portals/p1/runs.json", &["runs"], "runs"),
        ("/portals/p2/runs.json", &["runs"], "runs"),
    ] {
        let portal = &path[9..11];
        let printed =
            bench.run(&[command, &[&format!("--target={portal}"), "--format", "json"]].concat()).code(0).json();
        let told = get(path).status(200).fits(schema);
        match schema {
            "status" => assert_eq!(told["pipelines"][0]["records"], printed["pipelines"][0]["records"]),
            "failures" => {
                assert_eq!(told["groups"].as_array().map(Vec::len), printed["groups"].as_array().map(Vec::len))
            }
            _ => assert_eq!(told, printed, "{path}"),
        }
    }
    // Every address of a page of one portal leads to a page of the same portal, and back to all.
    let run = get("/portals/p1/runs.json").status(200).fits("runs")["runs"][0]["run"].as_str().unwrap().to_owned();
    for path in ["", "/", "/failures", "/runs", "/why", &format!("/runs/{run}")] {
        let page = get(&format!("/portals/p1{path}")).status(200).body;
        assert!(page.contains("<a href=\"/\">Portals</a>") && page.contains("<strong>p1</strong>"), "{page}");
        for part in ["href=\"/failures", "href=\"/runs", "href=\"/why", "action=\"/failures", "action=\"/why"] {
            assert!(!page.contains(part), "{path} has {part}: {page}");
        }
        assert!(page.contains("href=\"/portals/p1/runs\""), "{path}: {page}");
    }
    let failures = get("/portals/p1/failures.json").status(200).fits("failures");
    let group = &failures["groups"][0];
    let form = format!("pipeline={}&code={}", group["pipeline"].as_str().unwrap(), group["code"].as_str().unwrap());
    let change =
        [&headers[..], &[("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")]]
            .concat();
    let changed = served.ask("POST", "/portals/p1/failures/retry", &change, &form).status(303);
    assert!(changed.header("location").unwrap().starts_with("/portals/p1/failures?done=retried"), "{changed:?}");
    let metrics = get("/portals/p1/metrics").status(200).body;
    assert!(metrics.contains("syncline_records{pipeline=\"subscriptions\"}"), "{metrics}");
    // What is no portal, and what anybody may not ask.
    for path in ["/portals/none/", "/portals/", "/portals/P1/", "/portals/p1/nothing", "/portals/..%2f/"] {
        get(path).status(404);
    }
    served.ask("POST", "/portals/p1/failures/retry", &change[1..], &form).status(401);
    let foreign = [("sec-fetch-site", "cross-site"), headers[0]];
    served.ask("GET", "/portals/p1/why?id=1", &foreign, "").status(403);
    // Who serves one portal serves no other.
    let one = bench.serve(&["--target", "p1"]);
    one.get("/portals/p2/").status(404);
    assert!(one.get("/").status(200).body.contains("href=\"/runs\""));
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
