//! Filters over texts. Each looks at how long its result becomes before it makes it.

use super::html;
use super::pattern::{Meter, PASS_COST, Pattern};
use super::signature::{Arguments, Prepared};
use super::value::{Budget, Builder, Outcome, Refusal, Value};

fn text_of<'v, 'a>(value: &'v Value<'a>) -> &'v str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// `Notes__c | default("none")`: the other value for a blank; with `true` also for `false`, 0 and an empty list, as in Jinja.
pub(super) fn default<'a>(_: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let replaced = if arguments.flag(1) { !value.is_true() } else { value.is_blank() };
    Ok(if replaced { arguments.get(0).cloned().unwrap_or(Value::Blank) } else { value })
}

/// The value as text.
pub(super) fn string<'a>(_: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    Ok(value)
}

pub(super) fn upper<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    budget.text(&text_of(&value).to_uppercase())
}

pub(super) fn lower<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    budget.text(&text_of(&value).to_lowercase())
}

/// The first character large, all others small.
pub(super) fn capitalize<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let mut rest = text_of(&value).chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    budget.text(&(first + &rest.as_str().to_lowercase()))
}

/// The first letter of each word large, as in Jinja: a word ends at white space, a hyphen, or an opening bracket.
pub(super) fn title<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let mut titled = String::new();
    let mut begins = true;
    for character in text_of(&value).chars() {
        match begins {
            true => titled.extend(character.to_uppercase()),
            false => titled.extend(character.to_lowercase()),
        }
        begins = character.is_whitespace() || matches!(character, '-' | '(' | '{' | '[' | '<');
    }
    budget.text(&titled)
}

/// Without white space at its ends, or without these characters.
pub(super) fn trim<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let text = text_of(&value);
    let characters = arguments.text(0);
    budget.spend_text(text.len())?;
    let trimmed = if characters.is_empty() {
        text.trim()
    } else {
        budget.spend(characters.len())?;
        text.trim_matches(|character: char| characters.contains(character))
    };
    budget.text(trimmed)
}

/// `Name | replace("a", "b")`, the first so many or all.
pub(super) fn replace<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let (text, old, new) = (text_of(&value), arguments.text(0), arguments.text(1));
    // Python puts the new text between all letters, which nobody wants in a property.
    if old.is_empty() {
        return Err(Refusal::new("`replace` needs a text to replace"));
    }
    let most = arguments.whole(2).map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(0));
    let mut replaced = Builder::default();
    let mut end = 0;
    for (at, found) in text.match_indices(old).take(most) {
        replaced.push(budget, &text[end..at])?;
        replaced.push(budget, new)?;
        end = at + found.len();
    }
    replaced.push(budget, &text[end..])?;
    replaced.finish(budget)
}

/// `Name | truncate(20)`: at most so many characters, the last of them `…` where something was cut.
pub(super) fn truncate<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let text = text_of(&value);
    let length = arguments.whole(0).unwrap_or(0);
    let Ok(length) = usize::try_from(length) else {
        return Err(Refusal::new(format!("`truncate` takes a length of at least 1, got {length}")));
    };
    if length == 0 {
        return Err(Refusal::new("`truncate` takes a length of at least 1, got 0"));
    }
    budget.spend_text(text.len())?;
    if text.chars().count() <= length {
        return budget.text(text);
    }
    // The sign of the cut counts, so that the result fits the property's limit.
    let kept: String = text.chars().take(length - 1).collect();
    // A blank before the sign would look like a word that is missing.
    budget.text(&format!("{}…", kept.trim_end()))
}

/// `Notes__c | striptags`: HTML as the text that it shows, without tags and comments, white space drawn together.
pub(super) fn striptags<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let text = text_of(&value);
    budget.spend_text(text.len())?;
    budget.text(&html::without_tags(text))
}

/// `'a &amp; b' | unescape` -> `a & b`
pub(super) fn unescape<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let text = text_of(&value);
    budget.spend_text(text.len())?;
    budget.text(&html::unescaped(text))
}

/// A text as part of an address: all but letters, digits and `-_.~/` as `%XX`.
pub(super) fn urlencode<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let mut encoded = Builder::default();
    for byte in text_of(&value).bytes() {
        match byte {
            // The slash stays, as with Jinja, whose users put paths together with it.
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(budget, char::from(byte).encode_utf8(&mut [0; 4]))?;
            }
            other => encoded.push(budget, &format!("%{other:02X}"))?,
        }
    }
    encoded.finish(budget)
}

/// `Code__c | regex_match('^[A-Z]{3}$')`: whether the pattern is found; it may be anywhere unless it says otherwise.
pub(super) fn regex_match<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let (text, pattern) = matched(budget, &value, arguments)?;
    Ok(Value::Bool(pattern.regex().is_match(text)))
}

/// `Code__c | regex_search('[0-9]+')`: what the pattern finds first, or one of its groups; a blank when it finds nothing.
pub(super) fn regex_search<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let (text, pattern) = matched(budget, &value, arguments)?;
    let pattern = pattern.regex();
    let group = arguments.whole(1).unwrap_or(0);
    let group = usize::try_from(group).ok().filter(|group| *group < pattern.captures_len());
    let Some(group) = group else {
        return Err(Refusal::new(format!("the pattern has {} groups", pattern.captures_len() - 1)));
    };
    let found = pattern.captures(text).and_then(|found| Some(found.get(group)?.as_str()));
    budget.text(found.unwrap_or_default())
}

/// `Phone | regex_replace('[^0-9+]', '')`: each place that matches becomes the replacement, in which `\1` and `\g<name>` are
/// what the groups found.
pub(super) fn regex_replace<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let (text, pattern) = matched(budget, &value, arguments)?;
    let pieces = replacement(arguments.text(1), pattern.regex())?;
    let mut replaced = Builder::default();
    let mut meter = Meter::new(pattern);
    let mut end = 0;
    for found in pattern.regex().captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        budget.spend(1)?;
        meter.pay(budget, text, end, whole.end())?;
        replaced.push(budget, &text[end..whole.start()])?;
        for piece in &pieces {
            match piece {
                Piece::Text(text) => replaced.push(budget, text)?,
                Piece::Group(group) => {
                    replaced.push(budget, found.get(*group).map_or("", |group| group.as_str()))?;
                }
            }
        }
        end = whole.end();
    }
    replaced.push(budget, &text[end..])?;
    replaced.finish(budget)
}

/// Patterns are compiled with the template. One that comes from a field could be slow or broken for one record in a million.
fn matched<'v, 'a>(
    budget: &mut Budget,
    value: &'v Value<'a>,
    arguments: &Arguments<'a>,
) -> Result<(&'v str, &'a Pattern), Refusal> {
    let text = text_of(value);
    budget.spend_text(text.len() * PASS_COST)?;
    match arguments.prepared {
        Prepared::Pattern(pattern) => Ok((text, pattern)),
        _ => Err(Refusal::new("the pattern has to stand in the template, as a text in quotes")),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Group(usize),
}

/// A replacement's texts and groups; a group that the pattern does not have is refused.
fn replacement<'t>(text: &'t str, pattern: &regex::Regex) -> Result<Vec<Piece<'t>>, Refusal> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        pieces.push(Piece::Text(before));
        let (name, length) = match behind.strip_prefix("g<").and_then(|name| name.split_once('>')) {
            Some((name, _)) => (name, name.len() + 3),
            None => {
                // Two digits, as in Python: `\10` is the tenth group.
                let digits = behind.bytes().take(2).take_while(u8::is_ascii_digit).count();
                (&behind[..digits], digits)
            }
        };
        if length == 0 {
            // Any other backslash is one; two are one as well.
            pieces.push(Piece::Text("\\"));
            rest = behind.strip_prefix('\\').unwrap_or(behind);
            continue;
        }
        let named = || pattern.capture_names().position(|group| group == Some(name));
        let group = name.parse().ok().filter(|group| *group < pattern.captures_len()).or_else(named);
        let lacking =
            || Refusal::new(format!("the replacement names the group `{name}`, which the pattern does not have"));
        pieces.push(Piece::Group(group.ok_or_else(lacking)?));
        rest = &behind[length..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}
