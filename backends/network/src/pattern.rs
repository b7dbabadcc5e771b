//! Patterns of names, as options have them: `*` stands for anything, everything else for itself.

/// Whether a pattern stands for a name.
pub(crate) fn stands_for(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((begin, rest)) => name.strip_prefix(begin).is_some_and(|name| {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|at| stands_for(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [("a", "a"), ("*", ""), ("a.*", "a.b.c"), ("*.weight", "é.weight"), ("a*b*", "a--b")] {
            assert!(stands_for(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a.*", "ab"), ("*.weight", "weight"), ("a*b", "a-b-")] {
            assert!(!stands_for(pattern, name), "{pattern} {name}");
        }
    }
}
