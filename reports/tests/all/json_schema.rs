//! JSON Schemas that outputs must follow.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

pub(crate) struct JsonSchema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl JsonSchema {
    pub(crate) fn new(schema: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.add_resource("schema", schema).expect("a name");
        let mut schemas = Schemas::new();
        let index = compiler.compile("schema", &mut schemas);
        Self {
            index: index.expect("a valid schema"),
            schemas,
        }
    }

    /// Fails the test if `document`, made from the fixture `name`, does not follow the schema.
    #[track_caller]
    pub(crate) fn check(&self, document: &Value, name: &str) {
        if let Err(error) = self.schemas.validate(document, self.index) {
            panic!("{name}: {error}");
        }
    }
}
