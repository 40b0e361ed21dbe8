//! `http-json`: a user and some posts, requested concurrently and decoded.
//!
//! The documents are decoded into types, as in a service, and compared with those served before the clock started: the
//! user's name and e-mail address, the posts' titles and authors.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::expectation::Expectation;
use super::fan_out::{FanOut, references};
use super::http_connection::{Endpoint, TARGET};
use super::params::{params, require_path, require_paths};
use super::request_count::wrong_requests;
use super::tallies::ensure;

#[derive(Debug)]
pub struct HttpJson {
    /// The user's path, then those of the posts.
    paths: Vec<String>,
    expectation: Expectation,
}

params! {
    fetches;
    /// Path of the user.
    user: String = "/users/1".to_owned(),
    /// Paths of the posts, all by that user.
    posts: Vec<String> = (1..=5).map(|number| format!("/posts/{number}")).collect(),
}

/// An author of posts.
#[derive(Debug, PartialEq, Deserialize)]
pub struct User {
    id: u64,
    name: String,
    email: String,
}

/// A post of a user.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Post {
    user_id: u64,
    title: String,
}

/// A decoded document.
#[derive(Debug, PartialEq)]
pub enum Document {
    /// The first one.
    User(User),
    /// All others.
    Post(Post),
}

impl Workload for HttpJson {
    const ABOUT: About = About {
        name: "http-json",
        class: "http",
        operation: "a user and posts, fetched concurrently and decoded from JSON",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<Document>;
    type Session<R: Runtime> = FanOut<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("user", &params.user)?;
        require_paths("posts", &params.posts)?;
        let expectation = params.expectation();
        let mut paths = vec![params.user];
        paths.extend(params.posts);
        Ok(Self { paths, expectation })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<Document>, Failure> {
        Endpoint::of(env)?.require_server_only("`user` and `posts`")?;
        let references = references(env, &self.paths, &self.expectation).await?;
        let decoded = references.iter().enumerate();
        let served = decoded.map(|(place, reference)| decode(place, reference.body()));
        let served = served.collect::<Result<Vec<_>, _>>().map_err(|failure| {
            failure.hint(
                "`http-json` reads a user and posts; measure any other document with `http-get`",
            )
        })?;
        check_authors(&served)?;
        Ok(served)
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<Document>>,
        _: u32,
    ) -> Result<FanOut<R>, Failure> {
        FanOut::open(env, &self.paths).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<Document>>,
        session: &mut FanOut<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let served = &env.shared;
        let check = |place: usize, answer: &Answer| {
            let request = || format!("GET {}", self.paths[place]);
            self.expectation.check_status(request, answer.status())?;
            let answered = decode(place, answer.body())?;
            if self.expectation.compares_content() {
                check(&served[place], place, &answered)?;
            }
            Ok(())
        };
        session.exchange_checked(env, check).await
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, self.paths.len() as u64)
    }
}

/// The document number `place`: the user first, then the posts.
fn decode(place: usize, body: &[u8]) -> Result<Document, Failure> {
    match place {
        0 => decoded(body).map(Document::User),
        _ => decoded(body).map(Document::Post),
    }
}

fn decoded<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::wrong_content(format!("the document cannot be decoded: {error}")))
}

/// Checks that the posts are by the user.
fn check_authors(documents: &[Document]) -> Result<(), Failure> {
    let [Document::User(user), posts @ ..] = documents else {
        return Err(Failure::wrong_content("the first document is not a user"));
    };
    for document in posts {
        if let Document::Post(post) = document {
            ensure(post.user_id == user.id, || {
                format!(
                    "expected posts of the requested user, got `{}` of user {}",
                    post.title, post.user_id
                )
            })?;
        }
    }
    Ok(())
}

/// Checks that a document is the one that was served before.
fn check(served: &Document, place: usize, answered: &Document) -> Result<(), Failure> {
    ensure(answered == served, || {
        format!("expected {served:?} as document {place}, got {answered:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &[u8] = br#"{"id": 1, "name": "Ada", "email": "ada@example.org", "phone": "1"}"#;
    const POST: &[u8] = br#"{"userId": 1, "id": 7, "title": "Engines", "body": "..."}"#;

    #[test]
    fn a_different_title_is_caught() {
        let served = decode(1, POST).expect("a post");
        assert_eq!(check(&served, 1, &decode(1, POST).expect("a post")), Ok(()));
        let other = decode(1, br#"{"userId": 1, "title": "Looms"}"#).expect("a post");
        let wrong = check(&served, 1, &other).unwrap_err();
        assert_eq!(wrong.kind, Failure::WRONG_CONTENT);
        assert!(wrong.detail.contains("Looms"), "{}", wrong.detail);
        for body in [USER, b"{"] {
            assert_eq!(decode(1, body).unwrap_err().kind, Failure::WRONG_CONTENT);
        }
    }

    #[test]
    fn a_post_by_another_user_is_caught() {
        let documents = |post| {
            vec![
                decode(0, USER).expect("a user"),
                decode(1, post).expect("a post"),
            ]
        };
        assert_eq!(check_authors(&documents(POST)), Ok(()));
        let foreign = check_authors(&documents(br#"{"userId": 2, "title": "Looms"}"#));
        let foreign = foreign.unwrap_err().into_detail();
        assert_eq!(
            foreign,
            "expected posts of the requested user, got `Looms` of user 2"
        );
    }
}
