//! The tables of docs/billing.md are the functions.

use paywall_domain::billing::{DriftKind, Standing};

const DOCS: &str = include_str!("../../../../docs/billing.md");

/// The rows of the table whose first column has that head, cell by cell.
fn rows(head: &str) -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| -> Vec<&'static str> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
    };
    DOCS.lines()
        .skip_while(|line| !line.starts_with(&format!("| {head} |")))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

#[test]
fn the_table_of_standings_is_the_function() {
    let written: Vec<_> = rows("standing").into_iter().map(|row| [row[0], row[2], row[3], row[4]]).collect();
    let rules: Vec<_> = Standing::ALL
        .into_iter()
        .map(|it| {
            let refused = it.refused_with().map_or("", paywall_domain::DenyCode::as_str);
            [it.as_str(), it.access().as_str(), refused, it.remedy().as_str()]
        })
        .collect();
    assert_eq!(written, rules);
}

#[test]
fn every_drift_is_in_the_docs_with_its_repair() {
    let written: Vec<_> = rows("kind").into_iter().map(|row| row[0]).collect();
    assert_eq!(written, DriftKind::ALL.map(DriftKind::as_str));
}

#[test]
fn words_on_the_wire_are_the_ones_that_are_documented() {
    for it in Standing::ALL {
        assert_eq!(serde_json::to_value(it).unwrap(), it.as_str());
        assert_eq!(Standing::parse(it.as_str()), Some(it));
        assert_eq!(serde_json::to_value(it.access()).unwrap(), it.access().as_str());
        assert_eq!(serde_json::to_value(it.remedy()).unwrap(), it.remedy().as_str());
    }
    for it in DriftKind::ALL {
        assert_eq!(serde_json::to_value(it).unwrap(), it.as_str());
        assert_eq!(DriftKind::parse(it.as_str()), Some(it));
    }
}

/// Looks up what the docs say of a kind's repair, for the tests of drifts.
pub fn documented_repair(kind: DriftKind) -> &'static str {
    rows("kind").into_iter().find(|row| row[0] == kind.as_str()).unwrap()[1]
}
