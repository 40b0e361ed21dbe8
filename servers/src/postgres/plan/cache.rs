//! Plans remembered by the text they were made of.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::schema::Schema;
use super::super::translate::Names;
use super::super::types::PgType;
use super::Plan;

/// Plans kept per generation.
const GENERATION: usize = 2_000;

/// One way a text was planned.
#[derive(Debug)]
struct Entry {
    names: Arc<Names>,
    declared: Vec<Option<PgType>>,
    plan: Arc<Plan>,
}

/// Plans by text, in two generations: what is not used for a whole generation is forgotten.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    young: HashMap<String, Vec<Entry>>,
    old: HashMap<String, Vec<Entry>>,
}

impl PlanCache {
    /// The plan of a text, if it still holds.
    pub(crate) fn get(
        &mut self,
        sql: &str,
        schema: &Schema,
        names: &Arc<Names>,
        declared: &[Option<PgType>],
    ) -> Option<Arc<Plan>> {
        if !self.young.contains_key(sql)
            && let Some((sql, entries)) = self.old.remove_entry(sql)
        {
            self.keep_small();
            self.young.insert(sql, entries);
        }
        let entries = self.young.get(sql)?;
        let same = |entry: &&Entry| {
            (Arc::ptr_eq(&entry.names, names) || entry.names == *names)
                && entry.declared == declared
        };
        entries
            .iter()
            .find(same)
            .map(|entry| &entry.plan)
            .filter(|plan| plan.holds_for(schema))
            .cloned()
    }

    pub(crate) fn put(
        &mut self,
        sql: &str,
        names: Arc<Names>,
        declared: Vec<Option<PgType>>,
        plan: Arc<Plan>,
    ) {
        self.keep_small();
        let entries = self.young.entry(sql.to_owned()).or_default();
        entries.retain(|entry| entry.names != names || entry.declared != declared);
        entries.push(Entry {
            names,
            declared,
            plan,
        });
    }

    fn keep_small(&mut self) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}
