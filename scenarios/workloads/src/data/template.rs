//! Templates: texts with `{{name}}`, compiled once to literals and slots.
//!
//! Blanks around a name are allowed; `{{name|raw}}` leaves out the escaping of the place. The parts of a request, each with
//! an encoding of its own, can be joined to one template.

use super::encoding::{Encoding, Escape};
use super::scope::{Scope, Slot};

/// A compiled text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    literals: Vec<u8>,
    pieces: Vec<Piece>,
    /// The slots of the pieces, each once.
    slots: Vec<Slot>,
}

/// A slot after a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    literal_end: usize,
    slot: Slot,
}

impl Template {
    /// Compiles a text; its place determines the encoding of values.
    pub fn compile(text: &str, scope: &mut Scope, encoding: Encoding) -> Result<Self, String> {
        let mut template = Self::default();
        template.push(text, scope, encoding)?;
        Ok(template)
    }

    /// Compiles and appends a text.
    pub fn push(
        &mut self,
        text: &str,
        scope: &mut Scope,
        encoding: Encoding,
    ) -> Result<(), String> {
        let (mut rest, mut quotes) = (text, Quotes::default());
        while let Some((literal, behind)) = rest.split_once("{{") {
            self.push_literal(literal.as_bytes());
            quotes.pass(literal.as_bytes());
            let Some((inside, behind)) = behind.split_once("}}") else {
                let start: String = behind.chars().take(20).collect();
                return Err(format!("expected `}}}}` behind `{{{{{start}`"));
            };
            self.push_slot(inside, scope, |raw| encoding.escape(raw, quotes.inside))?;
            rest = behind;
        }
        self.push_literal(rest.as_bytes());
        Ok(())
    }

    /// Appends bytes unchanged.
    pub fn push_literal(&mut self, literal: &[u8]) {
        self.literals.extend_from_slice(literal);
    }

    fn push_slot(
        &mut self,
        inside: &str,
        scope: &mut Scope,
        escape: impl Fn(bool) -> Escape,
    ) -> Result<(), String> {
        let (name, raw) = match inside.split_once('|') {
            Some((name, "raw")) => (name, true),
            Some((name, option)) if option.trim() == "raw" => (name, true),
            Some((_, option)) => return Err(format!("expected `|raw`, got `|{option}`")),
            None => (inside, false),
        };
        let slot = scope.escaped(name.trim(), escape(raw))?;
        self.pieces.push(Piece {
            literal_end: self.literals.len(),
            slot,
        });
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        Ok(())
    }

    /// The whole text, if it has no slots: it can be sent as it is.
    pub fn literal(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then_some(&*self.literals)
    }

    /// The slots it uses, without repetition.
    #[inline]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The length of a text with these values.
    #[inline]
    pub(super) fn length<'a>(&self, value: impl Fn(Slot) -> &'a [u8]) -> usize {
        let values = self.pieces.iter().map(|piece| value(piece.slot).len());
        self.literals.len() + values.sum::<usize>()
    }

    /// Appends the text with these values.
    #[inline]
    pub(super) fn write<'a>(&self, value: impl Fn(Slot) -> &'a [u8], out: &mut Vec<u8>) {
        let mut written = 0;
        for piece in &self.pieces {
            out.extend_from_slice(&self.literals[written..piece.literal_end]);
            out.extend_from_slice(value(piece.slot));
            written = piece.literal_end;
        }
        out.extend_from_slice(&self.literals[written..]);
    }
}

/// The position relative to JSON strings.
#[derive(Default)]
struct Quotes {
    inside: bool,
}

impl Quotes {
    fn pass(&mut self, literal: &[u8]) {
        let mut escaped = false;
        for byte in literal {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if self.inside => escaped = true,
                b'"' => self.inside = !self.inside,
                _ => {}
            }
        }
    }
}
