//! The visitors of one session: the requests that `scrape`, `download` and `crawl` make at once.
//!
//! Each visitor moves into a part of an operation and back when the part is joined. All parts are joined, whatever
//! happened to one. A visitor that is lost in a panic is replaced when needed.

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::super::parts::each_in_slot;
use super::Visitor;

/// The visitors of one session.
pub(in crate::workloads) struct Visitors<R: Runtime> {
    name: String,
    /// `None` only while a part is in flight, and after one panicked.
    places: Vec<Option<Visitor<R>>>,
}

impl<R: Runtime> Visitors<R> {
    /// `count` visitors of this name, at least one, each over an open connection.
    pub(in crate::workloads) async fn connect(
        env: &RoundEnv<R>,
        count: usize,
        name: &str,
    ) -> Result<Self, Failure> {
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let mut visitor = Visitor::new(env, name)?;
            visitor.connect().await?;
            places.push(Some(visitor));
        }
        Ok(Self {
            name: name.to_owned(),
            places,
        })
    }

    /// Changes their name.
    pub(in crate::workloads) fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        let visitors = self.places.iter_mut().flatten();
        visitors.for_each(|visitor| visitor.rename(name));
    }

    /// The number of visitors.
    pub(in crate::workloads) fn count(&self) -> usize {
        self.places.len()
    }

    /// The first of them.
    pub(in crate::workloads) fn first(
        &mut self,
        env: &RoundEnv<R>,
    ) -> Result<&mut Visitor<R>, Failure> {
        match &mut self.places[0] {
            Some(visitor) => Ok(visitor),
            empty => Ok(empty.insert(Visitor::new(env, &self.name)?)),
        }
    }

    /// Runs a part for each of `items`, at most as many as visitors, and joins all of them; returns their results in their
    /// order, or the first failure.
    pub(in crate::workloads) async fn each<I, T, P>(
        &mut self,
        env: &RoundEnv<R>,
        items: impl IntoIterator<Item = I>,
        part: impl Fn(Visitor<R>, I) -> P,
    ) -> Result<Vec<T>, Failure>
    where
        T: Send + 'static,
        P: Future<Output = (Visitor<R>, Result<T, Failure>)> + Send + 'static,
    {
        let refill = || Visitor::new(env, &self.name);
        each_in_slot(&env.runtime, &mut self.places, items, refill, part).await
    }
}
