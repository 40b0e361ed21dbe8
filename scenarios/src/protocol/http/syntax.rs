//! The character classes of HTTP that requests and chunks share.
//!
//! `httparse` has its own for response heads; these are for what it does not read. Read next: `request.rs`.

/// A byte that may stand in a field value or chunk extension: no control character but the tab.
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// A byte of a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
