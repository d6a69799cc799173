//! An issuer of JWTs, with keys made for this run.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use rcgen::PublicKeyData as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

/// Its name in tokens, and theirs for this server.
pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "mcp-pg";

/// A key pair for one algorithm.
pub(crate) struct Signer {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
    /// The public key.
    pub(crate) pem: String,
    /// The same as a JSON Web Key without an id.
    jwk: Value,
}

/// RS256, ES256 and EdDSA. RSA keys are slow to make: one for all tests.
pub(crate) static SIGNERS: LazyLock<[Signer; 3]> = LazyLock::new(|| [rsa(), ec(), ed()]);

/// An RSA public key of so many bits.
pub(crate) fn rsa_pem(bits: usize) -> String {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).unwrap();
    key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap()
}

/// An Ed25519 public key for which everybody can sign: the neutral element.
pub(crate) fn neutral_pem() -> String {
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 1];
    der.extend([0; 31]);
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Signer {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let public = key.to_public_key();
    Signer {
        algorithm: Algorithm::RS256,
        key: EncodingKey::from_rsa_pem(key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes())
            .unwrap(),
        pem: public.to_public_key_pem(LineEnding::LF).unwrap(),
        jwk: json!({"kty": "RSA", "n": text(&public.n().to_bytes_be()),
            "e": text(&public.e().to_bytes_be())}),
    }
}

/// A new key for ES256.
pub(crate) fn ec() -> Signer {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.der_bytes();
    Signer {
        algorithm: Algorithm::ES256,
        key: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
        pem: pair.public_key_pem(),
        jwk: json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])}),
    }
}

fn ed() -> Signer {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    Signer {
        algorithm: Algorithm::EdDSA,
        key: EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap(),
        pem: pair.public_key_pem(),
        jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.der_bytes())}),
    }
}

impl Signer {
    /// The public key as an issuer publishes it.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = id.into();
        jwk["use"] = "sig".into();
        jwk["alg"] = serde_json::to_value(self.algorithm).unwrap();
        jwk
    }

    /// A signed token with these claims, of this key.
    pub(crate) fn sign(&self, id: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

/// Claims that are valid for an hour; `more` are added or replace them, null ones are left out.
pub(crate) fn claims(more: Value) -> Value {
    let now = get_current_timestamp();
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now + 3600, "iat": now,
        "app": {"role": "analyst"}});
    let Value::Object(more) = more else { panic!("claims are an object") };
    for (name, value) in more {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(&name),
            value => claims.as_object_mut().unwrap().insert(name, value),
        };
    }
    claims
}

/// The configuration that accepts the issuer; `keys` says where its keys are.
pub(crate) fn jwt(keys: &str) -> String {
    format!(
        "[auth.jwt]\nissuer = {ISSUER:?}\naudience = {AUDIENCE:?}\nrole_claim = \"/app/role\"\n{keys}\n"
    )
}
