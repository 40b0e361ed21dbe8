//! Checks of parameters that several workloads share.

use std::time::Duration;

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

/// Waits in units, one for each part: at least one, at most a thousand.
pub(super) fn require_waits(
    param: &str,
    waits: &[f64],
    unit: Duration,
) -> Result<Vec<Duration>, ParamError> {
    require((1..=1_000).contains(&waits.len()), param, || {
        "from 1 to 1,000 waits are needed".to_owned()
    })?;
    let sound = waits.iter().all(|units| (0.0..=1_000.0).contains(units));
    require(sound, param, || {
        "a wait lasts from 0 to 1,000 units".to_owned()
    })?;
    Ok(waits.iter().map(|units| unit.mul_f64(*units)).collect())
}
