//! The data of requests and statements: draws, feeds, built-in values, captures, and the templates that hold them.
//!
//! Every drawn value depends only on the seed, the name and the operation's number, so that every runtime sends the
//! same. Nothing here knows a runtime or a socket, and only [`files`] reads files. The order of use:
//!
//! 1. In `Workload::new`: [`Scope::new`] checks the declared feeds and draws; [`Template::compile`] parses a text and
//!    resolves its names to slots; [`Scope::capture`] declares a name that gets its value from a response, for the templates
//!    compiled after it and until [`Scope::end_flow`]; [`Scope::slot`] is a value without a text around it, such as a
//!    parameter of a statement. [`Scope::finish`] gives the [`Data`].
//! 2. In `prepare`: [`Data::load`] reads the feeds once for all sessions of the round.
//! 3. In `open`: [`Values::new`], one for each session.
//! 4. In `operate`: [`Values::begin`] for each operation; then, for each template, [`Values::fill`], which writes the slots
//!    it uses, once per operation, and [`Values::render`], which appends the text; the length is known before
//!    ([`Values::rendered_len`]). [`Values::capture`] keeps a response's value until the operation ends. `begin` and `fill`
//!    return the `Failure` to pass on: of kind `Failure::ROWS_END` where a feed with the order `once` has no more rows, which
//!    ends the phase, or [`UNFIT`] where a value cannot stand where the template puts it. None of them allocates once the
//!    buffers have grown to the longest value.
//!
//! [`Mix`] chooses among weighted requests by operation number, [`JsonPointer`] finds a value in a body without building a
//! tree. The formulas of all draws are in `docs/DATA.md`.

mod decimal;
mod draw;
mod encoding;
mod feed;
pub mod files;
mod json;
mod mix;
mod permutation;
mod pointer;
mod scope;
mod secrets;
mod template;
mod values;
mod zipf;

pub use self::draw::{Distribution, DrawSpec};
pub use self::encoding::Encoding;
pub use self::feed::{FeedOrder, FeedSpec};
pub use self::json::JsonValue;
pub use self::mix::Mix;
pub use self::pointer::JsonPointer;
pub use self::scope::{Capture, Data, DataSpec, Scope, Slot};
pub use self::template::Template;
pub use self::values::{RoundData, UNFIT, Values};
