//! The value of `--twin`.

use photofinish_scenarios::plan::Twin;
use serde_json::Value;

/// Parses `RUNTIME[,KEY=VALUE]…`; values are JSON, or else text.
pub fn parse(text: &str) -> Result<Twin, String> {
    let mut parts = text.split(',');
    let runtime = parts.next().unwrap_or_default().to_owned();
    let params = parts.map(|part| {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("expected KEY=VALUE after the runtime, got `{part}`"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok((key.to_owned(), value))
    });
    Ok(Twin {
        runtime,
        params: params.collect::<Result<_, String>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_twin_has_its_own_runtime_and_parameters() {
        let twin = parse("tokio,work=11000,path=/a").expect("sound");
        assert_eq!(twin.runtime, "tokio");
        assert_eq!(json!(twin.params), json!({ "work": 11_000, "path": "/a" }));
        assert_eq!(parse("tokio").expect("sound").params.len(), 0);
        assert!(parse("tokio,work").is_err());
    }
}
