//! From a method and a path to the route.
//!
//! The table is a tree of segments, built once. A request is looked up segment by segment: a literal
//! one is tried before an id, as `RAGFlow`'s router does, and where that leads nowhere the other is. So
//! the work is the length of the path times the logarithm of the siblings, not the size of the table;
//! the branches that a path can take both ways are few (`/agents/chat/…`), which the table's test
//! bounds. Nothing is allocated until a route with ids has matched, or where the path has escapes.

use std::cmp::Ordering;
use std::sync::LazyLock;

use super::operations::{FREE, Field, Kind, MAKE, Resource, Row, Verb, table};
use super::path::{Malformed, Segments, decode};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The table's own spelling of it, of which there are few: good for logs and metrics.
    pub pattern: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The ids in its path, in order.
    pub ids: Vec<PathId>,
    /// Where else it names the resource.
    pub fields: &'static [Field],
}

/// An id in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathId {
    /// What it names.
    pub resource: Resource,
    /// The id as `RAGFlow` will read it. Any text: never more than a parameter of a query.
    pub id: String,
}

impl Route {
    /// The id in the path whose owner pays, where the path names one. Otherwise the first of
    /// [`fields`](Self::fields) that is there does, and without one the caller.
    pub fn payer(&self) -> Option<&PathId> {
        self.ids.iter().find(|it| it.resource != Resource::Other)
    }
}

/// What becomes of routes that the table does not name. Deletions are always free: who is over a limit
/// must be able to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownRoutes {
    /// Whether reads count as requests.
    pub reads_count: bool,
    /// Whether writes count as requests.
    pub writes_count: bool,
}

impl Default for UnknownRoutes {
    /// Reads pass, writes count.
    fn default() -> Self {
        Self { reads_count: false, writes_count: true }
    }
}

/// The route of a request, by its method and the path of its target (a query is cut off).
///
/// Nothing but these two is looked at: a method in a header or a query is not one to `RAGFlow` either.
pub fn classify(method: &str, path: &str) -> Result<Route, Malformed> {
    classify_with(UnknownRoutes::default(), method, path)
}

/// [`classify`] under another policy for routes that the table does not name.
pub fn classify_with(policy: UnknownRoutes, method: &str, path: &str) -> Result<Route, Malformed> {
    let decoded = decode(path)?;
    let segments = Segments::split(&decoded)?;
    let segments = segments.as_slice();
    let verb = Verb::read(method);
    // RAGFlow answers it for every route without running any.
    if verb == Verb::Options {
        return Ok(unnamed("(preflight)", FREE));
    }
    if let Some(row) = TREE.find(0, segments, verb) {
        let ids = path_ids(row.pattern, segments);
        return Ok(Route { pattern: row.pattern, kind: *row.kind, ids, fields: row.fields });
    }
    let counted = |counts: bool| if counts { MAKE } else { FREE };
    Ok(match verb {
        Verb::Get => unnamed("(other read)", counted(policy.reads_count)),
        Verb::Delete => unnamed("(other deletion)", FREE),
        _ => unnamed("(other write)", counted(policy.writes_count)),
    })
}

fn unnamed(pattern: &'static str, kind: Kind) -> Route {
    Route { pattern, kind, ids: Vec::new(), fields: &[] }
}

fn path_ids(pattern: &str, segments: &[&str]) -> Vec<PathId> {
    let names = pattern.split('/').skip(1).map(id_name);
    names
        .zip(segments)
        .filter_map(|(name, id)| Some(PathId { resource: Resource::of_segment(name?), id: (*id).to_owned() }))
        .filter(|it| !it.id.is_empty())
        .collect()
}

/// The name within `{name}`.
fn id_name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::of(table()));

#[derive(Default)]
struct Node {
    /// Sorted by the literal.
    literals: Vec<(&'static str, usize)>,
    id: Option<usize>,
    /// Rows that end here.
    rows: Vec<&'static Row>,
    /// Rows that take whatever follows.
    rest: Vec<&'static Row>,
}

struct Tree(Vec<Node>);

impl Tree {
    fn of(rows: &'static [Row]) -> Self {
        let mut tree = Self(vec![Node::default()]);
        for row in rows {
            tree.insert(row);
        }
        tree
    }

    fn insert(&mut self, row: &'static Row) {
        let mut at = 0;
        for segment in row.pattern.split('/').skip(1) {
            if segment == "{*}" {
                self.0[at].rest.push(row);
                return;
            }
            let new = self.0.len();
            let node = &mut self.0[at];
            let next = if id_name(segment).is_some() {
                *node.id.get_or_insert(new)
            } else {
                match node.literals.binary_search_by(|(literal, _)| caseless(literal, segment)) {
                    Ok(found) => node.literals[found].1,
                    Err(place) => {
                        node.literals.insert(place, (segment, new));
                        new
                    }
                }
            };
            if next == new {
                self.0.push(Node::default());
            }
            at = next;
        }
        self.0[at].rows.push(row);
    }

    fn find(&self, at: usize, segments: &[&str], verb: Verb) -> Option<&'static Row> {
        let node = &self.0[at];
        let fits = |rows: &[&'static Row]| rows.iter().find(|row| row.methods.has(verb)).copied();
        let Some((first, rest)) = segments.split_first() else { return fits(&node.rows) };
        let literal = node.literals.binary_search_by(|(literal, _)| caseless(literal, first)).ok();
        literal
            .and_then(|found| self.find(node.literals[found].1, rest, verb))
            .or_else(|| node.id.and_then(|next| self.find(next, rest, verb)))
            .or_else(|| fits(&node.rest))
    }
}

/// Compares without regard to ASCII case. `RAGFlow` minds the case and would not find the route; a server
/// in between that does not mind must not open a way around.
fn caseless(one: &str, other: &str) -> Ordering {
    one.bytes().map(|it| it.to_ascii_lowercase()).cmp(other.bytes().map(|it| it.to_ascii_lowercase()))
}
