//! A page of docs/errors on a screen: its Markdown as headings, paragraphs and indented examples.

use super::paint::Paint;

/// A page without its marks: headings stand out, examples are indented, links are their texts.
pub fn shown(page: &str, paint: Paint) -> String {
    let mut text = String::new();
    let mut in_example = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_example = !in_example;
        } else if in_example {
            text.push_str(&format!("    {line}\n"));
        } else if let Some(title) = line.strip_prefix("# ").or_else(|| line.strip_prefix("## ")) {
            text.push_str(&format!("{}\n", paint.strong(title)));
        } else {
            text.push_str(&format!("{}\n", without_targets(line)));
        }
    }
    text
}

/// `[the guide](../guide/mapping.md)` is `the guide`: a screen follows no link. Addresses on the web stay.
fn without_targets(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(name, tail)| Some((name, tail.split_once(')')?)));
        // A bracket before a link stands for itself, and the link begins at the next one.
        let Some((name, (target, tail))) = link.filter(|(name, _)| !name.contains('[')) else {
            text.push_str(before);
            text.push('[');
            rest = after;
            continue;
        };
        text.push_str(before);
        text.push_str(name);
        if target.starts_with("http") {
            text.push_str(&format!(" ({target})"));
        }
        rest = tail;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_without_its_marks() {
        let page = "# SL1: a title\n\nSee [the guide](../guide/x.md) and [it](https://x.y), a[0].\n\n```yaml\nfrom: Name\n```\n";
        assert_eq!(
            shown(page, Paint::NONE),
            "SL1: a title\n\nSee the guide and it (https://x.y), a[0].\n\n    from: Name\n"
        );
    }
}
