//! The routes of a document, for what a router cannot say.

/// The routes of a document: which paths there are and which methods each has, for what a router cannot say: which methods
/// a path allows, and whether a path belongs to a module that is off.
#[derive(Debug, Clone, Default)]
pub struct RouteMap {
    routes: Vec<(Vec<Segment>, Vec<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

impl RouteMap {
    /// From routes written as `METHOD /path/{parameter}`.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut map = Self::default();
        for route in routes {
            let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
            let segments: Vec<Segment> = path
                .split('/')
                .map(|segment| {
                    if segment.starts_with('{') || segment.starts_with(':') {
                        Segment::Parameter(segment.trim_matches(['{', '}', ':']).to_string())
                    } else {
                        Segment::Literal(segment.to_string())
                    }
                })
                .collect();
            match map.routes.iter_mut().find(|(known, _)| *known == segments) {
                Some((_, methods)) => methods.push(method.to_string()),
                None => map.routes.push((segments, vec![method.to_string()])),
            }
        }
        map
    }

    /// The routes that a concrete path takes: where a literal segment fits, no parameter does, as in the router.
    fn matching(&self, path: &str) -> impl Iterator<Item = &(Vec<Segment>, Vec<String>)> {
        let fitting = || self.routes.iter().filter(|(route, _)| fits(route, path));
        let taken = fitting().map(|(route, _)| parameters(route)).min();
        fitting().filter(move |(route, _)| Some(parameters(route)) == taken)
    }

    /// The name of the `number`th parameter, from 0, of the route that a concrete path takes.
    pub fn parameter(&self, path: &str, number: usize) -> Option<&str> {
        let (segments, _) = self.matching(path).next()?;
        segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Parameter(name) => Some(name.as_str()),
                Segment::Literal(_) => None,
            })
            .nth(number)
    }

    /// The methods that a concrete path allows; empty when it is no route.
    pub fn methods(&self, path: &str) -> Vec<&str> {
        let mut found: Vec<&str> = self
            .matching(path)
            .flat_map(|(_, methods)| methods.iter().map(String::as_str))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn fits(route: &[Segment], path: &str) -> bool {
    let mut parts = path.split('/');
    let all = route.iter().all(|segment| match (segment, parts.next()) {
        (Segment::Literal(literal), Some(part)) => literal == part,
        (Segment::Parameter(_), Some(part)) => !part.is_empty(),
        (_, None) => false,
    });
    all && parts.next().is_none()
}

/// Which segments are parameters; of two routes that fit, the one that is the lesser in this is taken.
fn parameters(route: &[Segment]) -> Vec<bool> {
    let segments = route.iter();
    segments
        .map(|segment| matches!(segment, Segment::Parameter(_)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_map_knows_what_a_path_allows() {
        let map = RouteMap::new(["GET /guilds/{g}", "PATCH /guilds/{g}", "GET /guilds/public"]);
        assert_eq!(map.methods("/guilds/01"), ["GET", "PATCH"]);
        assert!(map.methods("/guilds/").is_empty());
        assert!(map.methods("/guilds/01/x").is_empty());
    }

    #[test]
    fn a_literal_segment_is_taken_before_a_parameter() {
        let map = RouteMap::new([
            "GET /guilds/public",
            "POST /guilds/{guild_id}/join",
            "GET /{kind}/{thing_id}",
            "PATCH /guilds/{guild_id}",
        ]);
        assert_eq!(map.methods("/guilds/public"), ["GET"]);
        assert_eq!(map.methods("/guilds/01"), ["PATCH"]);
        assert_eq!(map.parameter("/guilds/01", 0), Some("guild_id"));
        assert_eq!(map.parameter("/friends/01", 1), Some("thing_id"));
        assert_eq!(map.parameter("/guilds/public", 0), None);
    }
}
