//! Findings for code scanning, as SARIF 2.1.0.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::diagnostic::codes;
use crate::diagnostic::render::Located;

/// One log with one run: a rule for each code that was found, a result for each finding.
pub fn log(findings: &[Located]) -> Value {
    let pages: BTreeMap<&str, &str> = codes::PAGES.iter().copied().collect();
    let mut used: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    used.sort_unstable();
    used.dedup();
    let rule = |code: &&str| {
        let page = pages.get(code).copied().unwrap_or_default();
        let title = codes::title(page);
        json!({
            "id": code,
            "shortDescription": { "text": title },
            "fullDescription": { "text": title },
            // A viewer shows the Markdown where it can; the format demands the plain text beside it.
            "help": { "text": page, "markdown": page },
        })
    };
    let rules: Vec<Value> = used.iter().map(rule).collect();
    let result = |finding: &Located| {
        // A result of SARIF has one message, so the reason and the advice follow in it.
        let mut message = finding.message.clone();
        for (name, more) in [("", &finding.label), ("why: ", &finding.why), ("help: ", &finding.help)] {
            if let Some(more) = more {
                message.push_str(&format!("\n{name}{more}"));
            }
        }
        let place = |region: Value| {
            json!({
                // GitHub takes this base for the root of the repository.
                "artifactLocation": { "uri": uri(&finding.file), "uriBaseId": "%SRCROOT%" },
                "region": region,
            })
        };
        let related = finding.related.iter().map(|related| {
            let region = json!({ "startLine": related.line, "startColumn": related.column });
            json!({ "physicalLocation": place(region), "message": { "text": related.label } })
        });
        let related: Vec<Value> = related.collect();
        // An end on the place of the start is no region; code scanning then takes the line.
        let mut region = json!({ "startLine": finding.line, "startColumn": finding.column });
        if (finding.end_line, finding.end_column) > (finding.line, finding.column) {
            region["endLine"] = finding.end_line.into();
            region["endColumn"] = finding.end_column.into();
        }
        json!({
            "ruleId": finding.code,
            "ruleIndex": used.iter().position(|code| *code == finding.code),
            "level": finding.severity,
            "message": { "text": message },
            "locations": [{ "physicalLocation": place(region) }],
            "relatedLocations": related,
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "syncline",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            // Columns of findings count characters, and not units of UTF-16.
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// A path as a relative address.
fn uri(path: &str) -> String {
    // A blank or a sign like `#` in a file's name would end the address or change its meaning.
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}
