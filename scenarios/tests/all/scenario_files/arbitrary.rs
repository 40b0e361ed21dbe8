//! Arbitrary texts and overrides end in a scenario or an error.

use photofinish_scenarios::scenario::{Override, Scenario};
use proptest::prelude::*;

use super::{CHECKS, parse, source};

/// Near-valid scenarios, which reach beyond the TOML parser.
fn nearly_a_scenario() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("title"),
        Just("workload"),
        Just("unit"),
        Just("runtimes"),
        Just("params.path"),
        Just("params"),
        Just("server.http.kind"),
        Just("server.http.mocks"),
        Just("server.db.x"),
        Just("server"),
        Just("load.model"),
        Just("load.concurrency"),
        Just("load.duration"),
        Just("load.ops"),
        Just("load"),
        Just("expect.errors"),
        Just("\"\\u001b é\""),
    ];
    let value = prop_oneof![
        Just("'http-get'"),
        Just("'null'"),
        Just("'tokio'"),
        Just("['sync', 'é']"),
        Just("'wiremock'"),
        Just("'2 units'"),
        Just("0"),
        Just("-1"),
        Just("1.5"),
        Just("inf"),
        Just("true"),
        Just("[]"),
        Just("[1, 16]"),
        Just("{}"),
        Just("{ a = 1 }"),
        Just("[{ method = 'GET', b = [{}] }]"),
        Just("'1%'"),
        Just("'20ms'"),
        Just("2024-01-02"),
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*|(?s:.*)") {
        let _ = parse(&text, &[]).map_err(|refused| refused.render(true));
    }

    #[test]
    fn arbitrary_keys_and_overrides_never_panic(
        text in nearly_a_scenario(),
        overrides in prop::collection::vec("[a-z]{1,8}(\\.[a-z0-9]{1,8}){0,3}=.*|load\\.ops=[0-9]{1,3}|unit=[0-9]m?s", 0..3),
    ) {
        let overrides: Vec<_> = overrides.iter().filter_map(|text| Override::parse(text).ok()).collect();
        let parsed = Scenario::parse(source(&text), &overrides, CHECKS);
        if let Err(refused) = parsed {
            prop_assert!(!refused.render(false).is_empty());
        }
    }

    #[test]
    fn arbitrary_override_arguments_never_panic(text in ".*") {
        let _ = Override::parse(&text).map_err(|refused| refused.render(true));
    }
}
