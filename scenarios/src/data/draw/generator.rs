//! Generators: functions of a name's seed and an operation's number. `docs/SERVICES.md` has them as formulas.

use std::f64::consts::TAU;

use photofinish_record::draw::draw;

use crate::data::decimal::push_signed;
use crate::data::mix::Mix;
use crate::data::permutation::Permutation;
use crate::data::zipf::Zipf;

/// The seed of everything that is drawn under `name`: the run's seed, combined with the name's FNV-1a hash.
pub(in crate::data) fn name_seed(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    seed ^ hash
}

/// The random numbers of one name and one operation, by index.
#[derive(Clone, Copy, Debug)]
pub(in crate::data) struct OpDraws {
    key: u64,
}

impl OpDraws {
    #[inline]
    pub(in crate::data) fn new(name_seed: u64, op: u64) -> Self {
        Self {
            key: draw(name_seed, op),
        }
    }

    #[inline]
    fn nth(self, index: u64) -> u64 {
        draw(self.key, index)
    }

    /// A number in 0..1, a multiple of 2^-53.
    #[inline]
    fn unit(self, index: u64) -> f64 {
        (self.nth(index) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `0..bound`.
    #[inline]
    pub(in crate::data) fn below(self, index: u64, bound: u64) -> u64 {
        ((u128::from(self.nth(index)) * u128::from(bound)) >> 64) as u64
    }
}

/// A checked draw.
#[derive(Clone, Debug)]
pub(in crate::data) struct Generator(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Number {
        from: i64,
        count: u64,
        shape: Shape,
        scatter: Option<Permutation>,
    },
    Sequence {
        from: i64,
        /// The length after which it starts again.
        count: Option<u64>,
    },
    Choice {
        texts: Box<[Box<[u8]>]>,
        mix: Mix,
    },
    Text {
        length: u32,
    },
    Uuid,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Uniform,
    Zipf(Zipf),
    Gaussian { parameter: f64 },
    Exponential { parameter: f64, cut: f64 },
}

impl Generator {
    /// A UUID, as the built-in one.
    pub(in crate::data) const UUID: Self = Self(Kind::Uuid);

    /// Appends the value of operation `op`.
    #[inline]
    pub(in crate::data) fn write(&self, name_seed: u64, op: u64, out: &mut Vec<u8>) {
        let draws = OpDraws::new(name_seed, op);
        match &self.0 {
            Kind::Number {
                from,
                count,
                shape,
                scatter,
            } => {
                let rank = shape.rank(draws, *count);
                let offset = match scatter {
                    // No operation has this number.
                    Some(permutation) => permutation.apply(draw(name_seed, u64::MAX), rank),
                    None => rank,
                };
                push_signed(from.wrapping_add_unsigned(offset), out);
            }
            Kind::Sequence { from, count } => {
                let offset = count.map_or(op, |count| op % count);
                push_signed(from.wrapping_add_unsigned(offset), out);
            }
            Kind::Choice { texts, mix } => {
                out.extend_from_slice(&texts[mix.at(draws.below(0, mix.total()))]);
            }
            Kind::Text { length } => write_text(draws, *length, out),
            Kind::Uuid => write_uuid(draws, out),
        }
    }

    /// True if every value consists of digits, letters, `-` and `_`, and the JSON forms of numbers: no encoding changes it.
    pub(in crate::data) fn is_number(&self) -> bool {
        matches!(self.0, Kind::Number { .. } | Kind::Sequence { .. })
    }

    /// Length of the longest value, in bytes.
    pub(in crate::data) fn longest(&self) -> usize {
        match &self.0 {
            Kind::Number { .. } | Kind::Sequence { .. } => 20,
            Kind::Choice { texts, .. } => texts.iter().map(|text| text.len()).max().unwrap_or(0),
            Kind::Text { length } => *length as usize,
            Kind::Uuid => 36,
        }
    }
}

impl Shape {
    pub(super) fn exponential(parameter: f64) -> Self {
        let cut = (-parameter).exp();
        Self::Exponential { parameter, cut }
    }

    /// A number in `0..count`.
    #[inline]
    fn rank(self, draws: OpDraws, count: u64) -> u64 {
        let scaled = |share: f64| ((share * count as f64) as u64).min(count - 1);
        match self {
            Self::Uniform => draws.below(0, count),
            Self::Zipf(zipf) => zipf.rank(|index| draws.unit(index)) - 1,
            Self::Gaussian { parameter } => scaled(gaussian(draws, parameter)),
            Self::Exponential { parameter, cut } => {
                let uniform = 1.0 - draws.unit(0);
                scaled(-(cut + (1.0 - cut) * uniform).ln() / parameter)
            }
        }
    }
}

/// Box and Muller's transform, repeated until it is within `parameter` standard deviations; scaled to 0..1.
fn gaussian(draws: OpDraws, parameter: f64) -> f64 {
    let mut index = 0;
    loop {
        let (radius, angle) = (1.0 - draws.unit(index), draws.unit(index + 1));
        let deviation = (-2.0 * radius.ln()).sqrt() * (TAU * angle).sin();
        if (-parameter..parameter).contains(&deviation) {
            return (deviation + parameter) / (2.0 * parameter);
        }
        index += 2;
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Letters of a drawn number: six bits each.
const LETTERS_PER_DRAW: usize = 10;

fn write_text(draws: OpDraws, length: u32, out: &mut Vec<u8>) {
    let mut left = length as usize;
    for index in 0.. {
        let mut bits = draws.nth(index);
        let letters = std::array::from_fn::<u8, LETTERS_PER_DRAW, _>(|_| {
            let letter = LETTERS[(bits & 63) as usize];
            bits >>= 6;
            letter
        });
        let count = left.min(LETTERS_PER_DRAW);
        out.extend_from_slice(&letters[..count]);
        left -= count;
        if left == 0 {
            return;
        }
    }
}

fn write_uuid(draws: OpDraws, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let high = draws.nth(0) & 0xFFFF_FFFF_FFFF_0FFF | 0x4000;
    let low = draws.nth(1) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000;
    let bits = (u128::from(high) << 64) | u128::from(low);
    for digit in 0..32_u32 {
        if matches!(digit, 8 | 12 | 16 | 20) {
            out.push(b'-');
        }
        out.push(HEX[(bits >> (124 - 4 * digit)) as usize & 15]);
    }
}
