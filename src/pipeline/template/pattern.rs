//! A pattern of a template. One search takes time in proportion to what it reads; a replacement of all matches may read the
//! rest of the text anew for each of them, and what it reads in vain is counted here, so that it can be paid for.

use std::sync::OnceLock;

use regex::Regex;
use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;

use super::value::{Budget, Refusal};

/// Largest program that a pattern may become, in bytes.
/// Patterns that people write take some kilobytes.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// How deep groups of a pattern may stand in each other.
/// The crate compiles by recursion.
const NESTING_MAX: u32 = 50;

/// What a pass of a pattern over a text costs, compared with copying it.
pub(super) const PASS_COST: usize = 16;

/// So many bytes may be read in vain before it is looked at how many they are: a few milliseconds, and more than texts of
/// usual length ever have left behind their matches.
const UNCOUNTED_BYTES_MAX: usize = 1 << 20;

/// A pattern, bounded in size.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// The same pattern as an automaton that can be watched while it reads; none where it would grow too large.
    automaton: OnceLock<Option<Box<DFA>>>,
}

impl Pattern {
    /// Size and nesting are bounded, as a short pattern can become a program of many megabytes: `((a{100}){100}){100}`.
    pub(super) fn new(text: &str) -> Result<Self, Refusal> {
        let built = regex::RegexBuilder::new(text).size_limit(PROGRAM_BYTES_MAX).nest_limit(NESTING_MAX).build();
        let regex = built.map_err(|error| {
            let why = match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                // The crate draws the pattern with a caret over several lines; the last one has the reason.
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            };
            Refusal::new(format!("the pattern cannot be used: {why}"))
        })?;
        Ok(Self { regex, automaton: OnceLock::new() })
    }

    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    fn automaton(&self) -> Option<&DFA> {
        // Only for the few patterns that need watching.
        self.automaton.get_or_init(|| automaton(self.regex.as_str())).as_deref()
    }
}

/// None where the pattern would grow too large as such; what it reads is then charged at its most.
fn automaton(text: &str) -> Option<Box<DFA>> {
    // Such an automaton knows no Unicode word boundaries; where a word ends hardly changes how far a search reads.
    let text = ascii_boundaries(text);
    let config = DFA::config().unicode_word_boundary(true).skip_cache_capacity_check(true);
    // Two levels more, for the groups that are put around word boundaries; bytes, as it steps through the text by
    // bytes.
    let syntax = syntax::Config::new().nest_limit(NESTING_MAX + 2).utf8(false);
    DFA::builder().configure(config).syntax(syntax).build(&text).ok().map(Box::new)
}

/// The pattern with `\b` and `\B` told by ASCII letters alone.
fn ascii_boundaries(text: &str) -> String {
    let mut replaced = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, (character == '\\').then(|| characters.next()).flatten()) {
            ('\\', Some(boundary @ ('b' | 'B'))) => replaced.push_str(&format!("(?-u:\\{boundary})")),
            (_, escaped) => {
                replaced.push(character);
                replaced.extend(escaped);
            }
        }
    }
    replaced
}

/// Watches a replacement, match by match.
pub(super) struct Meter<'p> {
    pattern: &'p Pattern,
    /// Bytes that may have been read in vain, at most.
    uncounted: usize,
    cache: Option<Cache>,
}

impl<'p> Meter<'p> {
    pub(super) fn new(pattern: &'p Pattern) -> Self {
        Self { pattern, uncounted: 0, cache: None }
    }

    /// Pays for what the search from `start` read beyond its match, which ends at `end`. A pattern such as `.*;|[a-z]` reads
    /// to the end of the text to find that the longer match, which it prefers, is not there: for each match again.
    pub(super) fn pay(&mut self, budget: &mut Budget, text: &str, start: usize, end: usize) -> Result<(), Refusal> {
        let most = text.len() - end;
        self.uncounted = self.uncounted.saturating_add(most);
        if self.uncounted <= UNCOUNTED_BYTES_MAX {
            return Ok(());
        }
        // Where it cannot be told, the most is charged: too dear a pattern is refused, a slow one must not pass.
        let beyond = self.read_from(text, start).map_or(most, |read| (start + read).saturating_sub(end));
        budget.spend(beyond * PASS_COST / 64).map_err(|refusal| {
            let why = "the pattern reads on far beyond each place that matches";
            Refusal { message: format!("{}: {why}", refusal.message), ..refusal }
        })
    }

    /// How many bytes a search from `start` reads until no other match is possible; none where that cannot be told.
    fn read_from(&mut self, text: &str, start: usize) -> Option<usize> {
        let automaton = self.pattern.automaton()?;
        let cache = self.cache.get_or_insert_with(|| automaton.create_cache());
        let mut state = automaton.start_state_forward(cache, &Input::new(text).range(start..)).ok()?;
        for (read, byte) in text.as_bytes()[start..].iter().enumerate() {
            state = automaton.next_state(cache, state, *byte).ok()?;
            if state.is_dead() {
                return Some(read + 1);
            }
            if state.is_quit() {
                return None;
            }
        }
        Some(text.len() - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the first search reads the whole text, or no more than a few bytes beyond a match that ends at `end`.
    #[track_caller]
    fn check(source: &str, text: &str, end: Option<usize>) {
        let pattern = Pattern::new(source).unwrap();
        let read = Meter::new(&pattern).read_from(text, 0).unwrap();
        match end {
            Some(end) => assert!((end..end + 3).contains(&read), "{source}: {read}"),
            None => assert_eq!(read, text.len(), "{source}"),
        }
    }

    #[test]
    fn a_search_reads_no_further_than_a_match_is_possible() {
        let long = "a".repeat(1_000);
        check(r"\s+", &format!("  {long}"), Some(2));
        check("<[^>]*>", &format!("<br>{long}"), Some(4));
        check(r"\bé?\w+\b", &format!("ab, {long}"), Some(2));
        check("a|ab", &long, Some(1));
        // The longer match is preferred, and not there.
        check(".*;|a", &long, None);
        check("a(.*;)?", &long, None);
    }

    #[test]
    fn boundaries_are_told_by_ascii_letters() {
        assert_eq!(ascii_boundaries(r"\bé\\b\B\w\"), r"(?-u:\b)é\\b(?-u:\B)\w\");
    }
}
