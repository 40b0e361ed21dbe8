//! Logins: no password, one in the clear, MD5 (salted), or SCRAM-SHA-256 (RFC 5802, RFC 7677).
//!
//! Verifiers are those of PostgreSQL's own `pg_authid`, computed once at the start: 4,096 rounds of hashing per
//! connection are left to the client. A wrong user name fails like a wrong password, at the same point.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::password::scram_sha_256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{SqlError, SqlResult};
use super::wire::{Body, MAX_LOGIN_BYTES, Wire, WireError, authentication, malformed};

const MECHANISM: &str = "SCRAM-SHA-256";

/// Bytes in a block of SHA-256, to which HMAC pads its key.
const BLOCK_BYTES: usize = 64;

/// How clients log in.
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

/// Decides who may connect.
pub(crate) struct Authenticator {
    auth: Auth,
    /// The only user; any user without it.
    user: Option<String>,
    password: String,
    verifier: Verifier,
}

impl std::fmt::Debug for Authenticator {
    /// Without the password, which must reach no log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Authenticator")
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// A number that nobody can foresee, for salts and nonces.
pub(crate) fn random() -> u64 {
    // Each state is keyed by the operating system's random numbers.
    RandomState::new().build_hasher().finish()
}

impl Authenticator {
    pub(crate) fn new(auth: Auth, user: Option<String>, password: String) -> Self {
        let verifier = if auth == Auth::Scram {
            Verifier::of(&password)
        } else {
            Verifier::default()
        };
        Authenticator {
            auth,
            user,
            password,
            verifier,
        }
    }

    /// Returns once the client has proved to be `user`.
    pub(crate) async fn log_in(&self, wire: &mut Wire, user: &str) -> Result<(), WireError> {
        let mut last = None;
        let is_proved = match self.auth {
            Auth::Trust => true,
            Auth::Cleartext => {
                authentication(&mut wire.out, 3, &[]);
                password(wire).await? == self.password
            }
            Auth::Md5 => {
                let [a, b, c, d, ..] = random().to_be_bytes();
                authentication(&mut wire.out, 5, &[a, b, c, d]);
                password(wire).await?
                    == md5_hash(user.as_bytes(), self.password.as_bytes(), [a, b, c, d])
            }
            Auth::Scram => {
                last = self.scram(wire).await?;
                last.is_some()
            }
        };
        let is_known = self.user.as_ref().is_none_or(|known| known == user);
        if self.auth != Auth::Trust && !(is_known && is_proved) {
            let message = format!("password authentication failed for user \"{user}\"");
            return Err(SqlError::fatal("28P01", message).into());
        }
        if let Some(last) = last {
            authentication(&mut wire.out, 12, last.as_bytes());
        }
        authentication(&mut wire.out, 0, &[]);
        Ok(())
    }

    /// The exchange up to the client's proof; returns the server's own proof if the client's was right.
    async fn scram(&self, wire: &mut Wire) -> Result<Option<String>, WireError> {
        authentication(&mut wire.out, 10, format!("{MECHANISM}\0\0").as_bytes());
        let first = answer(wire).await?;
        let mut body = Body(&first);
        if body.text()? != MECHANISM {
            return Err(malformed("the client selected an invalid SASL mechanism").into());
        }
        let length = body.i32()?;
        let client_first = body.bytes(usize::try_from(length).unwrap_or(0))?;
        let nonce = BASE64.encode([random().to_be_bytes(), random().to_be_bytes()].concat());
        let exchange = Exchange::begin(client_first, &nonce, &self.verifier)?;
        authentication(&mut wire.out, 11, exchange.server_first.as_bytes());
        let client_final = answer(wire).await?;
        Ok(exchange.end(&client_final, &self.verifier)?)
    }
}

/// What the client sends when it is asked for a proof.
async fn answer(wire: &mut Wire) -> Result<Vec<u8>, WireError> {
    match wire.next(MAX_LOGIN_BYTES).await? {
        Some((b'p', body)) => Ok(wire.input[body].to_vec()),
        Some(_) => Err(malformed("expected a password").into()),
        None => Err(WireError::Io),
    }
}

async fn password(wire: &mut Wire) -> Result<String, WireError> {
    let answer = answer(wire).await?;
    Ok(Body(&answer).text()?.to_owned())
}

/// A server's knowledge of a password under SCRAM.
#[derive(Default)]
struct Verifier {
    iterations: u32,
    salt: String,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    fn of(password: &str) -> Self {
        let text = scram_sha_256(password.as_bytes());
        let parse = || {
            let mut parts = text.split('$').skip(1);
            let (iterations, salt) = parts.next()?.split_once(':')?;
            let (stored_key, server_key) = parts.next()?.split_once(':')?;
            Some(Verifier {
                iterations: iterations.parse().ok()?,
                salt: salt.to_owned(),
                stored_key: BASE64.decode(stored_key).ok()?,
                server_key: BASE64.decode(server_key).ok()?,
            })
        };
        parse().unwrap_or_else(|| panic!("a new verifier has another form than PostgreSQL's"))
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; BLOCK_BYTES];
    // Keys here are digests, which fit into a block.
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// A SCRAM exchange, without its transport.
struct Exchange {
    header: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

impl Exchange {
    fn begin(client_first: &[u8], server_nonce: &str, verifier: &Verifier) -> SqlResult<Self> {
        let invalid = || malformed("malformed SCRAM message");
        let text = std::str::from_utf8(client_first).map_err(|_| invalid())?;
        // The header is `n,,` or `y,,`; `p=` would bind to a TLS channel, which there is none of.
        let mut parts = text.splitn(3, ',');
        let (Some(binding @ ("n" | "y")), Some(identity), Some(bare)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let client_nonce = bare
            .split(',')
            .find_map(|part| part.strip_prefix("r="))
            .ok_or_else(invalid)?;
        let nonce = format!("{client_nonce}{server_nonce}");
        Ok(Exchange {
            header: format!("{binding},{identity},"),
            client_first_bare: bare.to_owned(),
            server_first: format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations),
            nonce,
        })
    }

    /// The server's final message, if the client has proved that it knows the password.
    fn end(&self, client_final: &[u8], verifier: &Verifier) -> SqlResult<Option<String>> {
        let invalid = || malformed("malformed SCRAM message");
        let text = std::str::from_utf8(client_final).map_err(|_| invalid())?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(invalid)?;
        let proof = BASE64.decode(proof).map_err(|_| invalid())?;
        let expected = format!("c={},r={}", BASE64.encode(&self.header), self.nonce);
        if without_proof != expected || proof.len() != 32 {
            return Err(invalid());
        }
        let message = format!(
            "{},{},{without_proof}",
            self.client_first_bare, self.server_first
        );
        let signature = hmac(&verifier.stored_key, message.as_bytes());
        let client_key: Vec<u8> = proof
            .iter()
            .zip(signature)
            .map(|(proof, signature)| proof ^ signature)
            .collect();
        if Sha256::digest(&client_key).as_slice() != verifier.stored_key {
            return Ok(None);
        }
        Ok(Some(format!(
            "v={}",
            BASE64.encode(hmac(&verifier.server_key, message.as_bytes()))
        )))
    }
}
