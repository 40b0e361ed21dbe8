//! The number of disturbed blocks that a run may redo.

/// Maximum redos per block; a disturbance that recurs three times is permanent.
const REDOS_PER_BLOCK: u32 = 2;

/// Minimum redos per run, however few blocks there are.
const MIN_REDOS: u32 = 2;

/// Blocks per redo: a run takes at most a quarter longer than planned.
const BLOCKS_PER_REDO: usize = 4;

/// The number of blocks that may still be redone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedoBudget(u32);

impl RedoBudget {
    pub const NONE: Self = Self(0);

    /// The redos allowed for a plan of `blocks` blocks.
    pub fn of_blocks(blocks: usize) -> Self {
        let share = u32::try_from(blocks / BLOCKS_PER_REDO).unwrap_or(u32::MAX);
        Self(share.max(MIN_REDOS))
    }

    /// Takes one redo for a block whose attempt number `attempt` was disturbed; false if none is left.
    pub fn take(&mut self, attempt: u32) -> bool {
        let granted = attempt < REDOS_PER_BLOCK && self.0 > 0;
        self.0 -= u32::from(granted);
        granted
    }
}
