//! A bucket of S3, or of a store that speaks its protocol, as the place to meet.
//!
//! Exclusive creation is `If-None-Match: *`. What may pass by itself (5xx, a lost connection) is tried again, within limits.
//! Credentials come from the variables that AWS's own programs read; no message has anything of them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use photofinish_harness::meeting::Store;
use photofinish_record::{UtcTime, hex, percent_encoded};
use photofinish_workloads::protocol::http::Method;
use sha2::{Digest, Sha256};
use url::Url;

use super::request::{Client, DATE, LAST_MODIFIED, REGION, Request, Response};
use super::signature::{Signed, Signer};
use crate::cleaning;
use crate::exit::{Failure, OrFail};

/// Maximum number of attempts at one request.
const ATTEMPTS: u32 = 5;

/// Time after which no other attempt begins.
const PATIENCE: Duration = Duration::from_secs(15);

/// Pause before the second attempt; each other one is twice as long.
const BACKOFF: Duration = Duration::from_millis(100);

/// Longest wait for the end of a request: the last attempt, with a deadline of its own, begins within [`PATIENCE`].
pub const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// `s3://NAME/PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    /// Empty, or ending with a slash.
    prefix: String,
}

impl FromStr for Bucket {
    type Err = String;

    /// Only with characters that are the same in a URL, so that nothing has to be encoded.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
        let prefix = prefix.trim_end_matches('/');
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let is_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let is_part = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_prefix)
        };
        let is_bucket = (1..=63).contains(&name.len()) && name.bytes().all(is_name);
        if !is_bucket || !(prefix.is_empty() || prefix.split('/').all(is_part)) {
            let letters = "in letters, digits and -_.~ (a bucket in lower case)";
            return Err(format!("expected s3://BUCKET/PREFIX, {letters}"));
        }
        let prefix = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let name = name.to_owned();
        Ok(Self { name, prefix })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("s3://{}/{}", self.name, self.prefix);
        formatter.write_str(place.trim_end_matches('/'))
    }
}

/// Credentials, and where they are valid.
pub struct Account {
    access_key: String,
    secret: String,
    token: Option<String>,
    region: String,
    endpoint: Url,
    /// True if the bucket is in the host's name, otherwise in the path.
    bucket_in_host: bool,
    /// Certificates of the authorities, in PEM, if they are not those of the system.
    ca: Option<String>,
}

/// Endpoints of a store that is not AWS, the first one that is set.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

impl Account {
    /// As AWS's own programs read it from the environment.
    pub fn from_environment(
        bucket: &Bucket,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &str| {
            variable(name).ok_or_else(|| {
                Failure::usage(format!("the store {bucket} needs credentials, and {name} is not set")).hint(
                    "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_SESSION_TOKEN if there is one",
                )
            })
        };
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !region.bytes().all(is_plain) {
            return Err(Failure::usage("AWS_REGION is not a region").hint("such as eu-central-1"));
        }
        let given = ENDPOINTS
            .iter()
            .find_map(|name| Some((*name, variable(name)?)));
        // A certificate for all buckets does not cover names with dots.
        let bucket_in_host = given.is_none() && !bucket.name.contains('.');
        let endpoint = match given {
            Some((name, url)) => endpoint(name, &url)?,
            None => {
                let host = format!("s3.{region}.amazonaws.com");
                let url = if bucket_in_host {
                    format!("https://{}.{host}/", bucket.name)
                } else {
                    format!("https://{host}/")
                };
                Url::parse(&url).or_fail("no endpoint of the store")?
            }
        };
        let ca = variable("AWS_CA_BUNDLE").map(|file| {
            fs::read_to_string(file).or_fail("cannot read the file that AWS_CA_BUNDLE names")
        });
        Ok(Self {
            access_key: needed("AWS_ACCESS_KEY_ID")?,
            secret: needed("AWS_SECRET_ACCESS_KEY")?,
            token: variable("AWS_SESSION_TOKEN"),
            region,
            endpoint,
            bucket_in_host,
            ca: ca.transpose()?,
        })
    }
}

/// The endpoint that the variable `name` holds; the error does not repeat it.
fn endpoint(name: &str, url: &str) -> Result<Url, Failure> {
    let is_endpoint = |url: &Url| {
        let is_plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain
    };
    let url = Url::parse(url).ok().filter(is_endpoint);
    url.ok_or_else(|| {
        let message = format!("{name} is not an endpoint: expected http[s]://HOST[:PORT]");
        Failure::usage(message).hint("leave it out for S3 of AWS")
    })
}

/// A bucket and the way to it.
pub struct S3 {
    bucket: Bucket,
    account: Account,
    client: Client,
}

impl fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("S3");
        debug.field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// The response to a request that may have been sent several times.
struct Answer {
    response: Response,
    repeated: bool,
}

impl S3 {
    pub fn new(bucket: Bucket, mut account: Account) -> Result<Self, Failure> {
        let client = Client::new(account.endpoint.clone(), account.ca.take())?;
        Ok(Self {
            bucket,
            account,
            client,
        })
    }

    fn path(&self, key: &str) -> String {
        if self.account.bucket_in_host {
            format!("/{key}")
        } else {
            format!("/{}/{key}", self.bucket.name)
        }
    }

    fn object(&self, name: &str) -> String {
        self.path(&format!("{}{name}", self.bucket.prefix))
    }

    /// Sends a request until there is an answer to it that another attempt would not change.
    fn call(&self, request: &Call<'_>) -> io::Result<Answer> {
        let begin = Instant::now();
        let mut attempt = 1;
        loop {
            let sent = self.client.exchange(&self.signed(request));
            let may_pass = match &sent {
                Ok(response) => matches!(response.status, 409 | 429 | 500 | 502 | 503 | 504),
                Err(_) => true,
            };
            if !may_pass || attempt == ATTEMPTS || begin.elapsed() >= PATIENCE {
                let response = sent.map_err(|failure| io::Error::other(failure.in_one_line()))?;
                let repeated = attempt > 1;
                return Ok(Answer { response, repeated });
            }
            thread::sleep(BACKOFF * 2_u32.pow(attempt - 1));
            attempt += 1;
        }
    }

    /// With the time of now, which the signature covers.
    fn signed<'a>(&self, call: &Call<'a>) -> Request<'a> {
        let time = UtcTime::now().compact();
        let body_hash = hex(Sha256::digest(call.body));
        let mut fields = BTreeMap::from([
            ("host", self.client.host().to_owned()),
            ("x-amz-content-sha256", body_hash.clone()),
            ("x-amz-date", time.clone()),
        ]);
        if let Some(token) = &self.account.token {
            fields.insert("x-amz-security-token", token.clone());
        }
        if call.method == Method::Put {
            fields.insert("if-none-match", "*".to_owned());
        }
        let signer = Signer {
            access_key: &self.account.access_key,
            secret: &self.account.secret,
            region: &self.account.region,
        };
        let signed = Signed {
            method: call.method.as_str(),
            path: &call.path,
            query: &call.query,
            fields: &fields,
            body_hash: &body_hash,
        };
        let authorization = signer.authorization(&signed, &time);
        fields.insert("authorization", authorization);
        fields.remove("host");
        let target = match call.query.as_str() {
            "" => call.path.clone(),
            query => format!("{}?{query}", call.path),
        };
        Request {
            method: call.method,
            target,
            fields: Vec::from_iter(fields),
            body: call.body,
        }
    }

    fn get(&self, name: &str) -> io::Result<Option<Response>> {
        let Answer { response, .. } = self.call(&Call::get(self.object(name)))?;
        match response.status {
            200 => Ok(Some(response)),
            404 if code(&response) != Some("NoSuchBucket") => Ok(None),
            _ => Err(self.refusal(&response)),
        }
    }

    /// The error of a response that is no success.
    fn refusal(&self, response: &Response) -> io::Error {
        let Response { status, .. } = response;
        let code = cleaning::cut(&cleaning::one_line(code(response).unwrap_or("no code")), 80);
        let bucket = &self.bucket.name;
        io::Error::other(match (code.as_str(), status) {
            ("NoSuchBucket", _) => format!("there is no bucket `{bucket}`"),
            ("RequestTimeTooSkewed", _) => {
                format!("this machine's clock is wrong{}", skew(response))
            }
            ("AccessDenied" | "AllAccessDisabled", _) => format!("access to `{bucket}` is denied"),
            (
                "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "ExpiredToken" | "InvalidToken",
                _,
            ) => format!("the credentials are not accepted ({code})"),
            ("NotImplemented", _) | (_, 501) => {
                "it cannot create a file exclusively (If-None-Match)".to_owned()
            }
            ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _)
            | (_, 301) => {
                let region = response.field(REGION).map(cleaning::one_line);
                let region = region
                    .map(|region| format!(", {region}"))
                    .unwrap_or_default();
                format!("`{bucket}` is in another region{region} (AWS_REGION)")
            }
            _ => format!("it responded with {status} ({code})"),
        })
    }
}

/// A request before it is signed.
struct Call<'a> {
    method: Method,
    path: String,
    query: String,
    body: &'a [u8],
}

impl Call<'static> {
    fn get(path: String) -> Self {
        Self {
            method: Method::Get,
            path,
            query: String::new(),
            body: &[],
        }
    }
}

impl Store for S3 {
    fn place(&self) -> String {
        self.bucket.to_string()
    }

    fn create(&self, name: &str, content: &[u8]) -> io::Result<bool> {
        let Answer { response, repeated } = self.call(&Call {
            method: Method::Put,
            path: self.object(name),
            query: String::new(),
            body: content,
        })?;
        match response.status {
            200 | 201 | 204 => Ok(true),
            // An attempt whose response was lost may have created it.
            412 if repeated => Ok(self.find(name)?.is_some_and(|found| found == content)),
            412 => Ok(false),
            _ => Err(self.refusal(&response)),
        }
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let prefix = match folder {
            "" => self.bucket.prefix.clone(),
            folder => format!("{}{folder}/", self.bucket.prefix),
        };
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let answer = self.call(&Call {
                query: list_query(&prefix, after.as_deref()),
                ..Call::get(self.path(""))
            })?;
            if answer.response.status != 200 {
                return Err(self.refusal(&answer.response));
            }
            let page = String::from_utf8_lossy(&answer.response.body);
            let keys = elements(&page, "Key").filter_map(|key| key.strip_prefix(&prefix));
            names.extend(keys.map(str::to_owned));
            after = elements(&page, "NextContinuationToken")
                .next()
                .map(str::to_owned);
            if after.is_none() {
                return Ok(names);
            }
        }
    }

    fn find(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(name)?.map(|response| response.body))
    }

    fn stamp(&self, name: &str) -> io::Result<(SystemTime, Duration)> {
        let response = self.get(name)?;
        let modified = response
            .as_ref()
            .and_then(|response| time(response, LAST_MODIFIED));
        let modified = modified.ok_or_else(|| io::Error::other(format!("{name} has no time")))?;
        Ok((modified.into(), Duration::from_secs(1)))
    }

    fn longest_look(&self) -> Duration {
        Duration::from_millis(250)
    }
}

/// The query that lists a folder, from where another page ended; its names are in order.
fn list_query(prefix: &str, after: Option<&str>) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "-_.~".contains(character);
    let encoded = |text: &str| percent_encoded(text, is_plain);
    let after = after.map(|after| format!("continuation-token={}&", encoded(after)));
    let after = after.unwrap_or_default();
    format!(
        "{after}delimiter=%2F&list-type=2&prefix={}",
        encoded(prefix)
    )
}

/// The texts of the elements of this name in XML.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, after) = after.split_once(&close)?;
        rest = after;
        Some(text)
    })
}

/// The code of an error.
fn code(response: &Response) -> Option<&str> {
    let text = str::from_utf8(&response.body).ok()?;
    elements(text, "Code").next()
}

fn time(response: &Response, field: &str) -> Option<UtcTime> {
    UtcTime::parse_header(response.field(field)?).ok()
}

/// How far this machine's clock is from the store's.
fn skew(response: &Response) -> String {
    let Some(there) = time(response, DATE) else {
        return String::new();
    };
    let seconds = (UtcTime::now().unix_s() - there.unix_s()).floor();
    let direction = if seconds < 0.0 { "behind" } else { "ahead of" };
    format!(": {} s {direction} the store's", seconds.abs())
}
