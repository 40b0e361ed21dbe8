//! Who connects to what: the part of a connection that is said to the server rather than to the network.
//!
//! The password is wrapped so that no message, record or panic can show it. Addresses are in `target.rs`.

use std::fmt;

/// A password, which only the authentication itself may look at.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The password, for the authentication exchange.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a connection says about itself when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgConfig {
    /// The role to log in as.
    pub user: String,
    /// Its password, if the server shall be given one.
    pub password: Option<Secret>,
    /// The database to use.
    pub database: String,
    /// What `pg_stat_activity` shows for the connection.
    pub application_name: String,
}

impl PgConfig {
    /// A configuration for `user` without a password, in the database of the same name.
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
