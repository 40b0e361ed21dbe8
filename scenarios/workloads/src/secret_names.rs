//! Names of secrets: keys of assignments, options, headers and environment variables.

use url::form_urlencoded;

/// Suffixes of keys whose values are secrets, without separators: `PGPASSWORD`, `access_token`, `X-Amz-Signature`.
const SECRET: [&str; 15] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "authorization",
    "signature",
    "sessionid",
    "sessid",
];

/// Last words of keys whose values are secrets in `KEY=VALUE` and `--KEY VALUE`, but not in the JSON of a plan, where
/// `auth` names a method.
const SHORT: [&str; 10] = [
    "key", "auth", "sig", "pass", "pat", "jwt", "otp", "code", "session", "sid",
];

pub fn is_of_key(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.%[]".contains(letter)
}

/// A key, decoded and in lower case.
pub struct Key(String);

impl Key {
    pub fn of(key: &str) -> Self {
        let decoded = form_urlencoded::parse(key.as_bytes()).next();
        let decoded = decoded.map_or_else(String::new, |(key, _)| key.to_lowercase());
        // In an encoded URL, a whole query may stand before the key.
        let last = decoded.rsplit(|letter| !is_of_key(letter)).next();
        Self(last.unwrap_or_default().to_owned())
    }

    pub fn is_secret(&self) -> bool {
        let joined = self.0.replace(|letter: char| !letter.is_alphanumeric(), "");
        SECRET.iter().any(|end| joined.ends_with(end))
    }

    pub fn is_short(&self) -> bool {
        let last = self.0.trim_end_matches(']').rsplit(['-', '_', '[']).next();
        last.is_some_and(|last| SHORT.contains(&last))
    }

    pub fn is_header(&self) -> bool {
        let is_own = self.0.starts_with("x-") && (self.is_secret() || self.is_short());
        is_own || self.0.ends_with("authorization")
    }

    /// True for an environment variable that holds a secret. `session` and `code` mean other things there.
    pub fn is_password(&self) -> bool {
        self.is_short()
            && !["session", "code", "sid"]
                .iter()
                .any(|end| self.0.ends_with(end))
    }

    /// True for a header whose whole line is secret.
    pub fn is_cookie(&self) -> bool {
        ["cookie", "set-cookie"].contains(&self.0.as_str())
    }

    /// True for a number that is often public: `exit_code=3`, `code=404`.
    pub fn is_code(&self) -> bool {
        self.0.ends_with("code")
    }
}
