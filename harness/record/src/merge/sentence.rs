//! A sentence with the shards that it is about: a thousand shards say most things a thousand times.

use std::collections::BTreeSet;
use std::fmt;

use crate::encoding::cpu_list as ranges;
use crate::shard::Shard;

/// `shard 2: the machine was busy`, `shards 0-2,5: a debug build`; without shards, the sentence alone.
pub(super) struct ShardSentence<'a> {
    pub(super) shards: BTreeSet<u32>,
    pub(super) text: &'a str,
}

impl<'a> ShardSentence<'a> {
    /// A sentence of one shard.
    pub(super) fn of(shard: u32, text: &'a str) -> Self {
        let shards = BTreeSet::from([shard]);
        Self { shards, text }
    }

    /// Any text; without shards if it does not begin with them.
    pub(super) fn read(text: &'a str) -> Self {
        let parts = || {
            let (shards, rest) = text.split_once(": ")?;
            let numbers = shards
                .strip_prefix("shards ")
                .or_else(|| shards.strip_prefix("shard "))?;
            Some((numbers_in(numbers)?, rest))
        };
        match parts() {
            Some((shards, text)) => Self { shards, text },
            None => Self {
                shards: BTreeSet::new(),
                text,
            },
        }
    }
}

/// The numbers of `0-2,5`; `None` for anything else.
fn numbers_in(text: &str) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= Shard::MOST {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

impl fmt::Display for ShardSentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<usize> = self.shards.iter().map(|shard| *shard as usize).collect();
        let word = match numbers.len() {
            0 => return formatter.write_str(self.text),
            1 => "shard",
            _ => "shards",
        };
        write!(formatter, "{word} {}: {}", ranges(&numbers), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_read_as_they_are_written() {
        for (text, shards) in [
            ("shard 3: a debug build", vec![3]),
            ("shards 0-2,5: a: b", vec![0, 1, 2, 5]),
            ("a debug build: slow", vec![]),
            ("shards of glass: sharp", vec![]),
            ("shard 99999999: far", vec![]),
            ("shard 0-4294967295: many", vec![]),
        ] {
            let read = ShardSentence::read(text);
            assert_eq!(
                Vec::from_iter(read.shards.iter().copied()),
                shards,
                "{text}"
            );
            assert_eq!(read.to_string(), text);
        }
    }
}
