//! Generators: functions of a name's seed and an operation's number. `docs/DATA.md` has them as formulas.

use std::f64::consts::TAU;

use photofinish_record::draw::draw;

use crate::data::decimal::push_signed;
use crate::data::mix::Mix;
use crate::data::permutation::Permutation;
use crate::data::zipf::Zipf;

/// The seed of all draws named `name`: the run's seed, combined with the name's FNV-1a hash.
pub(crate) fn name_seed(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    seed ^ hash
}

/// The random numbers of one name and one operation, by index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpDraws {
    key: u64,
}

impl OpDraws {
    #[inline]
    pub(crate) fn new(name_seed: u64, op: u64) -> Self {
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
    pub(crate) fn below(self, index: u64, bound: u64) -> u64 {
        ((u128::from(self.nth(index)) * u128::from(bound)) >> 64) as u64
    }
}

/// A checked draw.
#[derive(Clone, Debug)]
pub(crate) struct Generator(pub(super) Kind);

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
        /// The number of values after which it starts again.
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
    /// A UUID like the built-in one.
    pub(crate) const UUID: Self = Self(Kind::Uuid);

    /// Appends the value of operation `op`.
    #[inline]
    pub(crate) fn write(&self, name_seed: u64, op: u64, out: &mut Vec<u8>) {
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

    /// True if every value consists of digits, letters, `-` and `_`, or is a JSON number: no encoding changes it.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.0, Kind::Number { .. } | Kind::Sequence { .. })
    }

    /// Length of the longest value, in bytes.
    pub(crate) fn longest(&self) -> usize {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::data::DrawSpec;
    use crate::data::feed::{FeedOrder, RowChoice};
    use photofinish_harness::measure::FIRST_WARMUP_OP;

    fn generator(spec: Value) -> Generator {
        let spec: DrawSpec = serde_json::from_value(spec).expect("a draw");
        spec.generator("draw.id").expect("sound")
    }

    fn text(generator: &Generator, op: u64) -> String {
        let mut out = Vec::new();
        generator.write(name_seed(42, "id"), op, &mut out);
        assert!(out.len() <= generator.longest(), "{out:?}");
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn draws_agree_with_the_published_test_vectors() {
        // Computed from the formulas in docs/DATA.md by an independent program, for the seed 42 and the name `id`.
        assert_eq!(name_seed(42, "id"), 0x08b7_2e07_b55c_3aea);
        for (spec, expected) in [
            (json!({"from": 1, "to": 100}), ["55", "9", "5", "21"]),
            (
                json!({"distribution": "zipf", "from": 1, "to": 100_000, "exponent": 1.1}),
                ["27", "16505", "36731", "2047"],
            ),
            (
                json!({"distribution": "zipf", "from": 1, "to": 100_000, "exponent": 1.1, "scatter": true}),
                ["76359", "56828", "11766", "71530"],
            ),
            (
                json!({"distribution": "gaussian", "from": -50, "to": 49, "parameter": 2.5}),
                ["-25", "1", "0", "9"],
            ),
            (
                json!({"distribution": "exponential", "from": 0, "to": 999, "parameter": 5}),
                ["154", "17", "9", "44"],
            ),
            (
                json!({"sequence": 10}),
                ["10", "11", "12", "281474976710666"],
            ),
            (json!({"sequence": 1, "to": 3}), ["1", "2", "3", "2"]),
            (
                json!({"text": 12}),
                [
                    "WswKIUmxMqUV",
                    "2PivXAbQ6VZY",
                    "ZdSwOC-K2tvb",
                    "gqTbf52N3OHW",
                ],
            ),
            (
                json!({"uuid": true}),
                [
                    "8a8cc665-082b-4b16-b7e8-087855a43554",
                    "157a41b0-17be-43f6-b88a-02944b90e619",
                    "0b762be0-8ec1-4759-bf55-475def7476ef",
                    "33b7376e-5f6d-4aa0-a08f-724e513bf587",
                ],
            ),
        ] {
            let drawn = generator(spec.clone());
            let texts = [0, 1, 2, FIRST_WARMUP_OP].map(|op| text(&drawn, op));
            assert_eq!(texts, expected, "{spec}");
        }
    }

    #[test]
    fn rows_agree_with_the_published_test_vectors() {
        let rows = |order| {
            let choice = RowChoice {
                order,
                rows: 5,
                warmup_rows: 0,
                name_seed: name_seed(42, "user"),
            };
            (0..10)
                .map(|op| choice.row(op).expect("a row"))
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(FeedOrder::Shuffle), [1, 0, 3, 2, 4, 3, 2, 1, 0, 4]);
        assert_eq!(rows(FeedOrder::Random), [4, 2, 0, 0, 2, 3, 2, 4, 2, 0]);
        assert_eq!(rows(FeedOrder::Circular), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    }

    /// Checks the shares of ten equal parts of 0..1000 within five sigma.
    fn check_shares(spec: Value, share_up_to: impl Fn(f64) -> f64) {
        let drawn = generator(spec);
        let (draws, mut counts) = (100_000, [0_u32; 10]);
        for op in 0..draws {
            counts[text(&drawn, op).parse::<usize>().expect("a number") / 100] += 1;
        }
        for (part, count) in (0..10).zip(counts) {
            let share =
                share_up_to(f64::from(part + 1) / 10.0) - share_up_to(f64::from(part) / 10.0);
            let sigma = (draws as f64 * share * (1.0 - share)).sqrt();
            let off = (f64::from(count) - draws as f64 * share).abs();
            assert!(off <= 5.0 * sigma, "part {part} of {counts:?}");
        }
    }

    #[test]
    fn numbers_have_the_shares_of_their_distribution() {
        check_shares(json!({"from": 0, "to": 999}), |up_to| up_to);
        check_shares(
            json!({"distribution": "exponential", "from": 0, "to": 999, "parameter": 3}),
            |up_to| (1.0 - (-3.0 * up_to).exp()) / (1.0 - (-3.0_f64).exp()),
        );
        // The standard normal distribution at -2, -1.6 … 2, from tables.
        const NORMAL: [f64; 11] = [
            0.022_750, 0.054_799, 0.115_070, 0.211_855, 0.344_578, 0.5, 0.655_422, 0.788_145,
            0.884_930, 0.945_201, 0.977_250,
        ];
        check_shares(
            json!({"distribution": "gaussian", "from": 0, "to": 999, "parameter": 2}),
            |up_to| NORMAL[(up_to * 10.0).round() as usize] / (NORMAL[10] - NORMAL[0]),
        );
    }

    #[test]
    fn choices_follow_their_weights() {
        let drawn = generator(json!({"choice": ["a", 7, true], "weights": [6, 3, 1]}));
        let mut counts = [0_u32; 3];
        for op in 0..10_000 {
            let choice = ["a", "7", "true"]
                .into_iter()
                .position(|choice| choice == text(&drawn, op));
            counts[choice.expect("a choice")] += 1;
        }
        // Five sigma of a binomial distribution over 10,000 draws are at most 250.
        let off = counts.into_iter().zip([6_000, 3_000, 1_000]);
        assert!(
            off.into_iter()
                .all(|(count, expected)| count.abs_diff(expected) < 250),
            "{counts:?}"
        );
    }

    #[test]
    fn the_widest_ranges_stay_within_their_bounds() {
        let drawn = generator(json!({"from": i64::MIN + 1, "to": i64::MAX}));
        let texts: Vec<i64> = (0..1000)
            .map(|op| text(&drawn, op).parse().expect("64 bits"))
            .collect();
        assert!(texts.iter().any(|value| *value < i64::MIN / 2));
        assert!(texts.iter().any(|value| *value > i64::MAX / 2));
        assert_eq!(text(&generator(json!({"from": -3, "to": -3})), 5), "-3");
    }
}
