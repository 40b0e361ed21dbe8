//! Who may connect: no password, one in the clear, MD5 (salted), or SCRAM-SHA-256 (RFC 5802, RFC 7677).
//!
//! The verifiers are those of PostgreSQL's own `pg_authid`, made once when the server starts: 4,096 rounds of hashing
//! per connection are the client's to pay. A wrong user name fails like a wrong password, at the same point.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::password::scram_sha_256;
use sha2::{Digest, Sha256};

use super::error::{SqlError, SqlResult};
use super::wire::{Wire, WireError};

const MECHANISM: &str = "SCRAM-SHA-256";

/// Bytes of a block of SHA-256, which HMAC pads its key to.
const BLOCK_BYTES: usize = 64;

/// How a client proves who it is.
#[derive(Debug)]
pub(crate) enum Authenticator {
    Trust,
    Cleartext(Login),
    Md5(Login),
    Scram(Login, Verifier),
}

/// The one user, or any user if there is no name, and the password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    /// Without the password, which must reach no log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What a server keeps of a password under SCRAM.
pub(crate) struct Verifier {
    iterations: u32,
    salt: String,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl std::fmt::Debug for Verifier {
    /// Without the keys, from which the password could be guessed.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    pub(crate) fn of(password: &str) -> Self {
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
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
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

fn failed(user: &str) -> SqlError {
    SqlError::fatal(
        "28P01",
        format!("password authentication failed for user \"{user}\""),
    )
}

fn malformed() -> SqlError {
    SqlError::fatal("08P01", "malformed SCRAM message")
}

/// Why a client is not let in.
pub(crate) enum Refusal {
    /// It is told.
    Told(SqlError),
    /// It is gone.
    Gone,
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Refusal::Told(error)
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Protocol(error) => Refusal::Told(error),
            WireError::Io => Refusal::Gone,
        }
    }
}

impl Authenticator {
    /// Asks the client for what it takes; returns once it has proved to be `user`.
    pub(crate) async fn admit(
        &self,
        wire: &mut Wire,
        user: &str,
        random: impl Fn() -> u64,
    ) -> Result<(), Refusal> {
        let admitted = |login: &Login, proved: bool| {
            let known = login.user.as_ref().is_none_or(|known| known == user);
            if known && proved {
                Ok(())
            } else {
                Err(failed(user))
            }
        };
        match self {
            Authenticator::Trust => (),
            Authenticator::Cleartext(login) => {
                wire.send(&Authentication::CleartextPassword)?;
                let given = password(wire).await?;
                admitted(login, given == login.password)?;
            }
            Authenticator::Md5(login) => {
                let salt: [u8; 4] = [0, 1, 2, 3].map(|at| random().to_be_bytes()[at]);
                wire.send(&Authentication::MD5Password(salt.to_vec()))?;
                let expected = md5_hash(user.as_bytes(), login.password.as_bytes(), salt);
                let given = password(wire).await?;
                admitted(login, given == expected)?;
            }
            Authenticator::Scram(login, verifier) => {
                let proved = scram(wire, verifier, &random).await?;
                admitted(login, proved.is_some())?;
                if let Some(last) = proved {
                    wire.send(&Authentication::SASLFinal(last))?;
                }
            }
        }
        wire.send(&Authentication::Ok)?;
        Ok(())
    }
}

async fn answer(wire: &mut Wire) -> Result<PasswordMessageFamily, Refusal> {
    match wire.next().await? {
        Some(PgWireFrontendMessage::PasswordMessageFamily(answer)) => Ok(answer),
        Some(_) => Err(SqlError::fatal("08P01", "expected a password").into()),
        None => Err(Refusal::Gone),
    }
}

async fn password(wire: &mut Wire) -> Result<String, Refusal> {
    let answer = answer(wire).await?.into_password();
    Ok(answer
        .map_err(|_| SqlError::fatal("08P01", "malformed password message"))?
        .password)
}

/// The exchange up to the client's proof; gives the server's own proof if the client's was right.
async fn scram(
    wire: &mut Wire,
    verifier: &Verifier,
    random: &impl Fn() -> u64,
) -> Result<Option<Bytes>, Refusal> {
    wire.send(&Authentication::SASL(vec![MECHANISM.into()]))?;
    let first = answer(wire)
        .await?
        .into_sasl_initial_response()
        .map_err(|_| malformed())?;
    if first.auth_method != MECHANISM {
        return Err(
            SqlError::fatal("08P01", "the client selected an invalid SASL mechanism").into(),
        );
    }
    let first = first.data.ok_or_else(malformed)?;
    let nonce = BASE64.encode([random().to_be_bytes(), random().to_be_bytes()].concat());
    let exchange = Exchange::begin(&first, &nonce, verifier)?;
    wire.send(&Authentication::SASLContinue(
        exchange.server_first.clone().into(),
    ))?;
    let last = answer(wire)
        .await?
        .into_sasl_response()
        .map_err(|_| malformed())?;
    Ok(exchange.end(&last.data, verifier)?)
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
        let text = std::str::from_utf8(client_first).map_err(|_| malformed())?;
        // The header is `n,,` or `y,,`; `p=` would bind to a TLS channel, which there is none of.
        let mut parts = text.splitn(3, ',');
        let (binding, identity, bare) = (parts.next(), parts.next(), parts.next());
        let (Some(binding @ ("n" | "y")), Some(identity), Some(bare)) = (binding, identity, bare)
        else {
            return Err(malformed());
        };
        let client_nonce = bare
            .split(',')
            .find_map(|part| part.strip_prefix("r="))
            .ok_or_else(malformed)?;
        let nonce = format!("{client_nonce}{server_nonce}");
        Ok(Exchange {
            header: format!("{binding},{identity},"),
            client_first_bare: bare.to_owned(),
            server_first: format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations),
            nonce,
        })
    }

    /// The server's final message, if the client has proved that it knows the password.
    fn end(&self, client_final: &[u8], verifier: &Verifier) -> SqlResult<Option<Bytes>> {
        let text = std::str::from_utf8(client_final).map_err(|_| malformed())?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(malformed)?;
        let proof = BASE64.decode(proof).map_err(|_| malformed())?;
        let expected = format!("c={},r={}", BASE64.encode(&self.header), self.nonce);
        if without_proof != expected || proof.len() != 32 {
            return Err(malformed());
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
        let server_signature = BASE64.encode(hmac(&verifier.server_key, message.as_bytes()));
        Ok(Some(format!("v={server_signature}").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    #[test]
    fn hmac_gives_the_value_of_rfc_4231() {
        // Test case 2.
        let digest = hmac(b"Jefe", b"what do ya want for nothing?");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    /// Goal: both sides accept each other exactly when the passwords are the same. The other side is a client library.
    fn check_scram(servers: &str, clients: &str, expected: bool) {
        let verifier = Verifier::of(servers);
        let mut client = ScramSha256::new(clients.as_bytes(), ChannelBinding::unrequested());
        let exchange =
            Exchange::begin(client.message(), "bm9uY2U=", &verifier).expect("well-formed");
        client
            .update(exchange.server_first.as_bytes())
            .expect("the client goes on");
        let last = exchange
            .end(client.message(), &verifier)
            .expect("well-formed");
        assert_eq!(
            last.is_some(),
            expected,
            "server has {servers}, client has {clients}"
        );
        if let Some(last) = last {
            client
                .finish(&last)
                .expect("the client believes the server");
        }
    }

    #[test]
    fn scram_tells_the_right_password_from_a_wrong_one() {
        check_scram("secret", "secret", true);
        check_scram("secret", "Secret", false);
        check_scram("pässwörd", "pässwörd", true);
    }
}
