//! The guide on templates: each case of its tables gives what the page says, and it names every filter and test.

use std::collections::BTreeSet;

use jiff::Timestamp;
use syncline::model::object::FieldKind;
use syncline::pipeline::template::{Template, filter_names, test_names};

const PAGE: &str = include_str!("../../docs/guide/templates.md");

#[test]
fn each_case_of_the_guide_gives_what_it_says() {
    let record = record();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for [expression, gives] in rows("| expression | gives |") {
        cases += 1;
        let expression = expression.trim_matches('`');
        let outcome = outcome(expression, &record);
        let line = match &*gives {
            "a blank" => Some(String::new()),
            "an error" => None,
            text => Some(text.trim_matches('`').trim().to_owned()),
        };
        if outcome.as_ref().ok() != line.as_ref() {
            wrong.push(format!("{expression}: {outcome:?}, the guide says {gives}"));
        }
    }
    assert!(cases > 120, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_guide_names_every_filter_and_test() {
    let listed = |header: &str| -> BTreeSet<String> {
        let cells = rows(header).into_iter().map(|[names, _]| names);
        let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
        quoted.map(|name| name.split('(').next().unwrap_or_default().to_owned()).collect()
    };
    let filters = listed("| filter | gives |");
    let lacking: Vec<&str> = filter_names().filter(|name| !filters.contains(*name)).collect();
    assert!(lacking.is_empty(), "the guide lists no filter {lacking:?}");
    let known: BTreeSet<&str> = filter_names().chain(["d", "count"]).collect();
    let strange: Vec<&String> = filters.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(strange.is_empty(), "there is no filter {strange:?}");
    let lacking: Vec<&str> = test_names()
        .filter(|name| !PAGE.contains(&format!("`{name}`")) && !PAGE.contains(&format!("`{name}(")))
        .collect();
    assert!(lacking.is_empty(), "the guide names no test {lacking:?}");
}

/// The text that an expression makes of the page's record; an error where it fails, when loaded or then.
fn outcome(expression: &str, record: &[(String, FieldKind, Option<String>)]) -> Result<String, String> {
    let template = Template::read(&format!("{{{{ {expression} }}}}")).map_err(|error| error.message)?;
    let field = |path: &str| record.iter().find(|(name, ..)| name == path).unwrap_or_else(|| panic!("{path}"));
    let fields: Vec<_> = template.paths().map(field).collect();
    let kinds: Vec<_> = fields.iter().map(|(_, kind, _)| Some(kind.clone())).collect();
    if let Some(error) = template.check(&kinds).into_iter().next() {
        return Err(error.message);
    }
    let now = Timestamp::UNIX_EPOCH;
    template.render(fields.iter().map(|(_, kind, text)| (kind, text.as_deref())), now)
}

fn record() -> Vec<(String, FieldKind, Option<String>)> {
    let kind = |name: &str| match name {
        "text" => FieldKind::String,
        "currency" => FieldKind::Currency,
        "percent" => FieldKind::Percent,
        "number" => FieldKind::Int,
        "checkbox" => FieldKind::Boolean,
        "date" => FieldKind::Date,
        "datetime" => FieldKind::DateTime,
        "multi-select picklist" => FieldKind::MultiPicklist,
        other => panic!("{other} is no type of the page"),
    };
    let rows = rows::<3>("| field | type | value |").into_iter();
    let record: Vec<_> = rows
        .map(|[name, type_, value]| {
            (name.trim_matches('`').to_owned(), kind(&type_), Some(value).filter(|value| !value.is_empty()))
        })
        .collect();
    assert!(record.len() > 5);
    record
}

/// The cells of all tables with this header.
fn rows<const N: usize>(header: &str) -> Vec<[String; N]> {
    let mut found = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if line != header {
            continue;
        }
        lines.next();
        for row in lines.by_ref().take_while(|line| line.starts_with('|')) {
            let plain = row.trim_matches('|').replace("\\|", "\u{1}");
            let cells: Vec<String> = plain.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
            found.push(cells.try_into().unwrap_or_else(|cells| panic!("{row}: {cells:?}")));
        }
    }
    found
}
