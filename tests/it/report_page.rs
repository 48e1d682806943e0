//! The report of a plan as one HTML file, and the comment: looked at in a real browser, with records that would like to be
//! markup.

use std::fs;

use serde_json::{Value, json};

use crate::support::page::look;
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";
const FILE: &str = "pipelines/subscriptions.yaml";

/// Values that would be markup, links, mentions or the end of something.
const HOSTILE: [&str; 12] = [
    "<script>window.__injected = 1</script>",
    "<img src=x onerror=\"window.__injected=1\">",
    "\"><svg onload=window.__injected=1>",
    "</code></details><h1>Approved</h1>",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "@everyone #1 https://evil.example www.evil.example",
    "``` | --- |\n# heading",
    "a | b | c",
    "`ticks` and ``more``",
    "{{ 7 * 7 }} {% raw %}",
    "\u{202e}txt.exe\u{2066}",
    "&lt;b&gt; &amp; <!-- syncline -->",
];

/// A bench with a changed mapping, dangers, rejects, drift, and hostile values in what changes.
fn hostile() -> Bench {
    let bench = Bench::new(120);
    bench.import();
    bench.settle();
    bench.repository();
    let live: Vec<String> = bench
        .rows(OBJECT)
        .into_iter()
        .filter(|(_, row)| row["values"]["Status__c"] == "Active")
        .map(|(id, _)| id)
        .collect();
    for (id, text) in live.iter().zip(HOSTILE) {
        let values = json!({"Name": text, "Notes__c": text});
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
    }
    bench.salesforce("update", json!({"object": OBJECT, "id": live[20], "values": {"Channels__c": "Fax"}}));
    bench.salesforce("delete", json!({"object": OBJECT, "id": live[21]}));
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench.edit(FILE, "on_filter_exit: keep", "on_filter_exit: archive");
    bench.edit(FILE, "Status__c != 'Draft'", "Status__c NOT IN ('Draft', 'Cancelled')");
    bench
}

#[test]
fn the_report_is_safe_and_complete_in_a_browser() {
    let bench = hostile();
    let arguments =
        ["plan", "--base", "HEAD", "--sample", "200", "--report", "plan.html", "--report", "plan.json", "--refresh"];
    bench.run(&arguments).code(0);
    let page = bench.path("plan.html");
    let seen = look(&page, &bench.path("pictures"));
    assert_eq!(seen["requests"], json!([]), "the page asks nothing of the network");
    assert_eq!((&seen["scriptsRan"], &seen["console"]), (&json!(false), &json!([])));
    let views = seen["views"].as_array().unwrap();
    assert_eq!(views.len(), 3);
    for view in views {
        let at = format!("{} at {}", view["scheme"], view["width"]);
        assert!(view["contrast"].as_f64().unwrap() >= 7.0, "{at}: {}", view["contrast"]);
        assert_eq!(view["overflow"], false, "{at}");
        assert_eq!(
            (&view["elements"]["script"], &view["elements"]["iframe"], &view["elements"]["form"]),
            (&json!(0), &json!(0), &json!(0))
        );
        assert_eq!(view["images"], json!([]), "{at}");
        assert!(view["charts"].as_u64().unwrap() >= 2, "{at}: a chart of actions, a chart of rejects");
        let links = view["links"].as_array().unwrap();
        assert!(links.iter().all(|link| link.as_str().unwrap().starts_with('#')), "{at}: {links:?}");
    }
    let (light, dark) = (&views[0], &views[1]);
    assert_ne!(light["background"], dark["background"], "dark is dark");
    for picture in ["light.png", "dark.png", "phone.png"] {
        assert!(fs::metadata(bench.path("pictures").join(picture)).unwrap().len() > 10_000, "{picture}");
    }
    // What a reviewer needs stands there as text, hostile values as they are.
    let seen = light["text"].as_str().unwrap();
    let plan: Value = serde_json::from_str(&fs::read_to_string(bench.path("plan.json")).unwrap()).unwrap();
    let forecast = report(&plan, "subscriptions");
    let archived = forecast["actions"]["archive"].as_u64().unwrap();
    assert!(archived > 2);
    for piece in [
        format!("{archived} records would be archived in HubSpot"),
        "can remove data".to_owned(),
        "keep".to_owned(),
        "needs a backfill".to_owned(),
        "`guard.archive`".replace('`', ""),
        "SL5006".to_owned(),
        "on_hold".to_owned(),
        "calls to HubSpot".to_owned(),
    ] {
        assert!(seen.contains(&piece), "`{piece}` is not seen in:\n{seen}");
    }
    assert!(seen.contains("<img src=x onerror=\"window.__injected=1\">"), "a value is shown as it is");
    let danger = seen.find("would be archived").unwrap();
    assert!(danger < seen.find("on_hold").unwrap(), "dangers first");
}

#[test]
fn nothing_in_a_comment_is_markup_of_a_record() {
    let bench = hostile();
    let comment = bench.run(&["plan", "--base", "HEAD", "--sample", "200", "--format", "markdown"]).code(0).stdout;
    assert!(comment.starts_with("<!-- syncline -->\n## Syncline: "), "{}", &comment[..200]);
    // Outside of code spans there is no tag but our own, no link, no mention and no picture.
    let prose = without_code(&comment);
    assert_eq!(
        prose.matches("<!-- syncline -->").count(),
        1,
        "the mark that finds the comment again stands there once"
    );
    for piece in ["<script", "<img", "<svg", "<h1", "](", "![", "http://", "https://", "@everyone"] {
        assert!(!prose.contains(piece), "`{piece}` stands outside of code in:\n{prose}");
    }
    let tags: Vec<&str> = prose.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect();
    let ours = ["!-- syncline --", "details", "/details", "summary", "/summary", "br"];
    assert!(tags.iter().all(|tag| ours.contains(tag)), "{tags:?}");
    assert_eq!(prose.matches("<details>").count(), prose.matches("</details>").count());
    assert!(!comment.contains('\u{202e}') && !comment.contains('\u{2066}'));
    // Rows of a table keep their number of cells.
    for table in prose.split("\n\n").filter(|block| block.contains("\n|--") || block.contains("\n|---")) {
        let cells: Vec<usize> = table
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.replace("\\|", "").matches('|').count())
            .collect();
        assert!(cells.windows(2).all(|pair| pair[0] == pair[1]), "{cells:?}\n{table}");
    }
}

/// The text without its code spans, as CommonMark reads them: a run of backticks up to the next run of the same length.
fn without_code(text: &str) -> String {
    let mut prose = String::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(start) = rest.find('`') {
            prose.push_str(&rest[..start]);
            let fence = rest[start..].len() - rest[start..].trim_start_matches('`').len();
            let after = &rest[start + fence..];
            let mut from = 0;
            let end = loop {
                let Some(at) = after[from..].find('`').map(|at| at + from) else { break None };
                let run = after[at..].len() - after[at..].trim_start_matches('`').len();
                if run == fence {
                    break Some(at + run);
                }
                from = at + run;
            };
            match end {
                Some(end) => {
                    prose.push('C');
                    rest = &after[end..];
                }
                None => {
                    prose.push_str(&"`".repeat(fence));
                    rest = after;
                }
            }
        }
        prose.push_str(rest);
        prose.push('\n');
    }
    prose
}
