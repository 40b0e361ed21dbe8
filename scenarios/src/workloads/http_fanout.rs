//! `http-fanout`: several URLs at once, joined, results in the order asked.

use std::sync::OnceLock;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::fan_out::{FanOut, references};
use super::http_connection::{Reference, TARGET};
use super::params::{require, require_path};

/// The workload.
#[derive(Debug)]
pub struct HttpFanout {
    params: Params,
    references: OnceLock<Vec<Reference>>,
    asked: Asked,
}

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// What to ask for at once, each over a connection of its own.
    pub paths: Vec<String>,
}

impl Default for Params {
    fn default() -> Self {
        let paths = ["/text/alpha", "/text/beta", "/text/gamma"];
        Self {
            paths: paths.map(str::to_owned).to_vec(),
        }
    }
}

impl Workload for HttpFanout {
    const ABOUT: About = About {
        name: "http-fanout",
        class: "http",
        operation: "3 URLs at once, joined; bodies checked in the order asked",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Session<R: Runtime> = FanOut<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require(!params.paths.is_empty(), "paths", || {
            "at least one path is needed".to_owned()
        })?;
        for path in &params.paths {
            require_path("paths", path)?;
        }
        Ok(Self {
            params,
            references: OnceLock::new(),
            asked: Asked::of(TARGET),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        let references = references(env, &self.params.paths).await?;
        self.references.get_or_init(|| references);
        self.asked.begin(env);
        Ok(())
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<FanOut<R>, Failure> {
        FanOut::open(env, &self.params.paths).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut FanOut<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let references = self.references.get().expect("prepared before any session");
        session.exchange(env, references).await
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: Totals,
    ) -> Result<Vec<String>, Failure> {
        let each = self.params.paths.len() as u64;
        Ok(Vec::from_iter(self.asked.judge(env, totals, each)))
    }
}
