//! Locations among the parameters, for errors, and texts compiled at their location.

use photofinish_harness::workload::ParamError;

use crate::data::{Encoding, Scope, Template};

/// The dotted location of a part of the parameter at `path`.
pub(super) fn at(path: &str, keys: &[&str]) -> String {
    keys.iter()
        .fold(path.to_owned(), |path, key| path + "." + key)
}

/// Compiles a text at `path`.
pub(super) fn template(
    text: &str,
    scope: &mut Scope,
    encoding: Encoding,
    path: &str,
) -> Result<Template, ParamError> {
    Template::compile(text, scope, encoding).map_err(|message| ParamError {
        param: path.to_owned(),
        message,
    })
}
