//! The runtimes under comparison: one file each, and the list of all of them.
//!
//! A new runtime is one file (its `DESCRIPTOR` and its `start`), one line in the list below, and, if it has its own type, one
//! line in `dispatch.rs`; a runtime in the list is also run by the conformance suite in `tests/conformance`.
//! [`with_runtime`] and [`with_any_runtime`] turn a name into a type, so that the same source runs under all of them.

mod async_std;
mod blocking;
#[cfg(feature = "compio")]
mod compio;
#[cfg(feature = "compio")]
mod compio_epoll;
mod dispatch;
mod epoll;
mod floor;
mod listen;
mod panics;
mod pool;
#[cfg(any(feature = "compio", feature = "uring"))]
mod ring_flags;
mod smol;
mod socket;
mod sync;
mod threads;
mod tokio;
mod tokio_current_thread;
mod transfer;
#[cfg(feature = "uring")]
mod uring;

pub(crate) use self::panics::message as panic_message;
use photofinish_record::RuntimeFamily;

use self::dispatch::AnyRuntime;
use crate::runtime::{Descriptor, Runtime, RuntimeConfig, StartError};

/// Work that is generic over the runtime.
pub trait Visitor {
    type Output;

    fn visit<R: Runtime>(self, runtime: R) -> Self::Output;
}

/// The requested runtime did not run.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// No runtime of this name is built in.
    #[error("no runtime is called `{0}`")]
    Unknown(String),
    /// The runtime did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

macro_rules! runtimes {
    ($($(#[$condition:meta])* $module:ident),+ $(,)?) => {
        /// Every runtime of this build, in the order of reports; the first is the default reference.
        pub static DESCRIPTORS: &[&Descriptor] = &[$($(#[$condition])* &$module::DESCRIPTOR),+];

        /// Starts the runtime called `name`, and visits it by its own type.
        pub fn with_runtime<V: Visitor>(
            name: &str,
            config: RuntimeConfig,
            visitor: V,
        ) -> Result<V::Output, SelectError> {
            $(
                $(#[$condition])*
                if name == $module::DESCRIPTOR.name {
                    return Ok(visitor.visit($module::start(config)?));
                }
            )+
            Err(SelectError::Unknown(name.to_owned()))
        }

        /// Starts the runtime called `name`.
        fn start(name: &str, config: RuntimeConfig) -> Result<AnyRuntime, SelectError> {
            $(
                $(#[$condition])*
                if name == $module::DESCRIPTOR.name {
                    return Ok($module::start(config)?.into());
                }
            )+
            Err(SelectError::Unknown(name.to_owned()))
        }
    };
}

runtimes![
    sync,
    threads,
    pool,
    tokio,
    tokio_current_thread,
    async_std,
    smol,
    epoll,
    #[cfg(feature = "compio")]
    compio,
    #[cfg(feature = "compio")]
    compio_epoll,
    #[cfg(feature = "uring")]
    uring,
];

/// The runtime `sync`.
pub fn sync() -> impl Runtime {
    blocking::Blocking::Inline
}

/// Like [`with_runtime`], but all asynchronous runtimes are one type, and so are all blocking ones: the visitor is compiled
/// for these two.
pub fn with_any_runtime<V: Visitor>(
    name: &str,
    config: RuntimeConfig,
    visitor: V,
) -> Result<V::Output, SelectError> {
    Ok(match start(name, config)? {
        AnyRuntime::Blocking(runtime) => visitor.visit(runtime),
        AnyRuntime::Async(runtime) => visitor.visit(runtime),
    })
}

/// The runtimes that are compared by default: all but floors, which nobody can choose.
pub fn default_runtimes() -> impl Iterator<Item = &'static Descriptor> {
    let choosable = |known: &&'static Descriptor| known.family != RuntimeFamily::Floor;
    DESCRIPTORS.iter().copied().filter(choosable)
}

/// The floors: the distance of each runtime from the least that an event loop can do.
pub fn floors() -> impl Iterator<Item = &'static Descriptor> {
    let is_floor = |known: &&'static Descriptor| known.family == RuntimeFamily::Floor;
    DESCRIPTORS.iter().copied().filter(is_floor)
}

/// Runtimes that need a Cargo feature, each with that feature.
pub const OPTIONAL: [(&str, &str); 3] = [
    ("compio", "compio"),
    ("compio-epoll", "compio"),
    ("uring", "uring"),
];

/// The descriptor of the runtime `name`, if this build includes it.
pub fn descriptor(name: &str) -> Option<&'static Descriptor> {
    DESCRIPTORS
        .iter()
        .copied()
        .find(|descriptor| descriptor.name == name)
}
