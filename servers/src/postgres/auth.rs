//! Logins: no password, cleartext, MD5 (salted), or SCRAM-SHA-256 (RFC 5802, RFC 7677).
//!
//! The verifier has the format of PostgreSQL's own `pg_authid` and is computed once at startup: only the client hashes
//! 4,096 times per connection. A wrong user name fails like a wrong password, at the same point.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, Bytes};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::password::scram_sha_256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{SqlError, SqlResult, malformed};
use super::wire::{MAX_LOGIN_BYTES, Wire, authentication, bytes, text};

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
    /// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`
    verifier: String,
}

/// An unpredictable number, for salts and nonces.
pub(crate) fn random() -> u64 {
    // Each state is keyed with random numbers from the operating system.
    RandomState::new().build_hasher().finish()
}

impl Authenticator {
    pub(crate) fn new(auth: Auth, user: Option<String>, password: String) -> Self {
        Authenticator {
            auth,
            user,
            verifier: scram_sha_256(password.as_bytes()),
            password,
        }
    }

    /// Returns once the client has authenticated as `user`.
    pub(crate) async fn log_in(&self, wire: &mut Wire, user: &str) -> SqlResult<()> {
        let is_known = self.user.as_deref().is_none_or(|known| known == user);
        let is_right = match self.auth {
            Auth::Trust => true,
            Auth::Cleartext => {
                authentication(&mut wire.out, 3, &[]);
                text(&mut &answer(wire).await?[..])? == self.password
            }
            Auth::Md5 => {
                let salt = (random() as u32).to_be_bytes();
                authentication(&mut wire.out, 5, &salt);
                let expected = md5_hash(user.as_bytes(), self.password.as_bytes(), salt);
                text(&mut &answer(wire).await?[..])? == expected
            }
            Auth::Scram => self.scram(wire, is_known).await?,
        };
        if self.auth != Auth::Trust && !(is_known && is_right) {
            let message = format!("password authentication failed for user \"{user}\"");
            return Err(SqlError::fatal("28P01", message));
        }
        authentication(&mut wire.out, 0, &[]);
        Ok(())
    }

    /// The exchange of proofs: true if the client's is right; the server's own is sent only to a known user.
    async fn scram(&self, wire: &mut Wire, is_known: bool) -> SqlResult<bool> {
        let invalid = || malformed("malformed SCRAM message");
        let verifier: Vec<&str> = self.verifier.split(['$', ':']).collect();
        let [_, iterations, salt, stored_key, server_key] = verifier[..] else {
            return Err(invalid());
        };
        authentication(&mut wire.out, 10, b"SCRAM-SHA-256\0\0");
        let first = answer(wire).await?;
        let mut body = &first[..];
        if text(&mut body)? != "SCRAM-SHA-256" {
            return Err(malformed("the client selected an invalid SASL mechanism"));
        }
        let length = body.try_get_u32()? as usize;
        let first = bytes(&mut body, length)?;
        let first = std::str::from_utf8(first).map_err(|_| invalid())?;
        // The header is `n,,` or `y,,`; `p=` would bind to a TLS channel, and there is no TLS here.
        let mut parts = first.splitn(3, ',');
        let (Some("n" | "y"), Some(_), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
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
            return Err(invalid());
        }
        let [proof, stored_key, server_key] = [proof, stored_key, server_key].map(|key| {
            let mut bytes = BASE64.decode(key).unwrap_or_default();
            bytes.resize(32, 0);
            bytes
        });
        let message = format!("{bare},{server_first},{without_proof}");
        let mut client_key = hmac(&stored_key, message.as_bytes());
        let pairs = client_key.iter_mut().zip(proof);
        pairs.for_each(|(byte, proof)| *byte ^= proof);
        let is_right = Sha256::digest(client_key)[..] == stored_key[..];
        if is_right && is_known {
            let proof = BASE64.encode(hmac(&server_key, message.as_bytes()));
            authentication(&mut wire.out, 12, format!("v={proof}").as_bytes());
        }
        Ok(is_right)
    }
}

/// The client's answer to a request for a proof.
async fn answer(wire: &mut Wire) -> SqlResult<Bytes> {
    match wire.next(MAX_LOGIN_BYTES).await? {
        (b'p', body) => Ok(body),
        _ => Err(malformed("expected a password")),
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let hash = |pad: u8, message: &[u8]| {
        let padded = block.map(|byte| byte ^ pad);
        Sha256::digest([&padded, message].concat())
    };
    hash(0x5c, &hash(0x36, message)).into()
}
