//! TLS for connections to PostgreSQL, and how its certificate is verified.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError,
    RootCertStore, SignatureScheme,
};

use crate::error::{Code, Error, Result};
use crate::policy::{ServerIdentity, Tls};

/// The TLS configuration of connections. Whether TLS is used is decided by the connection's `sslmode`.
///
/// # Errors
///
/// `invalid_value` if the root certificates cannot be used, or if `verify-ca` is asked for without any.
pub(in crate::execute) fn client_config(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls.identity {
        ServerIdentity::Any => Arc::new(AnyName { authority: None, provider: provider.clone() }),
        // A public authority certifies any name that somebody owns.
        ServerIdentity::Authority if tls.root_certificates.is_none() => {
            return Err(wrong("verify-ca needs the certificate of the authority")
                .hint("give sslrootcert, or ask for the name as well: verify-full"));
        }
        ServerIdentity::Authority => {
            let authority = Some(authority(tls, provider.clone())?);
            Arc::new(AnyName { authority, provider: provider.clone() })
        }
        ServerIdentity::Name => authority(tls, provider.clone())?,
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS cannot be set up").caused_by(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn authority(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<Authority>> {
    let mut roots = RootCertStore::empty();
    let mut given = Vec::new();
    match &tls.root_certificates {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate
                    .map_err(|error| wrong("a root certificate is not PEM").caused_by(error))?;
                roots
                    .add(certificate.clone())
                    .map_err(|error| wrong("a root certificate cannot be used").caused_by(error))?;
                given.push(certificate);
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| wrong("there are no root certificates").caused_by(error))?;
    Ok(Arc::new(Authority { verifier, given }))
}

fn wrong(message: &str) -> Error {
    Error::new(Code::InvalidValue, message)
}

/// Accepts what a known authority issued, and its own certificate: one that a server made for itself, as PostgreSQL's manual
/// tells.
#[derive(Debug)]
struct Authority {
    verifier: Arc<WebPkiServerVerifier>,
    /// The certificates that the operator gave.
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Authority {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // When it is valid has been verified before.
            Err(TlsError::InvalidCertificate(CertificateError::Other(other)))
                if is_of_authority(&other) && self.given.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether a certificate is refused because it says that it is an authority's.
fn is_of_authority(error: &OtherError) -> bool {
    error.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Accepts certificates whatever their name: those of a known authority, or any at all without one.
///
/// The latter hides the connection from listeners, but does not tell who is on the other side.
#[derive(Debug)]
struct AnyName {
    authority: Option<Arc<Authority>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        // The name is verified last: if it is wrong, nothing else is.
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
