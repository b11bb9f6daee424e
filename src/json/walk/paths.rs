//! The places that a walk is asked for, as a trie.

/// Where a pattern starts: the document itself.
pub(super) const ROOT: u16 = 0;

/// No node: nothing is asked for here or below.
pub(super) const NONE: u16 = u16::MAX;

/// The places that a walk is asked for. Made once; walkers share it.
///
/// A pattern is keys joined by dots, unescaped: `usage.prompt_tokens`. Instead of a key, `*` is any element of an array
/// and `?` any member of an object that no other pattern names at this place. The empty pattern is the document.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The id of the place, or [`NONE`].
    leaf: u16,
    /// The elements of an array, or [`NONE`].
    pub(super) element: u16,
    /// The members of an object without an edge of their own, or [`NONE`].
    pub(super) member: u16,
    /// Sorted by their tags.
    edges: Vec<Edge>,
}

#[derive(Clone, Debug)]
struct Edge {
    tag: u32,
    key: Box<[u8]>,
    node: u16,
}

impl Paths {
    /// Takes the places with their ids, which are below `u16::MAX`; of two ids for one place the last counts.
    ///
    /// An alias `(from, to)` says that what stands at `from` is asked for whatever is asked for at `to`. It holds for
    /// all patterns through either of them. `("*", "")` reads every element of a document that is an array as a document.
    #[must_use]
    pub fn new(places: &mut dyn Iterator<Item = (&str, u16)>, aliases: &[(&str, &str)]) -> Self {
        let mut paths = Self { nodes: vec![Node::new()] };
        for (from, to) in aliases {
            let to = paths.reach(to);
            let (parent, last) = from.rsplit_once('.').unwrap_or(("", from));
            let parent = paths.reach(parent);
            paths.link(parent, last, to);
        }
        for (path, id) in places {
            let node = paths.reach(path);
            if let Some(node) = paths.nodes.get_mut(usize::from(node)) {
                node.leaf = id;
            }
        }
        paths
    }

    pub(super) fn get(&self, node: u16) -> Option<&Node> {
        self.nodes.get(usize::from(node))
    }

    /// The node of a pattern, which is made where there is none.
    fn reach(&mut self, path: &str) -> u16 {
        let mut at = ROOT;
        for segment in path.split('.').filter(|segment| !segment.is_empty()) {
            let next = self.get(at).map_or(NONE, |node| match segment {
                "*" => node.element,
                "?" => node.member,
                key => node.child(key.as_bytes()).unwrap_or(NONE),
            });
            at = if next == NONE {
                let made = u16::try_from(self.nodes.len()).unwrap_or(NONE);
                if made != NONE {
                    self.nodes.push(Node::new());
                }
                self.link(at, segment, made);
                made
            } else {
                next
            };
        }
        at
    }

    /// Leads from one node to another.
    fn link(&mut self, from: u16, segment: &str, to: u16) {
        let Some(node) = self.nodes.get_mut(usize::from(from)) else { return };
        match segment {
            "*" => node.element = to,
            "?" => node.member = to,
            key => {
                let key = key.as_bytes();
                node.edges.retain(|edge| *edge.key != *key);
                let edge = Edge { tag: tag(key), key: key.into(), node: to };
                let place = node.edges.partition_point(|other| other.tag < edge.tag);
                node.edges.insert(place, edge);
            }
        }
    }
}

impl Node {
    const fn new() -> Self {
        Self { leaf: NONE, element: NONE, member: NONE, edges: Vec::new() }
    }

    pub(super) fn leaf(&self) -> Option<u16> {
        Some(self.leaf).filter(|leaf| *leaf != NONE)
    }

    /// Whether anything within an array or object here is asked for.
    pub(super) fn leads_on(&self, array: bool) -> bool {
        if array { self.element != NONE } else { self.member != NONE || !self.edges.is_empty() }
    }

    /// The node of a member that has an edge of its own.
    #[inline]
    pub(super) fn child(&self, key: &[u8]) -> Option<u16> {
        let tag = tag(key);
        let start = self.edges.partition_point(|edge| edge.tag < tag);
        let mut alike = self.edges.get(start..)?.iter().take_while(|edge| edge.tag == tag);
        alike.find(|edge| *edge.key == *key).map(|edge| edge.node)
    }
}

/// What tells most keys apart: the length and the first, middle and last byte.
#[inline]
fn tag(key: &[u8]) -> u32 {
    let byte = |at: usize| key.get(at).copied().unwrap_or_default();
    let last = key.len().saturating_sub(1);
    u32::from_le_bytes([key.len() as u8, byte(0), byte(last / 2), byte(last)])
}
