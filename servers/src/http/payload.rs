//! The bodies that the server `http` sends, as one concrete type: whole, streamed from a shared block, or cut short.
//!
//! A boxed body would cost every small response an allocation and two virtual calls; here the common body is a slice of
//! static memory. Read `answers.rs` next for the uses of each body.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::faults::Fault;

/// A whole number of alphabets near 64 KiB, so that every block of a longer body starts with an `a` again.
const BLOCK_BYTES: usize = 26 * 2520;

/// Byte i is `b'a' + i % 26`, as in every body of `/bytes`.
static BLOCK: [u8; BLOCK_BYTES] = {
    let mut block = [0; BLOCK_BYTES];
    let mut index = 0;
    while index < BLOCK_BYTES {
        block[index] = b'a' + (index % 26) as u8;
        index += 1;
    }
    block
};

/// A response's body.
#[derive(Debug)]
pub(super) enum Payload {
    /// In one piece.
    Whole(Bytes),
    /// This many bytes of the alphabet, block by block, with a length known in advance.
    Blocks { left_bytes: usize },
    /// The same without announcing the length, which makes it chunked.
    Chunks { left_bytes: usize },
    /// Some bytes of a longer body, followed by the end of the connection.
    Cut {
        sent: Bytes,
        promised_bytes: u64,
        stage: CutStage,
    },
}

/// Progress of a body that will be cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum CutStage {
    Sending,
    /// The sent part is being flushed: an error now would drop it from the buffer.
    Flushing,
    Cutting,
}

impl Payload {
    pub(super) fn empty() -> Self {
        Payload::Whole(Bytes::new())
    }

    /// A body in one piece of static memory.
    pub(super) fn fixed(text: &'static str) -> Self {
        Payload::Whole(Bytes::from_static(text.as_bytes()))
    }

    /// The body of `/bytes`.
    pub(super) fn alphabet(length_bytes: usize, chunked: bool) -> Self {
        match length_bytes {
            _ if chunked => Payload::Chunks {
                left_bytes: length_bytes,
            },
            0..=BLOCK_BYTES => Payload::Whole(block(length_bytes)),
            _ => Payload::Blocks {
                left_bytes: length_bytes,
            },
        }
    }

    /// The first half of this body, at most a block, after which the connection ends.
    pub(super) fn cut(self) -> Self {
        let (whole, promised_bytes) = match self {
            Payload::Whole(bytes) => (bytes.clone(), bytes.len()),
            Payload::Blocks { left_bytes } | Payload::Chunks { left_bytes } => {
                (block(left_bytes), left_bytes)
            }
            Payload::Cut { .. } => return self,
        };
        let sent = whole.slice(..whole.len() / 2);
        // An empty body cannot be cut, so one byte is announced that never comes.
        Payload::Cut {
            sent,
            promised_bytes: promised_bytes.max(1) as u64,
            stage: CutStage::Sending,
        }
    }
}

/// The first `length_bytes` bytes of the block, or all of it.
fn block(length_bytes: usize) -> Bytes {
    Bytes::from_static(&BLOCK[..length_bytes.min(BLOCK_BYTES)])
}

fn take_block(left_bytes: &mut usize) -> Option<Bytes> {
    let bytes = block(*left_bytes);
    *left_bytes -= bytes.len();
    (!bytes.is_empty()).then_some(bytes)
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let next = match self.get_mut() {
            Payload::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Payload::Blocks { left_bytes } | Payload::Chunks { left_bytes } => {
                take_block(left_bytes)
            }
            Payload::Cut { sent, stage, .. } => match stage {
                CutStage::Sending => {
                    *stage = CutStage::Flushing;
                    Some(std::mem::take(sent))
                }
                CutStage::Flushing => {
                    *stage = CutStage::Cutting;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                CutStage::Cutting => return Poll::Ready(Some(Err(Fault::Truncate))),
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Payload::Whole(bytes) => bytes.is_empty(),
            Payload::Blocks { left_bytes } => *left_bytes == 0,
            // A chunked body of no bytes still has its closing chunk.
            Payload::Chunks { .. } | Payload::Cut { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Payload::Blocks { left_bytes } => SizeHint::with_exact(*left_bytes as u64),
            Payload::Chunks { .. } => SizeHint::default(),
            Payload::Cut { promised_bytes, .. } => SizeHint::with_exact(*promised_bytes),
        }
    }
}
