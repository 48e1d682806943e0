//! What tests beside pipelines said: as a diff for people, as JUnit XML for a forge, as annotations on lines.

use super::safe::{listed, safe};
use super::table::count;
use crate::model::text::{is_unsafe, workflow_command};
use crate::ops::test::{Difference, TestReport, TestResult};
use crate::sys::secrets::masked;

/// For people; with `all`, also the tests that hold.
pub fn text(report: &TestReport, all: bool) -> String {
    let mut text = String::new();
    for test in &report.tests {
        let failed = !test.differences.is_empty();
        if failed || all {
            let word = if failed { "FAIL" } else { "ok  " };
            text.push_str(&format!(
                "{word} {}: {}  {}:{}\n",
                safe(&test.pipeline),
                safe(&test.name),
                safe(&test.file),
                test.line
            ));
        }
        text.extend(test.differences.iter().map(|difference| differing(difference, "      ")));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let tests = count(report.tests.len() as u64, "test", "tests");
    text.push_str(&match report.failed {
        0 => format!("{tests} passed\n"),
        failed => format!("{tests}: {failed} failed, {} passed\n", report.tests.len() - failed),
    });
    // Told and not failed: a project may begin with tests of one pipeline.
    if !report.untested.is_empty() {
        text.push_str(&format!("without tests: {}\n", listed(&report.untested)));
    }
    text
}

/// One part that differs, as a diff: `-` what was expected, `+` what came.
fn differing(difference: &Difference, indent: &str) -> String {
    let side = |sign: char, value: &Option<String>| {
        value
            .as_ref()
            .map(|value| format!("{indent}{sign} {}: {}\n", safe(&difference.part), safe(value)))
            .unwrap_or_default()
    };
    format!("{}{}", side('-', &difference.expected), side('+', &difference.got))
}

/// As JUnit XML: a suite for each pipeline.
pub fn junit(report: &TestReport) -> String {
    let mut pipelines: Vec<&str> = report.tests.iter().map(|test| test.pipeline.as_str()).collect();
    // Tests stand in the order of their files, so those of one pipeline follow each other.
    pipelines.dedup();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"syncline\" tests=\"{}\" failures=\"{}\">\n",
        report.tests.len(),
        report.failed
    );
    for pipeline in pipelines {
        let tests: Vec<&TestResult> = report.tests.iter().filter(|test| test.pipeline == pipeline).collect();
        let failed = tests.iter().filter(|test| !test.differences.is_empty()).count();
        let seconds: f64 = tests.iter().map(|test| test.seconds).sum();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.6}\">\n",
            xml(pipeline),
            tests.len()
        ));
        text.extend(tests.into_iter().map(case));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(test: &TestResult) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.6}\"",
        xml(&test.pipeline),
        xml(&test.name),
        xml(&test.file),
        test.line,
        test.seconds
    );
    if test.differences.is_empty() {
        return format!("{head}/>\n");
    }
    let parts: Vec<&str> = test.differences.iter().map(|difference| difference.part.as_str()).collect();
    let differences: String = test.differences.iter().map(|difference| differing(difference, "")).collect();
    format!(
        "{head}>\n      <failure type=\"difference\" message=\"{} not as expected\">{}</failure>\n    </testcase>\n",
        xml(&parts.join(", ")),
        xml(&differences)
    )
}

/// A text in an attribute or between tags; characters that XML cannot hold become U+FFFD.
fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in masked(text).chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // A reader of XML takes a plain line break in an attribute for a blank.
            '\n' => safe.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            letter if is_unsafe(letter) => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// Workflow commands that annotate the lines of a pull request; `prefix` leads from the repository's root to the project.
pub fn github(report: &TestReport, prefix: &str) -> Vec<String> {
    let failed = report.tests.iter().filter(|test| !test.differences.is_empty());
    let command = |test: &TestResult| {
        let differences: String = test.differences.iter().map(|difference| differing(difference, "")).collect();
        let place = [
            ("file", format!("{prefix}{}", test.file)),
            ("line", test.line.to_string()),
            ("title", format!("{}: {}", test.pipeline, test.name)),
        ];
        workflow_command("error", &place, differences.trim_end())
    };
    failed.map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_safe_in_xml_and_in_annotations() {
        assert_eq!(xml("a<b>&\"c\"\n\u{1}"), "a&lt;b&gt;&amp;&quot;c&quot;&#10;\u{fffd}");
        let difference = Difference { part: "p".to_owned(), expected: Some("a\n::error::b".to_owned()), got: None };
        let test = TestResult {
            pipeline: "x".to_owned(),
            name: "a, b: c".to_owned(),
            file: "f".to_owned(),
            line: 3,
            differences: vec![difference],
            seconds: 0.0,
        };
        let report = TestReport { tests: vec![test], untested: Vec::new(), failed: 1 };
        assert_eq!(github(&report, ""), ["::error file=f,line=3,title=x%3A a%2C b%3A c::- p: a↵::error::b"]);
    }
}
