//! Spellings that `RAGFlow`'s router takes for the same are taken for the same, and nothing panics.

use std::fmt::Write;

use paywall_server::gate::{Row, Verb, classify, table};
use proptest::prelude::*;

/// A row of the table, its path with ids filled in.
fn known() -> impl Strategy<Value = (&'static str, String)> {
    let rows: Vec<&'static Row> = table().iter().filter(|row| !row.pattern.contains('*')).collect();
    (proptest::sample::select(rows), proptest::collection::vec("[0-9a-f]{32}", 4)).prop_map(|(row, ids)| {
        let mut ids = ids.into_iter();
        let path = row
            .pattern
            .split('/')
            .map(|it| if it.starts_with('{') { ids.next().unwrap() } else { it.to_owned() })
            .collect::<Vec<_>>()
            .join("/");
        let verbs = [
            (Verb::Get, "GET"),
            (Verb::Post, "POST"),
            (Verb::Put, "PUT"),
            (Verb::Patch, "PATCH"),
            (Verb::Delete, "DELETE"),
        ];
        let method = verbs.into_iter().find(|(verb, _)| row.methods.has(*verb)).unwrap().1;
        (method, path)
    })
}

/// How one character of a path is spelled.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Plain,
    Lower,
    Upper,
}

fn spell(path: &str, how: &[Spelling], doubled: &[bool], slash_at_end: bool) -> String {
    let mut out = String::from("/");
    for (at, it) in path[1..].chars().enumerate() {
        match how[at % how.len()] {
            Spelling::Plain => out.push(it),
            Spelling::Lower => write!(out, "%{:02x}", u32::from(it)).unwrap(),
            Spelling::Upper => write!(out, "%{:02X}", u32::from(it)).unwrap(),
        }
        if it == '/' && doubled[at % doubled.len()] {
            out.push('/');
        }
    }
    if slash_at_end {
        out.push('/');
    }
    out
}

proptest! {
    #[test]
    fn a_spelling_does_not_matter(
        (method, path) in known(),
        how in proptest::collection::vec(
            prop_oneof![4 => Just(Spelling::Plain), 1 => Just(Spelling::Lower), 1 => Just(Spelling::Upper)], 1..64),
        doubled in proptest::collection::vec(any::<bool>(), 1..8),
        slash_at_end: bool,
        small_method: bool,
    ) {
        let plain = classify(method, &path).unwrap();
        prop_assert!(!plain.pattern.starts_with('('), "{method} {path} is not known");
        let respelled = spell(&path, &how, &doubled, slash_at_end);
        let method = if small_method { method.to_lowercase() } else { method.to_owned() };
        prop_assert_eq!(&classify(&method, &respelled).unwrap(), &plain, "{}", respelled);
        if method.eq_ignore_ascii_case("get") {
            prop_assert_eq!(&classify("HEAD", &respelled).unwrap(), &plain);
        }
    }

    /// A server in between that minds neither case nor parameters opens no way around.
    #[test]
    fn case_and_parameters_do_not_make_it_cheaper((method, path) in known(), parameter in "[;a-z=]{0,8}", upper: bool) {
        let plain = classify(method, &path).unwrap();
        let respelled = if upper { path.to_uppercase() } else { path };
        let odd = classify(method, &format!("{respelled};{parameter}?q=/v1/kb/list")).unwrap();
        prop_assert_eq!((odd.pattern, odd.kind), (plain.pattern, plain.kind));
    }

    #[test]
    fn nothing_panics(method in ".{0,12}", path in "\\PC{0,200}") {
        let _ = classify(&method, &path);
        let _ = classify(&method, &format!("/{path}"));
    }

    #[test]
    fn nothing_that_looks_like_a_path_panics(path in "(/|%2f|%|\\.|;|api|v1|agents|chat|\\{agent\\}|[a-z0-9]|é|\0){0,60}") {
        if let Ok(route) = classify("POST", &format!("/{path}")) {
            prop_assert!(route.ids.iter().all(|it| !it.id.is_empty() && !it.id.contains('/')));
        }
    }

    /// A dot segment, however it is written, is never read in either way.
    #[test]
    fn dot_segments_are_refused((method, path) in known(), dots in "(\\.|%2e|%2E){1,2}", slash in "/|%2f|%2F", place in 1_usize..4) {
        let cut = path.match_indices('/').nth(place).map_or(path.len(), |(at, _)| at);
        let odd = format!("{}{slash}{dots}{}", &path[..cut], &path[cut..]);
        prop_assert!(classify(method, &odd).is_err(), "{}", odd);
    }
}
