//! From parameters to what runs: requests and flows in one weighted list, each request compiled once.
//!
//! Every mistake a user can make is refused here, with its location in the scenario file: before anything runs, and
//! again in each worker.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::workload::ParamError;
use photofinish_record::Part;

use super::super::params::require;
use super::Params;
use super::place::at;
use super::spec::{Cookies, HttpSpec, HttpVersion, RequestSpec};
use super::step::Step;
use crate::data::{Data, FeedOrder, Mix, Scope};

/// All requests of a round.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// The steps of each item of the mix.
    items: Vec<Range<usize>>,
    mix: Mix,
    pub(super) data: Arc<Data>,
    pub(super) http: HttpSpec,
}

impl Script {
    pub(super) fn compile(params: &Params) -> Result<Self, ParamError> {
        check_streams(params)?;
        let mut scope = Scope::new(&params.data())?;
        let mut script = Steps {
            scope: &mut scope,
            http: &params.http,
            steps: Vec::new(),
            items: Vec::new(),
            weights: Vec::new(),
        };
        let root = [RequestSpec::get("/")];
        let nothing = params.request.is_empty() && params.flow.is_empty();
        script.requests(if nothing { &root } else { &params.request })?;
        for (index, flow) in params.flow.iter().enumerate() {
            script.flow(&flow.request, flow.weight, &format!("flow.{index}"))?;
        }
        let Steps {
            mut steps,
            items,
            weights,
            ..
        } = script;
        require(steps.len() <= Part::MOST, "request", || {
            format!(
                "expected at most {} requests, got {}",
                Part::MOST,
                steps.len()
            )
        })?;
        name_apart(&mut steps)?;
        let mix = Mix::new(weights).ok_or_else(|| ParamError {
            param: if params.flow.is_empty() {
                "request"
            } else {
                "flow"
            }
            .to_owned(),
            message: "expected a `weight` above 0, got 0 for all".to_owned(),
        })?;
        Ok(Self {
            steps,
            items,
            mix,
            data: scope.finish(),
            http: params.http.clone(),
        })
    }

    /// The steps that make operation `op`: the same under every runtime.
    pub(super) fn steps_of(&self, seed: u64, op: u64) -> Range<usize> {
        self.items[self.mix.choose(seed, op)].clone()
    }

    /// The names of requests that change something on the server, and are the same in every round.
    pub(super) fn repeated_writes(&self) -> Vec<String> {
        let writes = self.steps.iter().filter(|step| step.repeats_a_write());
        writes.map(|step| step.name.clone()).collect()
    }

    /// Names of the response header fields that are needed.
    pub(super) fn watched(&self) -> impl Iterator<Item = &str> {
        let watched = self.steps.iter().flat_map(Step::watched);
        let has_cookies = self.http.cookies != Cookies::Enabled(false);
        watched.chain(has_cookies.then_some("set-cookie"))
    }

    /// Time limit of each operation.
    pub(super) fn limit(&self) -> Option<Duration> {
        self.http.operation_timeout.map(|limit| limit.0)
    }
}

/// Rejects settings that exclude several streams.
fn check_streams(params: &Params) -> Result<(), ParamError> {
    let HttpSpec {
        version,
        streams,
        keep_alive,
        ..
    } = &params.http;
    let streams = streams.get();
    require(
        streams == 1 || *version == HttpVersion::Http2,
        "http.streams",
        || {
            "expected `version = \"2\"` with several streams: an HTTP/1.1 connection carries one request at a time".to_owned()
        },
    )?;
    require(streams <= HttpSpec::MOST_STREAMS, "http.streams", || {
        format!("expected at most {}, got {streams}", HttpSpec::MOST_STREAMS)
    })?;
    let most = keep_alive.most_requests();
    require(most >= streams, "http.keep_alive", || {
        format!(
            "expected at least {streams} requests per connection, as many as streams, got {most}"
        )
    })?;
    for (name, feed) in &params.feed {
        let is_once = streams > 1 && feed.order == FeedOrder::Once;
        require(!is_once, &at("feed", &[name, "order"]), || {
            "expected an order other than `once` with several streams: one operation would take several rows"
                .to_owned()
        })?;
    }
    let steps = params.flow.iter().enumerate().flat_map(|(flow, spec)| {
        let steps = spec.request.iter().enumerate();
        steps.map(move |(index, spec)| (format!("flow.{flow}.request.{index}"), spec))
    });
    let alone = params.request.iter().enumerate();
    let alone = alone.map(|(index, spec)| (format!("request.{index}"), spec));
    for (path, spec) in alone.chain(steps) {
        require(
            streams == 1 || spec.pause.is_none(),
            &at(&path, &["pause"]),
            || "expected no pause with several streams: they cannot pause separately".to_owned(),
        )?;
    }
    Ok(())
}

/// The script while it is compiled.
struct Steps<'a> {
    scope: &'a mut Scope,
    http: &'a HttpSpec,
    steps: Vec<Step>,
    items: Vec<Range<usize>>,
    weights: Vec<u32>,
}

impl Steps<'_> {
    /// The requests at the root, each an item of the mix.
    fn requests(&mut self, specs: &[RequestSpec]) -> Result<(), ParamError> {
        for (index, spec) in specs.iter().enumerate() {
            let path = format!("request.{index}");
            require(spec.capture.is_empty(), &at(&path, &["capture"]), || {
                "expected a request of a `[[flow]]`, since no other follows this one".to_owned()
            })?;
            self.step(spec, &path)?;
            self.item(self.steps.len() - 1, spec.weight);
        }
        Ok(())
    }

    fn flow(
        &mut self,
        specs: &[RequestSpec],
        weight: Option<u32>,
        path: &str,
    ) -> Result<(), ParamError> {
        require(!specs.is_empty(), &at(path, &["request"]), || {
            "expected at least one request".to_owned()
        })?;
        let first = self.steps.len();
        for (index, spec) in specs.iter().enumerate() {
            let path = format!("{path}.request.{index}");
            require(spec.weight.is_none(), &at(&path, &["weight"]), || {
                "expected the weight at the `[[flow]]`, got one at a request of it".to_owned()
            })?;
            self.step(spec, &path)?;
        }
        self.scope.end_flow();
        self.item(first, weight);
        Ok(())
    }

    fn step(&mut self, spec: &RequestSpec, path: &str) -> Result<(), ParamError> {
        let step = Step::compile(spec, self.http, path, self.scope)?;
        self.steps.push(step);
        Ok(())
    }

    /// Adds the steps from `first` on as one item.
    fn item(&mut self, first: usize, weight: Option<u32>) {
        if let [step] = &mut self.steps[first..] {
            let is_sent_once = step.tries == NonZeroU32::MIN && self.http.redirects == 0;
            step.is_operation = is_sent_once && step.pause.is_none();
        }
        self.items.push(first..self.steps.len());
        self.weights.push(weight.unwrap_or(1));
    }
}

/// Gives each step a unique name: unnamed requests are numbered, duplicate names are an error.
fn name_apart(steps: &mut [Step]) -> Result<(), ParamError> {
    let mut seen = BTreeMap::new();
    for step in steps {
        let number = seen.entry(step.name.clone()).or_insert(0_u32);
        *number += 1;
        require(
            *number == 1 || !step.is_named,
            &at(&step.path, &["name"]),
            || format!("expected a name of its own, got `{}` again", step.name),
        )?;
        if *number > 1 {
            step.name = format!("{} ({number})", step.name);
        }
        Part::check_names([step.name.as_str()]).map_err(|error| ParamError {
            param: at(&step.path, &["name"]),
            message: error.to_string(),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_a_lone_request_sent_once_without_a_pause_is_the_whole_operation() {
        let is_operation = |params: Value| {
            let params: Params = serde_json::from_value(params).expect("parameters");
            let script = Script::compile(&params).expect("a script");
            script.steps.iter().all(|step| step.is_operation)
        };
        let get = json!({ "send": "GET /" });
        let retried = json!({ "send": "GET /", "tries": 2 });
        assert!(is_operation(json!({ "request": [get, get] })));
        assert!(is_operation(json!({ "flow": [{ "request": [get] }] })));
        assert!(!is_operation(
            json!({ "flow": [{ "request": [get, get] }] })
        ));
        assert!(!is_operation(json!({ "request": [retried] })));
        assert!(!is_operation(
            json!({ "http": { "tries": 2 }, "request": [get] })
        ));
        assert!(!is_operation(
            json!({ "http": { "redirects": 1 }, "request": [get] })
        ));
        assert!(!is_operation(
            json!({ "request": [{ "send": "GET /", "pause": "1ms" }] })
        ));
    }
}
