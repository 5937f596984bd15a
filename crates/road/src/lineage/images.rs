//! Which images have a stack of layers at their bottom.

use std::collections::HashMap;

use oci::Digest;

use super::chain_ids;

#[derive(Debug, Clone, Default)]
struct Node {
    above: Vec<u32>,
    images: Vec<u32>,
}

/// Images by the chain ids of their layers, as a tree: a node per stack of layers, which images with a common bottom share. An
/// image is named by a dense number of the caller.
#[derive(Debug, Clone, Default)]
pub struct ImageChains {
    nodes: Vec<Node>,
    by_chain: HashMap<Digest, u32>,
    places: HashMap<u32, u32>,
}

impl ImageChains {
    /// Adds an image, or replaces its layers; what lies above the first unknown layer does not count.
    pub fn add(&mut self, image: u32, diff_ids: &[Option<Digest>]) {
        self.remove(image);
        let known: Vec<Digest> = diff_ids.iter().map_while(|id| *id).collect();
        let mut below: Option<u32> = None;
        for chain in chain_ids(&known) {
            let next = match self.by_chain.get(&chain) {
                Some(node) => *node,
                None => self.grow(chain, below),
            };
            below = Some(next);
        }
        let Some(top) = below else { return };
        self.nodes[top as usize].images.push(image);
        self.places.insert(image, top);
    }

    fn grow(&mut self, chain: Digest, below: Option<u32>) -> u32 {
        let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node::default());
        self.by_chain.insert(chain, node);
        if let Some(below) = below {
            self.nodes[below as usize].above.push(node);
        }
        node
    }

    /// Forgets an image.
    pub fn remove(&mut self, image: u32) {
        if let Some(place) = self.places.remove(&image) {
            self.nodes[place as usize].images.retain(|other| *other != image);
        }
    }

    /// The images whose layers begin with the stack of this chain id, in order.
    pub fn on(&self, chain: &Digest) -> Vec<u32> {
        let mut images = Vec::new();
        let mut rest: Vec<u32> = self.by_chain.get(chain).copied().into_iter().collect();
        while let Some(node) = rest.pop() {
            let node = &self.nodes[node as usize];
            images.extend(&node.images);
            rest.extend(&node.above);
        }
        images.sort_unstable();
        images
    }

    /// How many images are known.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
