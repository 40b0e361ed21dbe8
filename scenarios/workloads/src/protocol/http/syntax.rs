//! Character classes shared by requests and chunks; `httparse` has its own for response heads.

/// A byte of a field value or chunk extension: not a control character, except the tab.
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// A byte of a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
