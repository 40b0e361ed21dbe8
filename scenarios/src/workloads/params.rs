//! Checks of parameters that several workloads share.

use photofinish_harness::workload::ParamError;

/// A path to ask a server for.
pub(super) fn require_path(param: &str, path: &str) -> Result<(), ParamError> {
    let sound = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    require(sound, param, || {
        format!("`{path}` is no path: it must start with `/` and hold no spaces")
    })
}

/// `message` about `param` unless `holds`.
pub(super) fn require(
    holds: bool,
    param: &str,
    message: impl FnOnce() -> String,
) -> Result<(), ParamError> {
    if holds {
        return Ok(());
    }
    Err(ParamError {
        param: param.to_owned(),
        message: message(),
    })
}
