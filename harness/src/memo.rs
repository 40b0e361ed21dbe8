//! Values that are made once per round.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Values that all sessions of a round share, by name; clones share them. The first session to need one makes it, before
/// the clock starts.
#[derive(Clone, Default)]
pub struct Memo(Arc<Mutex<BTreeMap<String, Arc<dyn Any + Send + Sync>>>>);

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}

impl Memo {
    /// The value called `name`, from `make` if there is none yet. All values of one name have the same type.
    pub fn obtain<T: Any + Send + Sync, E>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = match values.get(name) {
            Some(value) => Arc::clone(value),
            None => {
                let value: Arc<dyn Any + Send + Sync> = Arc::new(make()?);
                values.insert(name.to_owned(), Arc::clone(&value));
                value
            }
        };
        Ok(value.downcast().expect("one type for one name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_computed_once_and_a_failure_is_not_kept() {
        let memo = Memo::default();
        assert_eq!(memo.obtain::<u8, _>("a", || Err("not yet")), Err("not yet"));
        let first = memo.clone().obtain("a", || Ok::<_, ()>(1_u8));
        assert_eq!(first.as_deref(), Ok(&1));
        assert_eq!(memo.obtain("a", || Ok::<_, ()>(2_u8)).as_deref(), Ok(&1));
        assert_eq!(memo.obtain("b", || Ok::<_, ()>(3_u8)).as_deref(), Ok(&3));
    }
}
