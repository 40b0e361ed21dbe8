//! Logins: no password, cleartext, MD5 (salted), or SCRAM-SHA-256 (RFC 5802, RFC 7677).
//!
//! The verifier has the format of PostgreSQL's own `pg_authid` and is computed once at startup: only the client hashes
//! 4,096 times per connection. A wrong user name fails like a wrong password, at the same point.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::password::scram_sha_256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::SqlError;
use super::wire::{Body, MAX_LOGIN_BYTES, Wire, WireError, authentication, malformed};

const MECHANISM: &str = "SCRAM-SHA-256";

/// Methods of authentication.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Auth {
    /// Without a password.
    #[default]
    Trust,
    /// With the password in the clear.
    Cleartext,
    /// With a salted MD5 hash of the password.
    Md5,
    /// With SCRAM, PostgreSQL's default.
    #[serde(rename = "scram-sha-256")]
    Scram,
}

/// Decides who may connect. It has no `Debug`, since a password must never reach a log.
pub(crate) struct Authenticator {
    auth: Auth,
    /// The only accepted user; `None` accepts any.
    user: Option<String>,
    password: String,
    /// Iterations, salt, StoredKey and ServerKey of SCRAM.
    verifier: Vec<String>,
}

/// An unpredictable number, for salts and nonces.
pub(crate) fn random() -> u64 {
    // Each state is keyed with random numbers from the operating system.
    RandomState::new().build_hasher().finish()
}

impl Authenticator {
    pub(crate) fn new(auth: Auth, user: Option<String>, password: String) -> Self {
        // `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`
        let verifier = scram_sha_256(password.as_bytes());
        let verifier = verifier
            .split(['$', ':'])
            .skip(1)
            .map(str::to_owned)
            .collect();
        Authenticator {
            auth,
            user,
            password,
            verifier,
        }
    }

    /// Returns once the client has authenticated as `user`.
    pub(crate) async fn log_in(&self, wire: &mut Wire, user: &str) -> Result<(), WireError> {
        let mut server_proof = None;
        let is_right = match self.auth {
            Auth::Trust => true,
            Auth::Cleartext => {
                authentication(&mut wire.out, 3, &[]);
                Body(&answer(wire).await?).text()? == self.password
            }
            Auth::Md5 => {
                let salt = (random() as u32).to_be_bytes();
                authentication(&mut wire.out, 5, &salt);
                let expected = md5_hash(user.as_bytes(), self.password.as_bytes(), salt);
                Body(&answer(wire).await?).text()? == expected
            }
            Auth::Scram => {
                server_proof = self.scram(wire).await?;
                server_proof.is_some()
            }
        };
        let is_known = self.user.as_deref().is_none_or(|known| known == user);
        if self.auth != Auth::Trust && !(is_known && is_right) {
            let message = format!("password authentication failed for user \"{user}\"");
            return Err(SqlError::fatal("28P01", message).into());
        }
        if let Some(proof) = server_proof {
            authentication(&mut wire.out, 12, proof.as_bytes());
        }
        authentication(&mut wire.out, 0, &[]);
        Ok(())
    }

    /// The exchange up to the client's proof; returns the server's own proof if the client's was right.
    async fn scram(&self, wire: &mut Wire) -> Result<Option<String>, WireError> {
        let invalid = || malformed("malformed SCRAM message");
        let [iterations, salt, stored_key, server_key] = &self.verifier[..] else {
            return Err(invalid().into());
        };
        authentication(&mut wire.out, 10, format!("{MECHANISM}\0\0").as_bytes());
        let first = answer(wire).await?;
        let mut body = Body(&first);
        if body.text()? != MECHANISM {
            return Err(malformed("the client selected an invalid SASL mechanism").into());
        }
        let length = usize::try_from(body.i32()?).unwrap_or(0);
        let first = std::str::from_utf8(body.bytes(length)?).map_err(|_| invalid())?;
        // The header is `n,,` or `y,,`; `p=` would bind to a TLS channel, and there is no TLS here.
        let mut parts = first.splitn(3, ',');
        let (Some("n" | "y"), Some(_), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid().into());
        };
        let header = BASE64.encode(&first[..first.len() - bare.len()]);
        let nonce = bare.split(',').find_map(|part| part.strip_prefix("r="));
        let own_nonce = BASE64.encode([random().to_be_bytes(), random().to_be_bytes()].concat());
        let nonce = format!("{}{own_nonce}", nonce.ok_or_else(invalid)?);
        let server_first = format!("r={nonce},s={salt},i={iterations}");
        authentication(&mut wire.out, 11, server_first.as_bytes());
        let last = answer(wire).await?;
        let last = std::str::from_utf8(&last).map_err(|_| invalid())?;
        let (without_proof, proof) = last.rsplit_once(",p=").ok_or_else(invalid)?;
        if without_proof != format!("c={header},r={nonce}") {
            return Err(invalid().into());
        }
        let [proof, stored_key, server_key] = [proof, stored_key, server_key].map(|key| {
            let mut bytes = BASE64.decode(key).unwrap_or_default();
            bytes.resize(32, 0);
            bytes
        });
        let message = format!("{bare},{server_first},{without_proof}");
        let signature = hmac(&stored_key, message.as_bytes());
        let client_key = proof
            .iter()
            .zip(signature)
            .map(|(proof, signature)| proof ^ signature);
        let is_right = Sha256::digest(client_key.collect::<Vec<_>>())[..] == stored_key[..];
        let server_proof = BASE64.encode(hmac(&server_key, message.as_bytes()));
        Ok(is_right.then(|| format!("v={server_proof}")))
    }
}

/// The client's answer to a request for a proof.
async fn answer(wire: &mut Wire) -> Result<Vec<u8>, WireError> {
    match wire.next(MAX_LOGIN_BYTES).await? {
        Some((b'p', body)) => Ok(wire.input[body].to_vec()),
        Some(_) => Err(malformed("expected a password").into()),
        None => Err(WireError::Io),
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let hash = |pad: u8, message: &[u8]| {
        let padded = block.map(|byte| byte ^ pad);
        Sha256::new()
            .chain_update(padded)
            .chain_update(message)
            .finalize()
    };
    hash(0x5c, &hash(0x36, message)).into()
}
