//! The page of `syncline serve` in a real browser: light, dark, narrow and printed, by keyboard, and by the rules of accessibility.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::Bench;
use crate::support::page::look_at;
use crate::support::served::reject_texts;

const TOKEN: &str = "a-token-of-this-test-0123456789";

/// Values that would be markup, or turn a line round.
const HOSTILE: [&str; 5] = [
    "<script>window.__injected = 1</script>",
    "<img src=x onerror=\"window.__injected=1\">",
    "\"><svg onload=window.__injected=1>",
    "{{ 7 * 7 }} {% raw %}",
    "\u{202e}txt.exe\u{2066} `ticks`",
];

/// A bench with everything that the page can show: failures of several reasons, hostile values, waiting associations, a run that
/// failed, a pipeline that is off.
fn everything() -> Bench {
    let bench = Bench::new(120);
    reject_texts(&bench, &HOSTILE);
    bench.import();
    bench.sync();
    bench
}

/// Whether this run makes the pictures of the guide anew.
fn renews() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests")]
    std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite")
}

#[test]
fn the_page_is_for_everybody() {
    let bench = everything();
    bench.write("token", TOKEN);
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(bench.path("token"), rights).unwrap();
    let served = bench.serve(&["--token-file", "token", "--show-values"]);
    let runs = bench.run(&["runs", "--format", "json"]).json();
    let run = runs["runs"].as_array().unwrap().iter().find(|run| run["failed"] != 0).unwrap();
    let failures = bench.failures();
    let failure = failures.iter().find(|failure| failure["title"] == HOSTILE[1]).unwrap();
    let (run, why) = (
        format!("/runs/{}", run["run"].as_str().unwrap()),
        format!("/why?id={}", failure["salesforce_id"].as_str().unwrap()),
    );
    let each = format!("/failures?pipeline=subscriptions&code={}", failure["code"].as_str().unwrap());
    let paths = ["/", &each, "/runs", &run, &why];
    let pictures = bench.path("pictures");
    let seen = look_at(&format!("http://{}", served.address), &pictures, TOKEN, &paths);
    assert_eq!(
        (&seen["problems"], &seen["elsewhere"]),
        (&json!([]), &json!([])),
        "no error, and nothing of another server"
    );
    let views = seen["views"].as_array().unwrap();
    assert_eq!(views.len(), paths.len() * 4);
    for view in views {
        let at = format!("{} in {}", view["path"], view["view"]);
        assert_eq!(view["violations"], json!([]), "{at}");
        assert_eq!((&view["overflow"], &view["inline"]), (&json!(false), &json!(0)), "{at}");
        assert_eq!(view["navigation"], view["view"] != "print", "{at}");
        let text = view["text"].as_str().unwrap();
        assert!(!text.contains('\u{202e}') && !text.contains("undefined"), "{at}: {text}");
    }
    let of = |path: &str, name: &str| views.iter().find(|view| view["path"] == path && view["view"] == name).unwrap();
    assert_ne!(of("/", "light")["background"], of("/", "dark")["background"], "dark is dark");
    assert_eq!(of("/", "print")["background"], "rgb(255, 255, 255)");
    let first = of("/", "light")["text"].as_str().unwrap();
    for piece in [
        "subscriptions",
        "work_orders",
        "attention",
        "of the budget",
        "Why is a record as it is?",
        "What to do",
        "SL5005",
        "in the last hour",
    ] {
        assert!(first.contains(piece), "`{piece}` is not seen in:\n{first}");
    }
    let failures = of(paths[1], "light")["text"].as_str().unwrap();
    assert!(failures.contains("<img src=x onerror=\"window.__injected=1\">"), "a value is shown as it is:\n{failures}");
    for (path, stops) in seen["keyboard"].as_object().unwrap() {
        let stops = stops.as_array().unwrap();
        assert_eq!(stops[0]["name"], "Skip to the content", "{path}");
        for stop in stops {
            assert!(stop["visible"] == true && stop["outlined"] == true, "{path}: the focus is not seen: {stop}");
            assert_ne!(stop["name"], "", "{path}: {stop}");
        }
        let names: Vec<&str> = stops.iter().map(|stop| stop["name"].as_str().unwrap()).collect();
        assert!(
            ["Pipelines", "Failures", "Runs", "Why", "Sign out"].iter().all(|name| names.contains(name)),
            "{path}: {names:?}"
        );
    }
    for (picture, name) in [
        ("pipelines-light", "page-light"),
        ("pipelines-dark", "page-dark"),
        ("failures-light", "page-failures"),
        ("pipelines-phone", "page-phone"),
    ] {
        let picture = fs::read(pictures.join(format!("{picture}.png"))).unwrap();
        assert!(picture.len() > 10_000, "{name}");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/guide/pictures/{name}.png"));
        if renews() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, picture).unwrap();
        }
        assert!(file.is_file(), "{}: renew it with `SNAPSHOTS=overwrite cargo test served_page`", file.display());
    }
}

#[test]
fn red_is_only_where_a_person_must_act() {
    let bench = Bench::new(1);
    bench.import();
    bench.run(&["failures", "dismiss"]).code(0);
    let served = bench.serve(&[]);
    let origin = format!("http://{}", served.address);
    let look = || look_at(&origin, &bench.path("pictures"), "", &["/"])["views"].as_array().unwrap().clone();
    let red = |views: &[Value]| views.iter().map(|view| view["red"].as_array().unwrap().len()).sum::<usize>();
    let well = look();
    assert!(well[0]["text"].as_str().unwrap().contains("All 2 pipelines are well"), "{}", well[0]["text"]);
    assert_eq!(red(&well), 0, "{well:?}");
    bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: explode");
    // The page tells what it was asked a moment ago; definitions are read again after that.
    let tells = |views: &Vec<Value>| views[0]["text"].as_str().unwrap().contains("One thing needs a person");
    let broken = (0..10).map(|_| look()).find(tells).unwrap_or_else(look);
    assert!(tells(&broken), "{}", broken[0]["text"]);
    assert!(broken.iter().all(|view| !view["red"].as_array().unwrap().is_empty()), "{broken:?}");
}
