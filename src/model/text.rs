//! Text of others among our own: what would turn, hide or forge it on a screen is made visible.

use std::borrow::Cow;

/// Whether a character does something to a terminal, a line or a reader instead of being seen: control characters, marks of
/// the direction of writing, separators of lines, what has no width. Joiners of emoji are not among them.
pub fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A character as it is shown within a line: a line end as an arrow, a tab as a blank, what is unsafe as U+FFFD.
pub fn visible(letter: char) -> char {
    match letter {
        '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => '↵',
        '\t' | '\r' => ' ',
        letter if is_unsafe(letter) => '\u{fffd}',
        letter => letter,
    }
}

/// A text of others as a part of one line.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unsafe) { Cow::Owned(text.chars().map(visible).collect()) } else { Cow::Borrowed(text) }
}

/// What the system said of an error, without the number that only programmers look up: `(os error 2)`.
pub fn without_error_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        // A number and its bracket, or a text that only looks like it.
        match rest.strip_prefix(')').filter(|_| rest.len() < part.len()) {
            Some(rest) => whole.push_str(rest),
            None => whole.extend([" (os error ", part]),
        }
    }
    whole
}

/// A whole text for a screen: its lines and tabs stay, and a line that a build server would take for a command is none
/// any more.
pub fn screen(text: &str) -> Cow<'_, str> {
    let keep = |letter: char| matches!(letter, '\n' | '\t') || !is_unsafe(letter);
    // A quick look, as nearly no text holds either.
    let commands = text.contains("::") || text.contains("##");
    if !commands && text.chars().all(keep) {
        return Cow::Borrowed(text);
    }
    let shown: String = text.chars().map(|letter| if keep(letter) { letter } else { visible(letter) }).collect();
    if !commands {
        return Cow::Owned(shown);
    }
    Cow::Owned(shown.split_inclusive('\n').map(disarmed).collect::<Vec<_>>().concat())
}

/// Signs before which a build server looks for a command anywhere in a line.
const COMMANDS: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// A line that no build server takes for a command.
fn disarmed(line: &str) -> Cow<'_, str> {
    let mut line = Cow::Borrowed(line);
    // Three colons begin no command: the name of one never begins with a colon.
    if line.trim_start().starts_with("::") && !line.trim_start().starts_with(":::") {
        line = Cow::Owned(line.replacen("::", ": :", 1));
    }
    for sign in COMMANDS.into_iter().filter(|sign| line.contains(*sign)).collect::<Vec<_>>() {
        line = Cow::Owned(line.replace(sign, &sign.replacen("##", "# #", 1)));
    }
    line
}

/// JSON that means the same and shows nothing unsafe: such characters stand in strings only, where they can be written out.
pub fn json(text: &str) -> Cow<'_, str> {
    let keep = |letter: char| letter == '\n' || !is_unsafe(letter);
    if text.chars().all(keep) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for letter in text.chars() {
        if keep(letter) {
            shown.push(letter);
        } else {
            let mut units = [0; 2];
            // JSON writes characters beyond the first plane as two halves.
            shown.extend(letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(shown)
}

/// A workflow command of GitHub: `::error file=…,title=…::message`. No part of it can end it or begin another.
pub fn workflow_command(name: &str, properties: &[(&str, String)], message: &str) -> String {
    let safe = |letter: char| if letter == '\n' || !is_unsafe(letter) { letter } else { visible(letter) };
    // The percent sign first, or the codes of the others would be encoded once more.
    let data = |text: &str| text.chars().map(safe).collect::<String>().replace('%', "%25").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", property(value))).collect();
    format!("::{name} {}::{}", properties.join(","), data(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\r\u{202e}b\u{2066}\u{200f}\u{61c}\u{feff}\u{e0041}\u{7f}c";

    #[test]
    fn errors_of_the_system_are_told_in_words() {
        let told = "`a`: No such file or directory (os error 2): nothing was served";
        assert_eq!(without_error_numbers(told), "`a`: No such file or directory: nothing was served");
        for kept in ["", "a (os error )", "a (os error 2", "(os error 2)"] {
            assert_eq!(without_error_numbers(kept), kept);
        }
    }

    #[test]
    fn a_line_stays_one_and_is_seen_as_it_is() {
        let shown = line(EVIL);
        assert!(!shown.chars().any(is_unsafe), "{shown:?}");
        assert_eq!(line("one\ntwo\u{2028}three\u{85}four\tfive\r\n"), "one↵two↵three↵four five ↵");
        assert_eq!(line("Zoë 漢字 👩‍💻 – “x”"), "Zoë 漢字 👩‍💻 – “x”");
    }

    #[test]
    fn a_screen_keeps_its_lines_and_takes_no_orders() {
        assert_eq!(screen("a\n\tb\u{1b}[31m\n"), "a\n\tb\u{fffd}[31m\n");
        assert_eq!(
            screen("x\n::set-output name=a::b\n  ::error::c\n d::e"),
            "x\n: :set-output name=a::b\n  : :error::c\n d::e"
        );
        assert_eq!(screen("a ##vso[task.x]y ##[group]\n## Title"), "a # #vso[task.x]y # #[group]\n## Title");
        assert_eq!(screen("  ::: a.yaml:3:1"), "  ::: a.yaml:3:1");
        assert!(!screen(EVIL).contains('\u{1b}'));
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::Value::from(EVIL);
        let shown = json(&value.to_string()).into_owned();
        assert!(!shown.chars().any(is_unsafe), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_workflow_command_cannot_be_ended_from_within() {
        let file = "a::b\n::error::c,d%".to_owned();
        let shown =
            workflow_command("error", &[("file", file), ("line", "1".to_owned())], "x\r\n::warning::y\u{1b}%0A");
        assert_eq!(shown, "::error file=a%3A%3Ab%0A%3A%3Aerror%3A%3Ac%2Cd%25,line=1::x %0A::warning::y\u{fffd}%250A");
    }
}
