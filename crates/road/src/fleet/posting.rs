//! Sets of numbers, small ones in few bytes.

use roaring::RoaringBitmap;

/// Above so many, a bitmap is smaller or at least quicker to change.
const FEW: usize = 256;

/// A set of numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Posting {
    #[default]
    None,
    One(u32),
    /// Sorted.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Posting {
    #[cfg(test)]
    fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Few(numbers) => numbers.len() as u64,
            Self::Many(numbers) => numbers.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => *one == number,
            Self::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Self::Many(numbers) => numbers.contains(number),
        }
    }

    pub(super) fn insert(&mut self, number: u32) {
        match self {
            Self::None => *self = Self::One(number),
            Self::One(one) if *one == number => {}
            Self::One(one) => *self = Self::Few(vec![number.min(*one), number.max(*one)]),
            Self::Few(numbers) => {
                if let Err(at) = numbers.binary_search(&number) {
                    numbers.insert(at, number);
                }
                if numbers.len() > FEW {
                    *self = Self::Many(Box::new(numbers.iter().copied().collect()));
                }
            }
            Self::Many(numbers) => {
                numbers.insert(number);
            }
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        match self {
            Self::One(one) if *one == number => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Few(numbers) => {
                if let Ok(at) = numbers.binary_search(&number) {
                    numbers.remove(at);
                }
                if let [one] = numbers.as_slice() {
                    *self = Self::One(*one);
                }
            }
            Self::Many(numbers) => {
                numbers.remove(number);
                if numbers.len() <= FEW as u64 / 2 {
                    *self = Self::Few(numbers.iter().collect());
                }
            }
        }
    }

    pub(super) fn for_each(&self, mut each: impl FnMut(u32)) {
        match self {
            Self::None => {}
            Self::One(one) => each(*one),
            Self::Few(numbers) => numbers.iter().copied().for_each(each),
            Self::Many(numbers) => numbers.iter().for_each(each),
        }
    }

    /// Those that are not in `other`.
    pub(super) fn for_each_without(&self, other: &Self, mut each: impl FnMut(u32)) {
        match (self, other) {
            (_, Self::None) => self.for_each(each),
            (Self::Many(own), Self::Many(other)) => (&**own - &**other).iter().for_each(each),
            _ => self.for_each(|number| {
                if !other.contains(number) {
                    each(number);
                }
            }),
        }
    }

    pub(super) fn shrink(&mut self) {
        if let Self::Few(numbers) = self {
            numbers.shrink_to_fit();
        }
    }

    /// Bytes beside the value itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Few(numbers) => numbers.capacity() * 4 + 16,
            Self::Many(numbers) => bitmap_bytes(numbers) + 16,
        }
    }
}

/// Bytes of a bitmap, estimated.
pub(super) fn bitmap_bytes(bitmap: &RoaringBitmap) -> usize {
    let containers = usize::try_from(bitmap.max().unwrap_or(0) >> 16).unwrap_or(0) + 1;
    bitmap.serialized_size() + containers * 40
}

/// A set that is filled quickly in any order.
#[derive(Debug)]
pub(super) struct Bits(Vec<u8>);

impl Bits {
    /// For numbers below `end`.
    pub(super) fn below(end: usize) -> Self {
        Self(vec![0; end.div_ceil(8)])
    }

    pub(super) fn insert(&mut self, number: u32) {
        if let Some(byte) = self.0.get_mut(number as usize / 8) {
            *byte |= 1 << (number % 8);
        }
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        let byte = self.0.get(number as usize / 8);
        byte.is_some_and(|byte| byte & (1 << (number % 8)) != 0)
    }

    pub(super) fn into_bitmap(self) -> RoaringBitmap {
        RoaringBitmap::from_lsb0_bytes(0, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0..600_u32), 0..2_000)) {
            let mut posting = Posting::default();
            let mut model = BTreeSet::new();
            for (puts, number) in steps {
                if puts {
                    posting.insert(number);
                    model.insert(number);
                } else {
                    posting.remove(number);
                    model.remove(&number);
                }
                prop_assert_eq!(posting.len(), model.len() as u64);
                prop_assert_eq!(posting.contains(number), model.contains(&number));
            }
            let mut seen = Vec::new();
            posting.for_each(|number| seen.push(number));
            prop_assert_eq!(seen, model.iter().copied().collect::<Vec<_>>());
            let mut bits = Bits::below(600);
            posting.for_each(|number| bits.insert(number));
            prop_assert_eq!(bits.into_bitmap(), model.iter().copied().collect::<RoaringBitmap>());
        }

        #[test]
        fn what_is_taken_away_is_not_seen(
            own in proptest::collection::btree_set(0..900_u32, 0..600),
            other in proptest::collection::btree_set(0..900_u32, 0..600),
        ) {
            let posting = |numbers: &BTreeSet<u32>| {
                let mut posting = Posting::default();
                for number in numbers {
                    posting.insert(*number);
                }
                posting
            };
            let mut seen = Vec::new();
            posting(&own).for_each_without(&posting(&other), |number| seen.push(number));
            prop_assert_eq!(seen, own.difference(&other).copied().collect::<Vec<_>>());
        }
    }
}
