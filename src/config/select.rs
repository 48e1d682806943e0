//! Which pipelines a command means: names and globs.

use globset::GlobBuilder;

/// The places of the chosen names, in file order; all of them when nothing is asked for.
///
/// Errors: the words that match nothing, with the nearest name.
pub fn select(names: &[&str], asked: &[String]) -> Result<Vec<usize>, String> {
    if asked.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut chosen = vec![false; names.len()];
    for word in asked {
        let glob = GlobBuilder::new(word).build().map_err(|error| format!("`{word}` is no name or glob: {error}"))?;
        let matcher = glob.compile_matcher();
        let mut any = false;
        for (chosen, name) in chosen.iter_mut().zip(names).filter(|(_, name)| matcher.is_match(name)) {
            (*chosen, any) = (true, true);
            tracing::trace!(name, word, "selected");
        }
        if !any {
            let near = names.iter().min_by_key(|name| strsim::damerau_levenshtein(word, name));
            let near = near.filter(|name| strsim::damerau_levenshtein(word, name) <= (word.len() / 3).max(1));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "the project has no pipelines".to_owned(),
                None => format!("pipelines are: {}", names.join(", ")),
            };
            return Err(format!("no pipeline is called `{word}`: {help}"));
        }
    }
    Ok((0..names.len()).filter(|index| chosen[*index]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs_select() {
        let names = ["accounts", "orders", "order_items"];
        let check = |asked: &[&str], expected: Result<Vec<usize>, &str>| {
            let asked: Vec<String> = asked.iter().map(|word| (*word).to_owned()).collect();
            match (select(&names, &asked), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
                (got, expected) => panic!("{got:?} is not {expected:?}"),
            }
        };
        check(&[], Ok(vec![0, 1, 2]));
        check(&["orders"], Ok(vec![1]));
        check(&["order*", "accounts"], Ok(vec![0, 1, 2]));
        check(&["order"], Err("did you mean `orders`"));
        check(&["xyz"], Err("pipelines are"));
        check(&["[a"], Err("no name or glob"));
    }
}
