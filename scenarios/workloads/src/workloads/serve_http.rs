//! `serve-http`: the worker is the server, and answers `GET /`, `/{name}` and `/health`.
//!
//! `serving.rs` has the connections, the client that loads it and the meaning of an operation's time. The scenario
//! tells the client the expected response of each path, and the client checks every body.

use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::serving::{Acceptor, CLIENT, Handler, Params, Serving, Slot};
use crate::protocol::http_server::Response;

#[derive(Debug)]
pub struct ServeHttp {
    serving: Serving,
}

/// Answers by path.
#[derive(Debug, Default)]
pub struct Greeter {
    greeting: String,
}

impl<R: Runtime> Handler<R> for Greeter {
    async fn answer(
        &mut self,
        _: &RoundEnv<R>,
        target: &str,
        answer: &mut Response,
    ) -> Result<(), Failure> {
        self.greet(target, answer);
        Ok(())
    }
}

impl Greeter {
    fn greet(&mut self, target: &str, answer: &mut Response) {
        let path = target.split('?').next().unwrap_or(target);
        match path.strip_prefix('/') {
            Some("") => answer.text(200, "Hello, world!"),
            Some("health") => answer.json(200).extend_from_slice(br#"{"status":"ok"}"#),
            Some(name) if !name.contains('/') => {
                self.greeting.clear();
                self.greeting.extend(["Hello, ", name, "!"]);
                answer.text(200, &self.greeting);
            }
            _ => answer.text(404, "expected /, /{name} or /health"),
        }
    }
}

impl Workload for ServeHttp {
    const ABOUT: About = About {
        name: "serve-http",
        class: "servers",
        operation: "one request answered: GET /, /{name} or /health over a keep-alive connection",
        targets: &[CLIENT],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Arc<Acceptor<R>>;
    type Session<R: Runtime> = Slot<R, Greeter>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let serving = Serving::new(&params)?;
        Ok(Self { serving })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Arc<Acceptor<R>>, Failure> {
        self.serving.prepare(env).await
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Arc<Acceptor<R>>>,
        _: u32,
    ) -> Result<Slot<R, Greeter>, Failure> {
        Slot::open(env, Arc::clone(&env.shared), Greeter::default()).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Arc<Acceptor<R>>>,
        slot: &mut Slot<R, Greeter>,
        op: u64,
    ) -> Result<(), Failure> {
        slot.operate(env, op).await
    }

    async fn close<R: Runtime>(&self, env: &Env<R, Arc<Acceptor<R>>>, slot: &mut Slot<R, Greeter>) {
        slot.close(env).await;
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Arc<Acceptor<R>>>,
        _: &Totals,
    ) -> Result<Vec<String>, Failure> {
        self.serving.finish(env, &env.shared).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_response() {
        let check = |target: &str, status, body: &str| {
            let mut answer = Response::default();
            Greeter::default().greet(target, &mut answer);
            let answered = String::from_utf8_lossy(answer.body());
            assert_eq!((answer.status(), &*answered), (status, body), "{target}");
        };
        check("/", 200, "Hello, world!");
        check("/?x=/y", 200, "Hello, world!");
        check("/ada", 200, "Hello, ada!");
        check("/health", 200, r#"{"status":"ok"}"#);
        check("/healthy", 200, "Hello, healthy!");
        check("/a/b", 404, "expected /, /{name} or /health");
        check("*", 404, "expected /, /{name} or /health");
    }
}
