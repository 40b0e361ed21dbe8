//! AWS Signature Version 4: the field `Authorization` of a request to an object store.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. Paths and queries hold only
//! characters that need no encoding, or are encoded by the caller.

use std::collections::BTreeMap;

use photofinish_record::hex;
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The holder of the secret, and where it is valid.
pub(super) struct Signer<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
}

/// A request to sign.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Encoded, with its names in order.
    pub(super) query: &'a str,
    /// All header fields to sign, in lower case; `host` and `x-amz-date` are among them.
    pub(super) fields: &'a BTreeMap<&'static str, String>,
    /// SHA-256 of the body, in hex.
    pub(super) body_hash: &'a str,
}

impl Signer<'_> {
    /// The value of `Authorization`, at a time such as `20261128T150000Z`.
    pub(super) fn authorization(&self, request: &Signed<'_>, time: &str) -> String {
        let date = &time[..8];
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let names: Vec<&str> = request.fields.keys().copied().collect();
        let names = names.join(";");
        let fields = request.fields.iter();
        let fields: String = fields
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let Signed {
            method,
            path,
            query,
            body_hash,
            ..
        } = request;
        let canonical = format!("{method}\n{path}\n{query}\n{fields}\n{names}\n{body_hash}");
        let digest = hex(Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
        let signature = hex(hmac(&self.key(date), text.as_bytes()));
        let credential = format!("{}/{scope}", self.access_key);
        format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}")
    }

    fn key(&self, date: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.secret);
        let of_date = hmac(secret.as_bytes(), date.as_bytes());
        let parts = [self.region, "s3", "aws4_request"];
        parts
            .into_iter()
            .fold(of_date, |key, part| hmac(&key, part.as_bytes()))
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8, text: &[u8]| -> [u8; 32] {
        let padded = block.map(|byte| byte ^ pad);
        let hash = Sha256::new().chain_update(padded).chain_update(text);
        hash.finalize().into()
    };
    keyed(0x5c, &keyed(0x36, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test cases 2 and 6 of RFC 4231.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let text = b"what do ya want for nothing?";
        assert_eq!(
            hex(hmac(b"Jefe", text)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            hex(hmac(&[0xaa; 131], text)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// The example of a list request in the documentation of S3.
    #[test]
    fn a_signature_is_that_of_the_documentation() {
        let empty = hex(Sha256::digest([]));
        let fields = BTreeMap::from([
            ("host", "examplebucket.s3.amazonaws.com".to_owned()),
            ("x-amz-content-sha256", empty.clone()),
            ("x-amz-date", "20130524T000000Z".to_owned()),
        ]);
        let signer = Signer {
            access_key: "AKIAIOSFODNN7EXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
        };
        let request = Signed {
            method: "GET",
            path: "/",
            query: "max-keys=2&prefix=J",
            fields: &fields,
            body_hash: &empty,
        };
        let authorization = signer.authorization(&request, "20130524T000000Z");
        let (_, signature) = authorization.rsplit_once('=').expect("a signature");
        assert_eq!(
            signature,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }
}
