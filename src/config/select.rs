//! Which pipelines a command means: names, globs, and files.

use globset::GlobBuilder;

use crate::diagnostic::nearest::nearest;

/// What a pipeline can be called by.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its file, relative to the project; empty where there is none.
    pub file: &'a str,
}

/// Most names that a message lists.
const NAMES_MAX: usize = 20;

/// The places of the chosen candidates, in file order; all of them when nothing is asked for.
///
/// Errors: the words that match nothing, with the nearest name.
pub fn select(candidates: &[Candidate<'_>], asked: &[String]) -> Result<Vec<usize>, String> {
    if asked.is_empty() {
        return Ok((0..candidates.len()).collect());
    }
    let mut chosen = vec![false; candidates.len()];
    for word in asked {
        // A plain name is a glob that matches itself.
        let glob = GlobBuilder::new(word)
            .build()
            .map_err(|error| format!("`{word}` is neither a name nor a glob: {error}"))?;
        let matcher = glob.compile_matcher();
        let path = file_of(word);
        let mut any = false;
        for (chosen, candidate) in chosen.iter_mut().zip(candidates) {
            let by_file = !candidate.file.is_empty() && (candidate.file == path || matcher.is_match(candidate.file));
            if by_file || matcher.is_match(candidate.name) {
                (*chosen, any) = (true, true);
                tracing::trace!(name = candidate.name, word, "selected");
            }
        }
        // A word that matches nothing is most often misspelt; to run the others without it would do half of what was
        // asked.
        if !any {
            return Err(format!("no pipeline is called `{word}`: {}", advice(candidates, word)));
        }
    }
    Ok((0..candidates.len()).filter(|index| chosen[*index]).collect())
}

/// A path as files are named; the file of tests stands for the pipeline beside it.
fn file_of(word: &str) -> String {
    // As shells complete paths, on any system.
    let path = word.trim_start_matches("./").replace('\\', "/");
    match path.strip_suffix(".test.yaml") {
        Some(stem) => format!("{stem}.yaml"),
        None => path,
    }
}

fn advice(candidates: &[Candidate<'_>], word: &str) -> String {
    let mut names: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
    let files = candidates.iter().map(|candidate| candidate.file).filter(|file| !file.is_empty());
    if let Some(near) = nearest(word, names.iter().copied().chain(files)) {
        return format!("did you mean `{near}`?");
    }
    if names.is_empty() {
        return "the project has no pipelines".to_owned();
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("pipelines are: {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_globs_and_files_select() {
        let candidate = |name, file| Candidate { name, file };
        let candidates = [
            candidate("accounts", "pipelines/accounts.yaml"),
            candidate("orders", "pipelines/team/sales.yaml"),
            candidate("order_items", ""),
        ];
        let check = |asked: &[&str], expected: Result<Vec<usize>, &str>| {
            let asked: Vec<String> = asked.iter().map(|word| (*word).to_owned()).collect();
            match (select(&candidates, &asked), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
                (got, expected) => panic!("{got:?} is not {expected:?}"),
            }
        };
        check(&[], Ok(vec![0, 1, 2]));
        check(&["orders"], Ok(vec![1]));
        check(&["order*", "accounts"], Ok(vec![0, 1, 2]));
        check(&["./pipelines/team/sales.yaml"], Ok(vec![1]));
        check(&["pipelines/team/sales.test.yaml"], Ok(vec![1]));
        check(&["pipelines/**"], Ok(vec![0, 1]));
        check(&["order"], Err("did you mean `orders`"));
        check(&["pipelines/acounts.yaml"], Err("did you mean `pipelines/accounts.yaml`"));
        check(&["xyz"], Err("pipelines are"));
        check(&["[a"], Err("neither a name nor a glob"));
    }
}
