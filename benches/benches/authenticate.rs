//! What comes before a call: who calls, how much may be asked for, what exists for the role.

use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};

use criterion::Criterion;
use http::request::Parts;
use jsonwebtoken::{EncodingKey, Header, encode};
use mcp_pg_benches::film::{Fault, Films};
use mcp_pg_benches::report::{Comparison, awaited, computed};
use mcp_pg_core::{Engine, Error};
use mcp_pg_server::auth::{
    Algorithm, ApiKey, Authenticator, Credentials, Jwt, JwtSettings, KeyHash, KeySource,
    generate_key,
};
use mcp_pg_server::{CallerLimits, Limiter, RequestLimits};
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use serde_json::json;
use tokio::runtime::Runtime;

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let films = Films::start()?;
    let engine = films.engine()?;
    let most = NonZeroU32::MAX;
    let every = CallerLimits { requests_per_minute: Some(most), concurrency: Some(most) };
    let limiter = Limiter::new(RequestLimits { every, ..RequestLimits::default() });

    // Ten keys, of which the last one calls.
    let key = generate_key()?;
    let api_keys = (0..10)
        .map(|number| {
            let hash = if number == 9 { KeyHash::new(&key)? } else { KeyHash::new("another")? };
            let name = format!("caller-{number}");
            Ok(ApiKey { name, hash, role: "analyst".into(), claims: serde_json::Map::new() })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    let credentials = Credentials::new(api_keys, None);
    let scene = Scene { runtime: &films.runtime, engine: &engine, limiter: &limiter };
    scene.measure(
        &mut criterion,
        "the last of ten API keys",
        &credentials,
        &bearer(&key)?,
        None,
    )?;

    let directory = std::env::temp_dir().join(format!("mcp-pg-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    for (name, algorithm, (private, public)) in [
        ("a token by RS256", Algorithm::RS256, rsa_pair()?),
        ("a token by ES256", Algorithm::ES256, pair(&rcgen::PKCS_ECDSA_P256_SHA256)?),
        ("a token by EdDSA", Algorithm::EdDSA, pair(&rcgen::PKCS_ED25519)?),
    ] {
        let file = directory.join("public.pem");
        std::fs::write(&file, public)?;
        let keys = KeySource::PublicKeyFile(file);
        let mut settings = JwtSettings::new("https://id.example.com", "mcp-pg", keys);
        settings.algorithms = vec![algorithm];
        settings.role_claim = Some("/app/role".into());
        settings.roles = vec!["analyst".into()];
        let credentials = Credentials::new(Vec::new(), Some(Jwt::new(settings)?));
        let token = token(algorithm, &private)?;
        // What is refused for its signature is verified each time.
        let unsigned = &token[..token.len() - 8];
        let forged = bearer(&format!("{unsigned}AAAAAAAA"))?;
        scene.measure(&mut criterion, name, &credentials, &bearer(&token)?, Some(&forged))?;
    }
    std::fs::remove_dir_all(directory)?;
    criterion.final_summary();
    Ok(())
}

struct Scene<'s> {
    runtime: &'s Runtime,
    engine: &'s Engine,
    limiter: &'s Limiter,
}

impl Scene<'_> {
    fn measure(
        &self,
        criterion: &mut Criterion,
        name: &'static str,
        credentials: &Credentials,
        good: &Parts,
        forged: Option<&Parts>,
    ) -> Result<(), Fault> {
        self.runtime.block_on(self.admitted(credentials, good))?;
        let authenticate = || credentials.authenticate(good);
        let mut group =
            Comparison::new(criterion, name, "authenticated", awaited(self.runtime, authenticate));
        group.measure(
            "authenticated, admitted, with its View",
            awaited(self.runtime, || self.admitted(credentials, good)),
        );
        if let Some(forged) = forged {
            if self.runtime.block_on(credentials.authenticate(forged)).is_ok() {
                return Err("a forged token was taken".into());
            }
            group.measure(
                "its signature verified",
                awaited(self.runtime, || credentials.authenticate(forged)),
            );
        }
        let caller = self.runtime.block_on(credentials.authenticate(good))?;
        group.measure("admitted", computed(|| self.limiter.admit(&caller).is_ok()));
        group.measure("its View", computed(|| self.engine.view(&caller).is_ok()));
        group.finish();
        Ok(())
    }

    /// All that comes before the call itself.
    async fn admitted(&self, credentials: &Credentials, request: &Parts) -> Result<usize, Error> {
        let caller = credentials.authenticate(request).await?;
        let _permit = self.limiter.admit(&caller)?;
        Ok(self.engine.view(&caller)?.tables().len())
    }
}

fn bearer(token: &str) -> Result<Parts, Fault> {
    let request = http::Request::builder().header("Authorization", format!("Bearer {token}"));
    Ok(request.body(())?.into_parts().0)
}

/// A token like those of an identity provider.
fn token(algorithm: Algorithm, key: &EncodingKey) -> Result<String, Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": "https://id.example.com", "aud": "mcp-pg", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "exp": now + 36_000, "iat": now, "scope": "openid profile", "tenant_id": "42",
        "app": {"role": "analyst"},
    });
    Ok(encode(&Header::new(algorithm.into()), &claims, key)?)
}

fn rsa_pair() -> Result<(EncodingKey, String), Fault> {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048)?;
    let private = key.to_pkcs8_pem(LineEnding::LF)?;
    let public = key.to_public_key().to_public_key_pem(LineEnding::LF)?;
    Ok((EncodingKey::from_rsa_pem(private.as_bytes())?, public))
}

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<(EncodingKey, String), Fault> {
    let pair = rcgen::KeyPair::generate_for(algorithm)?;
    let private = pair.serialize_pem();
    let key = match algorithm == &rcgen::PKCS_ED25519 {
        true => EncodingKey::from_ed_pem(private.as_bytes())?,
        false => EncodingKey::from_ec_pem(private.as_bytes())?,
    };
    Ok((key, pair.public_key_pem()))
}
