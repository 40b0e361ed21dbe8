//! Login parameters. The password is wrapped so that no message, record or panic can show it.

use std::fmt;

/// A password, readable only by the authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The login parameters of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgConfig {
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    /// Name of the connection in `pg_stat_activity`.
    pub application_name: String,
}

impl PgConfig {
    /// Parameters for `user` without a password, in the database of the same name.
    pub fn new(user: impl Into<String>) -> Self {
        let user = user.into();
        PgConfig {
            database: user.clone(),
            user,
            password: None,
            application_name: "photofinish".to_owned(),
        }
    }
}
