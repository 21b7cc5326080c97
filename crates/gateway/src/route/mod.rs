//! Which rule a request falls under: by path and method, and never by the query.
//!
//! The most specific path wins, read from the left: a literal before a placeholder before `**`. The
//! order of the file says nothing, so moving a route changes nothing. Only among routes of the same
//! path does the method choose; a method that none of them names is refused and does not fall
//! through to a wider path, because a rule for `GET /admin/**` is meant to close the folder.
//!
//! Not responsible for what the rule asks for.

mod path;
mod pattern;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use http::Method;

pub use path::{LONGEST, PathProblem, canonical};
use pattern::Segment;
pub use pattern::{Pattern, PatternProblem};

/// The routes, made to be searched.
#[derive(Debug, Default)]
pub struct Table {
    root: Node,
    leaves: Vec<Leaf>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    /// The literals in lower case: a path that differs from one in case only is refused.
    folded: HashSet<String>,
    one: Option<Box<Node>>,
    /// The routes whose pattern ends here.
    here: Option<usize>,
    /// The routes whose `**` begins here.
    rest: Option<usize>,
}

/// The routes of one path.
#[derive(Debug, Default)]
struct Leaf {
    /// Number of the route, and its methods; none means any.
    routes: Vec<(usize, Vec<Method>)>,
}

/// What a path and a method lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match<'t> {
    /// This route, by the number it was added with.
    Route(usize),
    /// The path is known, the method is not among those of its routes.
    Method(Methods<'t>),
    /// No pattern matches.
    Nothing,
    /// A segment is a literal of the table but for its case: programs that do not tell capitals
    /// apart would serve that literal's resource under another rule.
    Case,
}

/// The methods that a path has routes for.
#[derive(Debug, Clone, Copy)]
pub struct Methods<'t>(&'t Leaf);

impl PartialEq for Methods<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Methods<'_> {}

impl Methods<'_> {
    /// The value of an `Allow` header (RFC 9110, section 10.2.1).
    pub fn allow(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for method in self.0.routes.iter().flat_map(|(_, methods)| methods) {
            let mut push = |name| {
                if !names.contains(&name) {
                    names.push(name);
                }
            };
            push(method.as_str());
            if *method == Method::GET {
                push("HEAD");
            }
        }
        names.join(", ")
    }
}

impl Table {
    /// Adds a route under its number.
    ///
    /// # Errors
    ///
    /// The number of a route that has the same path and one of these methods already.
    pub fn add(
        &mut self,
        number: usize,
        pattern: &Pattern,
        methods: &[Method],
    ) -> Result<(), usize> {
        let mut node = &mut self.root;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => {
                    node.folded.insert(text.to_ascii_lowercase());
                    node.literals.entry(text.clone()).or_default()
                }
                Segment::One => node.one.get_or_insert_default(),
            };
        }
        let place = if pattern.has_rest() {
            &mut node.rest
        } else {
            &mut node.here
        };
        let at = *place.get_or_insert(self.leaves.len());
        if at == self.leaves.len() {
            self.leaves.push(Leaf::default());
        }
        let Some(leaf) = self.leaves.get_mut(at) else {
            return Err(number);
        };
        for (other, theirs) in &leaf.routes {
            let shared = match (methods, theirs.as_slice()) {
                // A route for any method beside one for some: the latter is the exception.
                ([], []) => true,
                ([], _) | (_, []) => false,
                (mine, theirs) => mine.iter().any(|method| theirs.contains(method)),
            };
            if shared {
                return Err(*other);
            }
        }
        leaf.routes.push((number, methods.to_vec()));
        Ok(())
    }

    /// Finds the route of a path in its canonical form.
    pub fn find(&self, path: &str, method: &Method) -> Match<'_> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        match search(&self.root, Some(inner)) {
            Found::Leaf(at) => match self.leaves.get(at) {
                Some(leaf) => leaf.choose(method),
                None => Match::Nothing,
            },
            Found::Nothing => Match::Nothing,
            Found::Case => Match::Case,
        }
    }
}

impl Leaf {
    fn choose(&self, method: &Method) -> Match<'_> {
        let by = |wanted: &Method| {
            self.routes
                .iter()
                .find(|(_, methods)| methods.contains(wanted))
        };
        let any = || self.routes.iter().find(|(_, methods)| methods.is_empty());
        let named = by(method).or_else(|| {
            // "All general-purpose servers MUST support GET and HEAD" (RFC 9110, section 9.1).
            (method == Method::HEAD).then(|| by(&Method::GET)).flatten()
        });
        match named.or_else(any) {
            Some((number, _)) => Match::Route(*number),
            None => Match::Method(Methods(self)),
        }
    }
}

enum Found {
    Leaf(usize),
    Nothing,
    Case,
}

/// Visits every node at most once, so a path costs no more than the table is large.
fn search(node: &Node, rest: Option<&str>) -> Found {
    let Some(rest) = rest else {
        return node.here.or(node.rest).map_or(Found::Nothing, Found::Leaf);
    };
    let (segment, after) = match rest.split_once('/') {
        Some((segment, after)) => (segment, Some(after)),
        None => (rest, None),
    };
    if let Some(next) = node.literals.get(segment) {
        match search(next, after) {
            Found::Nothing => {}
            found => return found,
        }
    } else if !node.folded.is_empty() && node.folded.contains(&*lower_case(segment)) {
        return Found::Case;
    }
    if let Some(next) = &node.one
        && !segment.is_empty()
    {
        match search(next, after) {
            Found::Nothing => {}
            found => return found,
        }
    }
    node.rest.map_or(Found::Nothing, Found::Leaf)
}

fn lower_case(segment: &str) -> Cow<'_, str> {
    if segment.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(segment.to_ascii_lowercase())
    } else {
        Cow::Borrowed(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &[(&str, &[Method])] = &[
        ("/**", &[]),
        ("/admin/**", &[Method::GET]),
        ("/items/{id}", &[Method::GET, Method::PUT]),
        ("/items/{id}", &[]),
        ("/items/new", &[Method::GET]),
        ("/items/{id}/parts/**", &[]),
        ("/items/new/Draft", &[]),
    ];

    fn table() -> Table {
        let mut table = Table::default();
        for (number, (pattern, methods)) in ROUTES.iter().enumerate() {
            table
                .add(number, &Pattern::parse(pattern).unwrap(), methods)
                .unwrap();
        }
        table
    }

    fn found(method: &str, path: &str) -> String {
        match table().find(path, &method.parse().unwrap()) {
            Match::Route(number) => {
                ROUTES[number].0.to_owned()
                    + if ROUTES[number].1.is_empty() {
                        " any"
                    } else {
                        ""
                    }
            }
            Match::Method(methods) => format!("only {}", methods.allow()),
            Match::Nothing => "nothing".to_owned(),
            Match::Case => "case".to_owned(),
        }
    }

    #[test]
    fn the_most_specific_path_wins_and_then_the_method() {
        for (request, route) in [
            ("GET /", "/** any"),
            ("GET /other", "/** any"),
            ("GET /admin", "/admin/**"),
            ("GET /admin/", "/admin/**"),
            ("HEAD /admin/x", "/admin/**"),
            ("GET /items/7", "/items/{id}"),
            ("HEAD /items/7", "/items/{id}"),
            ("DELETE /items/7", "/items/{id} any"),
            ("GET /items/new", "/items/new"),
            ("GET /items/7/parts", "/items/{id}/parts/** any"),
            ("GET /items/7/parts/a/b", "/items/{id}/parts/** any"),
            // Back from a literal that led nowhere.
            ("GET /items/new/parts/1", "/items/{id}/parts/** any"),
            ("GET /items/", "/** any"),
            ("GET /items/7/", "/** any"),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(found(method, path), route, "{request}");
        }
    }

    #[test]
    fn a_method_that_the_path_does_not_name_does_not_fall_through() {
        assert_eq!(found("POST", "/admin/x"), "only GET, HEAD");
        assert_eq!(found("POST", "/items/new"), "only GET, HEAD");
    }

    #[test]
    fn another_case_is_refused_where_a_literal_stands() {
        for path in [
            "/Admin",
            "/ADMIN/x",
            "/items/New",
            "/items/new/draft",
            "/Items",
        ] {
            assert_eq!(found("GET", path), "case", "{path}");
        }
        assert_eq!(found("GET", "/items/X"), "/items/{id}");
    }

    #[test]
    fn two_routes_for_the_same_requests_are_refused() {
        let mut table = table();
        let again = |table: &mut Table, pattern: &str, methods: &[Method]| {
            table.add(99, &Pattern::parse(pattern).unwrap(), methods)
        };
        assert_eq!(again(&mut table, "/**", &[]), Err(0));
        assert_eq!(again(&mut table, "/items/{other}", &[Method::PUT]), Err(2));
        assert_eq!(again(&mut table, "/items/{other}", &[Method::POST]), Ok(()));
    }

    #[test]
    fn without_a_route_nothing_is_found() {
        assert_eq!(Table::default().find("/", &Method::GET), Match::Nothing);
    }
}
