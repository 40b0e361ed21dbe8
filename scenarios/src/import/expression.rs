//! Expressions of pgbench's `\set`: constants are computed, a random function becomes a draw.
//!
//! A draw may be shifted by a constant in the expression that draws it. A scenario cannot express any other arithmetic on a
//! drawn value: it belongs in the statement.

use std::collections::BTreeMap;

use super::ImportError;
use photofinish_workloads::data::{Distribution, DrawSpec};

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Double(f64),
    /// A number drawn in this expression.
    Draw(DrawSpec),
    /// A variable drawn earlier, by name.
    Drawn(String),
}

/// Evaluates an expression, with the values of variables by name.
pub(super) fn evaluate(
    text: &str,
    variables: &BTreeMap<String, Value>,
) -> Result<Value, ImportError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        variables,
    };
    let value = parser.sum()?;
    match parser.next() {
        None => Ok(value),
        Some(token) => Err(unexpected(Some(&token))),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Integer(i64),
    /// 2^63, the magnitude of the smallest integer: valid after a minus only.
    SmallestMagnitude,
    Double(f64),
    Name(String),
    Variable(String),
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token>, ImportError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |it: char| it.is_alphanumeric() || it == '_';
        let name = |text: &str| {
            text.chars()
                .take_while(|it| is_name(*it))
                .collect::<String>()
        };
        let (token, length) = if first == ':' {
            let name = name(&rest[1..]);
            let length = 1 + name.len();
            (Token::Variable(name), length)
        } else if first.is_ascii_digit() || first == '.' {
            number(rest)?
        } else if is_name(first) {
            let name = name(rest);
            let length = name.len();
            (Token::Name(name.to_lowercase()), length)
        } else {
            (Token::Sign(first), first.len_utf8())
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn number(text: &str) -> Result<(Token, usize), ImportError> {
    let mut length = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(length) {
        let is_exponent_sign =
            matches!(byte, b'+' | b'-') && length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        if !(byte.is_ascii_alphanumeric() || *byte == b'.' || is_exponent_sign) {
            break;
        }
        length += 1;
    }
    let number = &text[..length];
    let is_integer = number.bytes().all(|byte| byte.is_ascii_digit());
    let token = match (number.parse(), number.parse()) {
        (Ok(integer), _) => Token::Integer(integer),
        _ if number.parse() == Ok(i64::MIN.unsigned_abs()) => Token::SmallestMagnitude,
        (_, Ok(double)) if !is_integer => Token::Double(double),
        _ if is_integer => {
            return Err(ImportError::new(format!(
                "expected a 64-bit integer, got `{number}`"
            )));
        }
        _ => {
            return Err(ImportError::new(format!(
                "expected a number, got `{number}`"
            )));
        }
    };
    Ok((token, length))
}

/// Maximum depth of an expression.
const DEEPEST: usize = 100;

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    /// Number of factors that are not complete.
    depth: usize,
    variables: &'a BTreeMap<String, Value>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Consumes the next token if it is one of these signs.
    fn take(&mut self, signs: &[char]) -> Option<char> {
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if signs.contains(sign) => {
                self.at += 1;
                Some(*sign)
            }
            _ => None,
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), ImportError> {
        match self.take(&[sign]) {
            Some(_) => Ok(()),
            None => Err(unexpected(self.tokens.get(self.at))),
        }
    }

    fn sum(&mut self) -> Result<Value, ImportError> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            value = calculate(value, sign, self.product()?)?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Value, ImportError> {
        let mut value = self.factor()?;
        while let Some(sign) = self.take(&['*', '/', '%']) {
            value = calculate(value, sign, self.factor()?)?;
        }
        Ok(value)
    }

    fn factor(&mut self) -> Result<Value, ImportError> {
        if self.depth == DEEPEST {
            return Err(ImportError::new(format!(
                "expected at most {DEEPEST} levels of parentheses and signs"
            )));
        }
        self.depth += 1;
        let value = self.factor_within();
        self.depth -= 1;
        value
    }

    fn factor_within(&mut self) -> Result<Value, ImportError> {
        match self.next() {
            Some(Token::Integer(integer)) => Ok(Value::Integer(integer)),
            Some(Token::Double(double)) => Ok(Value::Double(double)),
            Some(Token::Sign('-'))
                if self.tokens.get(self.at) == Some(&Token::SmallestMagnitude) =>
            {
                self.at += 1;
                Ok(Value::Integer(i64::MIN))
            }
            Some(Token::Sign('-')) => calculate(Value::Integer(0), '-', self.factor()?),
            Some(Token::Sign('+')) => self.factor(),
            Some(Token::Sign('(')) => {
                let value = self.sum()?;
                self.expect(')')?;
                Ok(value)
            }
            Some(Token::Variable(name)) => {
                let value = self.variables.get(&name).cloned();
                value.ok_or_else(|| unknown(&name))
            }
            Some(Token::Name(name)) => {
                self.expect('(')?;
                let mut arguments = Vec::new();
                while self.take(&[')']).is_none() {
                    if !arguments.is_empty() {
                        self.expect(',')?;
                    }
                    arguments.push(self.sum()?);
                }
                call(&name, &arguments)
            }
            token => Err(unexpected(token.as_ref())),
        }
    }
}

#[cold]
fn unexpected(token: Option<&Token>) -> ImportError {
    let got = match token {
        None => "the end of the expression".to_owned(),
        Some(Token::Sign(sign)) => format!("`{sign}`"),
        Some(Token::Integer(integer)) => format!("`{integer}`"),
        Some(Token::SmallestMagnitude) => format!("`{}`", i64::MIN.unsigned_abs()),
        Some(Token::Double(double)) => format!("`{double}`"),
        Some(Token::Name(name)) => format!("`{name}`"),
        Some(Token::Variable(name)) => format!("`:{name}`"),
    };
    ImportError::new(format!(
        "expected numbers, variables, functions and + - * / %, got {got}"
    ))
}

pub(super) fn unknown(name: &str) -> ImportError {
    let error = ImportError::new(format!("expected a variable set earlier, got `:{name}`"));
    match name {
        "random_seed" | "default_seed" => {
            error.hint("a scenario's draws follow --seed; leave it out")
        }
        _ => error.hint(format!("add `\\set {name} …` before this line")),
    }
}

fn calculate(left: Value, sign: char, right: Value) -> Result<Value, ImportError> {
    use Value::{Double, Draw, Drawn, Integer};
    let double = |value: &Value| match value {
        Integer(integer) => *integer as f64,
        Double(double) => *double,
        Draw(_) | Drawn(_) => f64::NAN,
    };
    match (&left, &right) {
        (Drawn(name), _) | (_, Drawn(name)) => Err(ImportError::new(format!(
            "expected no arithmetic on the drawn value `:{name}`"
        ))
        .hint(format!("write it in the statement: `(:{name} {sign} …)`"))),
        (Draw(draw), Integer(offset)) if sign == '+' => shift(draw, *offset),
        (Integer(offset), Draw(draw)) if sign == '+' => shift(draw, *offset),
        (Draw(draw), Integer(offset)) if sign == '-' => shift(draw, offset.saturating_neg()),
        (Draw(_), _) | (_, Draw(_)) => Err(ImportError::new(format!(
            "expected a constant added to a random number, got `{sign}`"
        ))
        .hint("draw the number alone, and write the arithmetic in the statement")),
        (Integer(left), Integer(right)) => {
            let result = match sign {
                '+' => left.checked_add(*right),
                '-' => left.checked_sub(*right),
                '*' => left.checked_mul(*right),
                '/' => left.checked_div(*right),
                _ => (*right != 0).then(|| left.wrapping_rem(*right)),
            };
            let wrong = || {
                ImportError::new(format!(
                    "expected a 64-bit integer, got `{left} {sign} {right}`"
                ))
            };
            result.map(Integer).ok_or_else(wrong)
        }
        (left, right) => {
            let (left, right) = (double(left), double(right));
            Ok(Double(match sign {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                '/' => left / right,
                _ => return Err(ImportError::new("expected integers on both sides of `%`")),
            }))
        }
    }
}

fn shift(draw: &DrawSpec, offset: i64) -> Result<Value, ImportError> {
    let add = |bound: Option<i64>| bound.and_then(|bound| bound.checked_add(offset));
    let (Some(from), Some(to)) = (add(draw.from), add(draw.to)) else {
        return Err(ImportError::new("expected 64-bit bounds"));
    };
    Ok(Value::Draw(range(from, to, draw.clone())))
}

fn range(from: i64, to: i64, draw: DrawSpec) -> DrawSpec {
    DrawSpec {
        from: Some(from),
        to: Some(to),
        ..draw
    }
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, ImportError> {
    use Value::{Double, Integer};
    match (name, arguments) {
        ("random", [from, to]) => random(from, to, DrawSpec::default()),
        ("random_gaussian" | "random_exponential" | "random_zipfian", [from, to, parameter]) => {
            let parameter = match parameter {
                Integer(integer) => *integer as f64,
                Double(double) => *double,
                _ => return Err(not_constant(name)),
            };
            let skewed = |distribution| DrawSpec {
                distribution: Some(distribution),
                parameter: Some(parameter),
                ..DrawSpec::default()
            };
            let draw = match name {
                "random_gaussian" => skewed(Distribution::Gaussian),
                "random_exponential" => skewed(Distribution::Exponential),
                _ => DrawSpec {
                    distribution: Some(Distribution::Zipf),
                    exponent: Some(parameter),
                    ..DrawSpec::default()
                },
            };
            random(from, to, draw)
        }
        ("permute", [Value::Draw(draw), Integer(size), ..]) => permute(draw, *size),
        ("permute" | "hash" | "hash_fnv1a" | "hash_murmur2", _) => {
            Err(ImportError::new(format!(
                "expected `permute` of a random number whose range has the size of the second argument, got `{name}`"
            ))
            .hint("`permute(random_zipfian(1, N, …), N)` becomes a draw with `scatter = true`"))
        }
        ("abs", [Integer(integer)]) => {
            let wrong = || {
                ImportError::new(format!(
                    "expected a 64-bit integer, got `abs({integer})`"
                ))
            };
            integer.checked_abs().map(Integer).ok_or_else(wrong)
        }
        ("abs", [Double(double)]) => Ok(Double(double.abs())),
        ("int", [Integer(integer)]) => Ok(Integer(*integer)),
        ("int", [Double(double)]) => rounded(*double),
        ("double", [Integer(integer)]) => Ok(Double(*integer as f64)),
        ("double", [Double(double)]) => Ok(Double(*double)),
        ("mod", [left, right]) => calculate(left.clone(), '%', right.clone()),
        _ => Err(ImportError::new(format!(
            "expected a function that a scenario has, with constants: random, random_gaussian, random_exponential, \
             random_zipfian, permute, abs, int, double or mod; got `{name}`"
        ))
        .hint("write the call in the statement, if the server has such a function")),
    }
}

fn not_constant(name: &str) -> ImportError {
    ImportError::new(format!(
        "expected constants in `{name}(…)`, got a drawn value"
    ))
    .hint("the bounds of a draw are fixed before the run: write the arithmetic in the statement")
}

/// The integer that pgbench makes of a number: the nearest, or of two the even one.
fn rounded(double: f64) -> Result<Value, ImportError> {
    let nearest = double.round_ties_even();
    // The upper bound is no double: the next one is 2^63.
    if !(i64::MIN as f64..-(i64::MIN as f64)).contains(&nearest) {
        return Err(ImportError::new(format!(
            "expected an integer of 64 bits, got `{double}`"
        )));
    }
    Ok(Value::Integer(nearest as i64))
}

fn random(from: &Value, to: &Value, draw: DrawSpec) -> Result<Value, ImportError> {
    match (from, to) {
        (Value::Double(from), to) => random(&rounded(*from)?, to, draw),
        (from, Value::Double(to)) => random(from, &rounded(*to)?, draw),
        (Value::Integer(from), Value::Integer(to)) if from <= to => {
            Ok(Value::Draw(range(*from, *to, draw)))
        }
        (Value::Integer(from), Value::Integer(to)) => Err(ImportError::new(format!(
            "expected a non-empty range, got {from} to {to}"
        ))),
        _ => Err(not_constant("random")),
    }
}

/// The numbers 0 to `size - 1` with frequent ones scattered; `size` must equal the size of the drawn range.
fn permute(draw: &DrawSpec, size: i64) -> Result<Value, ImportError> {
    let drawn = draw.to.zip(draw.from).map(|(to, from)| to.abs_diff(from));
    if size < 1 || drawn != Some(size.abs_diff(1)) {
        return call("permute", &[]);
    }
    let is_uniform = draw.distribution.is_none();
    let scattered = DrawSpec {
        scatter: !is_uniform,
        ..draw.clone()
    };
    Ok(Value::Draw(range(0, size - 1, scattered)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, Value> {
        [
            ("scale".to_owned(), Value::Integer(10)),
            ("aid".to_owned(), Value::Drawn("aid".to_owned())),
        ]
        .into()
    }

    fn draw(from: i64, to: i64) -> Value {
        Value::Draw(range(from, to, DrawSpec::default()))
    }

    #[test]
    fn constants_are_computed_as_by_pgbench_and_random_numbers_become_draws() {
        let zipf = |from, to, scatter| {
            let zipf = DrawSpec {
                distribution: Some(Distribution::Zipf),
                exponent: Some(1.07),
                scatter,
                ..DrawSpec::default()
            };
            Value::Draw(range(from, to, zipf))
        };
        for (text, expected) in [
            ("1 + 2 * 3 - -4", Value::Integer(11)),
            ("-7 / 2", Value::Integer(-3)),
            ("-7 % 2", Value::Integer(-1)),
            ("(1 + 2) * 0.5", Value::Double(1.5)),
            ("1e3 / 4", Value::Double(250.0)),
            ("int(2.9) + abs(-1)", Value::Integer(4)),
            ("int(2.5) * 10 + int(-3.5)", Value::Integer(16)),
            ("random(1, 100000 * :scale)", draw(1, 1_000_000)),
            ("random(0.6, 1.5 * :scale)", draw(1, 15)),
            ("10 + RANDOM(1, 5) - 1", draw(10, 14)),
            ("random_zipfian(1, 100, 1.07)", zipf(1, 100, false)),
            (
                "permute(random_zipfian(1, 100, 1.07), 100, 5) + 1",
                zipf(1, 100, true),
            ),
            ("permute(random(1, 9), 9)", draw(0, 8)),
            (":aid", Value::Drawn("aid".to_owned())),
            ("-9223372036854775808", Value::Integer(i64::MIN)),
            ("- 9223372036854775808 + 1", Value::Integer(-i64::MAX)),
            ("-9223372036854775808 % -1", Value::Integer(0)),
            (
                "random(-9223372036854775808, 9223372036854775807)",
                draw(i64::MIN, i64::MAX),
            ),
        ] {
            assert_eq!(evaluate(text, &variables()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn expressions_that_no_scenario_can_draw_are_refused() {
        for (text, expected) in [
            (":aid + 1", "arithmetic on the drawn value `:aid`"),
            ("random(1, :aid)", "constants in `random(…)`"),
            ("2 * random(1, 5)", "got `*`"),
            ("random(5, 1)", "5 to 1"),
            ("permute(random(1, 9), 8)", "got `permute`"),
            ("hash(:aid) % 7", "got `hash`"),
            ("pi()", "got `pi`"),
            ("1 / 0", "`1 / 0`"),
            ("9223372036854775807 + 1", "64-bit"),
            ("9223372036854775808", "got `9223372036854775808`"),
            (
                "-9223372036854775809",
                "64-bit integer, got `9223372036854775809`",
            ),
            ("-9223372036854775808 / -1", "64-bit"),
            ("abs(-9223372036854775808)", "64-bit"),
            ("1 % 0", "`1 % 0`"),
            (":nothing", "got `:nothing`"),
            ("1 < 2", "got `<`"),
            ("int(1e300)", "64 bits"),
            (&"(".repeat(100_000), "at most 100 levels"),
            (&"-".repeat(100_000), "at most 100 levels"),
            ("1 +", "the end of the expression"),
            ("1 2", "got `2`"),
            ("12ab", "got `12ab`"),
        ] {
            let error = evaluate(text, &variables()).expect_err(text);
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }
}
