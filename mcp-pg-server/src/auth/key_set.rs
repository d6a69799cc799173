//! The public keys of an issuer, from a file or a URL. They are read again when they are old, or when none fits a token.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use mcp_pg_core::{Code, Error};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::file;

/// The age at which keys are read again: how long a revoked key may still be accepted.
const AGE_MOST: Duration = Duration::from_secs(300);
/// The time until the next attempt if that failed, so that not every call waits for an issuer that does not respond.
const PAUSE: Duration = Duration::from_secs(30);
/// The maximum number of reads per minute: tokens with invented key ids must not flood the issuer.
const READS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(6).unwrap();
/// The timeout of one read.
const PATIENCE: Duration = Duration::from_secs(5);
/// The maximum size of a key set in bytes, and the maximum number of keys tried for one token.
const BYTES_MOST: usize = 1_048_576;
const TRIED_MOST: usize = 8;

/// Where an issuer's public keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A PEM file with one public key.
    PublicKeyFile(PathBuf),
    /// A file with a JSON Web Key Set (RFC 7517).
    JwksFile(PathBuf),
    /// The URL of one: https, or http on loopback.
    JwksUrl(Uri),
}

/// The keys, as of the last read.
pub(super) struct KeySet {
    source: KeySource,
    algorithms: Vec<Algorithm>,
    current: ArcSwap<Keys>,
    reads: DefaultDirectRateLimiter,
    reading: Arc<tokio::sync::Mutex<()>>,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// The result of one read.
#[derive(Default, Clone)]
pub(super) struct Keys {
    keys: Arc<[Key]>,
    /// What they were read from.
    text: Bytes,
    /// When to read them again; `None` before the first read.
    due: Option<Instant>,
    /// Whether private or symmetric ones were among them.
    private: bool,
    /// A number that changes when the keys do.
    pub(super) generation: u64,
}

/// A public key, and the one algorithm it is used with.
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys that may have signed a token with this header.
    pub(super) fn of(&self, header: &Header) -> impl Iterator<Item = &DecodingKey> {
        let named = header.kid.as_deref();
        let fits = move |key: &&Key| {
            key.algorithm == header.alg
                && (named.is_none() || key.id.is_none() || key.id.as_deref() == named)
        };
        self.keys.iter().filter(fits).take(TRIED_MOST).map(|key| &key.key)
    }
}

impl KeySet {
    /// Reads the keys of a file now. Those of a URL are read when they are needed.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, as a sentence.
    pub(super) fn open(source: KeySource, algorithms: Vec<Algorithm>) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| format!("the system's root certificates cannot be read: {error}"))?
            .https_or_http()
            .enable_http1()
            .build();
        let set = Self {
            source,
            algorithms,
            current: ArcSwap::default(),
            reads: RateLimiter::direct(Quota::per_minute(READS_PER_MINUTE)),
            reading: Arc::default(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        };
        if let KeySource::PublicKeyFile(path) | KeySource::JwksFile(path) = &set.source {
            let text = file::read(path).map_err(|error| error.to_string())?;
            set.keep(text.into())?;
        }
        Ok(set)
    }

    /// Whether the keys include private or symmetric ones, which can sign tokens.
    pub(super) fn has_private(&self) -> bool {
        self.current.load().private
    }

    /// Whether both read their keys from the same place and, if that is a file, have the same keys.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let of_url = matches!(self.source, KeySource::JwksUrl(_));
        self.source == other.source
            && self.algorithms == other.algorithms
            && (of_url || self.current.load().text == other.current.load().text)
    }

    /// The generation of the known keys; `None` if they are too old.
    pub(super) fn generation(&self) -> Option<u64> {
        let current = self.current.load();
        (!self.is_old(&current)).then_some(current.generation)
    }

    /// Whether the keys were ever read.
    pub(super) fn is_read(&self) -> bool {
        self.current.load().due.is_some()
    }

    fn is_old(&self, keys: &Keys) -> bool {
        let ages = !matches!(self.source, KeySource::PublicKeyFile(_));
        ages && keys.due.is_none_or(|due| Instant::now() > due)
    }

    /// The keys, read again if they are old.
    ///
    /// # Errors
    ///
    /// The keys could never be read.
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<Keys>, Error> {
        let known = self.current.load_full();
        if !self.is_old(&known) {
            return Ok(known);
        }
        let keys = match self.reading.clone().try_lock_owned() {
            Ok(alone) => self.renewed(&known, alone).await,
            // Someone reads them now: until then, the known ones serve.
            Err(_) if known.due.is_some() => known,
            Err(_) => self.newer_than(&known).await,
        };
        match keys.due {
            Some(_) => Ok(keys),
            None => {
                let message = "the keys of the token's issuer cannot be read";
                Err(Error::new(Code::Internal, message).hint("try again later").retryable(true))
            }
        }
    }

    /// Reads the keys again, unless that failed or was done a moment ago; then returns the known ones.
    pub(super) async fn newer_than(self: &Arc<Self>, known: &Arc<Keys>) -> Arc<Keys> {
        self.renewed(known, self.reading.clone().lock_owned().await).await
    }

    async fn renewed(self: &Arc<Self>, known: &Arc<Keys>, alone: OwnedMutexGuard<()>) -> Arc<Keys> {
        let current = self.current.load_full();
        // Someone else may have read them while this call waited.
        if !Arc::ptr_eq(&current, known) || self.reads.check().is_err() {
            return current;
        }
        let set = self.clone();
        // In its own task, so that clients that disconnect do not use up the reads without one of them being finished.
        let read = tokio::spawn(async move {
            let _alone = alone;
            set.read_again(&current).await;
        });
        // Where that fails, the known ones serve.
        let _ = read.await;
        self.current.load_full()
    }

    /// Why the keys cannot be read from their URL, if they are at one and cannot.
    pub(super) async fn unread(&self) -> Option<String> {
        let KeySource::JwksUrl(url) = &self.source else { return None };
        let reason = self.read_and_keep().await.err()?;
        Some(format!("auth.jwt.jwks_url: {url}: {reason}"))
    }

    async fn read_and_keep(&self) -> Result<(), String> {
        self.keep(self.read().await?)
    }

    async fn read_again(&self, known: &Keys) {
        if let Err(reason) = self.read_and_keep().await {
            tracing::warn!(source = ?self.source, reason, "the issuer's keys were not read");
            if known.due.is_some() {
                let due = Some(Instant::now() + PAUSE);
                self.current.store(Arc::new(Keys { due, ..Keys::clone(known) }));
            }
        }
    }

    async fn read(&self) -> Result<Bytes, String> {
        let url = match &self.source {
            KeySource::PublicKeyFile(path) | KeySource::JwksFile(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
                let text = read.map_err(|error| error.to_string())?;
                return Ok(text.map_err(|error| error.to_string())?.into());
            }
            KeySource::JwksUrl(url) => url.clone(),
        };
        let fetch = async {
            let answer = self.client.get(url).await.map_err(|error| error.to_string())?;
            if answer.status() != StatusCode::OK {
                return Err(format!("status {}", answer.status()));
            }
            let body = Limited::new(answer.into_body(), BYTES_MOST).collect().await;
            Ok(body.map_err(|error| error.to_string())?.to_bytes())
        };
        tokio::time::timeout(PATIENCE, fetch).await.map_err(|_| "no answer in time".to_owned())?
    }

    /// Makes these the current keys.
    fn keep(&self, text: Bytes) -> Result<(), String> {
        let known = self.current.load();
        let (keys, private) = match self.source {
            KeySource::PublicKeyFile(_) => (vec![of_pem(&text)?], false),
            KeySource::JwksFile(_) | KeySource::JwksUrl(_) => of_jwks(&text)?,
        };
        if private && known.text != text {
            tracing::warn!(source = ?self.source, "the key set holds private or symmetric keys: whoever reads it can make tokens");
        }
        let keys: Arc<[Key]> =
            keys.into_iter().filter(|key| self.algorithms.contains(&key.algorithm)).collect();
        if keys.is_empty() {
            return Err("there is no public key for any of the algorithms".to_owned());
        }
        let generation = known.generation + u64::from(known.text != text);
        let due = Some(Instant::now() + AGE_MOST);
        self.current.store(Arc::new(Keys { keys, text, due, private, generation }));
        Ok(())
    }
}

fn of_pem(pem: &[u8]) -> Result<Key, String> {
    if pem.windows(7).any(|word| word == b"PRIVATE") {
        return Err("this is a private key; only the public one belongs here".to_owned());
    }
    let kinds = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
    ];
    let read = kinds.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
    let (algorithm, key) = read.ok_or("not a PEM file with a public key")?;
    let jwk = Jwk::from_decoding_key(&key, None).ok();
    if jwk.and_then(|jwk| algorithm_of(&jwk.algorithm)) != Some(algorithm) {
        return Err("the key is too weak, or of another curve than P-256 and Ed25519; an RSA key must have 2,048 bits".to_owned());
    }
    Ok(Key { id: None, algorithm, key })
}

/// The signature keys of a set; others are ignored, as RFC 7517 requires. Also whether any key of the set, of whatever use,
/// has a private or symmetric part.
fn of_jwks(text: &[u8]) -> Result<(Vec<Key>, bool), String> {
    let set: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("there are no \"keys\"")?;
    let private = |key: &Value| ["d", "k"].iter().any(|part| key.get(part).is_some());
    Ok((keys.iter().filter_map(of_jwk).collect(), keys.iter().any(private)))
}

fn of_jwk(value: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let algorithm = algorithm_of(&jwk.algorithm)?;
    let named = jwk.common.key_algorithm;
    let operations = jwk.common.key_operations.as_ref();
    let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature))
        && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
        && named.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    for_signatures.then_some(Key { id: jwk.common.key_id, algorithm, key })
}

/// The algorithm of a key that is strong enough.
fn algorithm_of(key: &AlgorithmParameters) -> Option<Algorithm> {
    match key {
        AlgorithmParameters::RSA(key) => is_long(&key.n).then_some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) => {
            (key.curve == EllipticCurve::P256).then_some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) => {
            let strong = key.curve == EllipticCurve::Ed25519 && is_of_great_order(&key.x);
            strong.then_some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

/// Whether an RSA modulus has the 2,048 bits that RFC 7518 (3.3) requires.
fn is_long(modulus: &str) -> bool {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bits = |first: &u8| (bytes.len() - zeros) * 8 - first.leading_zeros() as usize;
    bytes.get(zeros).is_some_and(|first| bits(first) >= 2_048)
}

/// Whether an Ed25519 point is one for which not everybody can sign.
fn is_of_great_order(point: &str) -> bool {
    let bytes = URL_SAFE_NO_PAD.decode(point).unwrap_or_default();
    let key =
        <[u8; 32]>::try_from(bytes).ok().and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.is_some_and(|key| !key.is_weak())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_are_weak_or_not_for_signatures_are_not_taken() {
        let rsa = |bits: usize, zeros: usize| {
            let mut modulus = vec![0; zeros];
            modulus.extend(vec![0xff; bits / 8]);
            json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(modulus)})
        };
        let with = |more: Value| {
            let mut key = rsa(2_048, 0);
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            key
        };
        let point = |first: u8, others: u8| {
            let mut bytes = vec![others; 31];
            bytes.insert(0, first);
            json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(bytes)})
        };
        for (key, taken) in [
            // The base point, and the neutral element.
            (point(0x58, 0x66), true),
            (point(1, 0), false),
            (rsa(2_048, 0), true),
            (rsa(2_048, 1), true),
            (rsa(1_024, 0), false),
            (rsa(1_024, 200), false),
            (with(json!({"key_ops": ["verify"]})), true),
            (with(json!({"key_ops": ["encrypt"]})), false),
            (with(json!({"use": "enc"})), false),
        ] {
            assert_eq!(of_jwk(&key).is_some(), taken, "{key}");
        }
    }
}
