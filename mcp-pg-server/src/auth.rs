//! Authentication: from the credentials of an HTTP request to a [`Principal`].
//!
//! An [`Authenticator`] decides. The gate in front of the MCP service asks it, and tells refused clients how to
//! authenticate. Knows keys and tokens; not what a role may do, nor which tool is called.

mod api_key;
mod credentials;
mod gate;
mod jwt;
mod key_set;
mod resource;
mod token_cache;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::request::Parts;
use mcp_pg_core::{Error, Principal};

pub use api_key::{ApiKey, KeyHash, generate_key};
pub use credentials::Credentials;
pub(crate) use gate::{Gate, Sender, Standing};
pub use jwt::{Algorithm, Jwt, JwtSettings};
pub use key_set::KeySource;
pub use resource::ProtectedResource;
pub(crate) use resource::{ENDPOINT, WELL_KNOWN};

/// Decides who sent a request.
///
/// The trait is declared with the crate [`async-trait`](https://docs.rs/async-trait); implementations need its attribute, too.
/// Closures are authenticators without it:
///
/// ```
/// use std::sync::Arc;
///
/// use http::request::Parts;
/// use mcp_pg_core::{Code, Error, Principal};
/// use mcp_pg_server::auth::{Authenticator, bearer};
/// use mcp_pg_server::ServiceOptions;
///
/// let authenticator = |request: &Parts| match bearer(request) {
///     Some("of-the-report") => Ok(Principal::new("monthly-report", "analyst")),
///     _ => Err(Error::new(Code::Unauthenticated, "no such token")),
/// };
/// let options = ServiceOptions {
///     authenticator: Some(Arc::new(authenticator)),
///     ..ServiceOptions::default()
/// };
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Identifies the caller by the head of a request.
    ///
    /// # Errors
    ///
    /// The status is 401 for `unauthenticated`, 403 for `forbidden`, 429 for `rate_limited`, and 503 for any other code. The
    /// client gets the message.
    async fn authenticate(&self, request: &Parts) -> Result<Principal, Error>;

    /// Whether the request carries credentials. Only then its refusal counts for
    /// [`RequestLimits::failed_authentications_per_minute`](crate::RequestLimits::failed_authentications_per_minute): without,
    /// any web page could have a browser send it, from the address of whoever reads the page. True unless implemented otherwise.
    fn carries_credentials(&self, _request: &Parts) -> bool {
        true
    }
}

#[async_trait]
impl<F> Authenticator for F
where
    F: Fn(&Parts) -> Result<Principal, Error> + Send + Sync + 'static,
{
    async fn authenticate(&self, request: &Parts) -> Result<Principal, Error> {
        self(request)
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750); `None` if there are several such headers, or another scheme.
pub fn bearer(request: &Parts) -> Option<&str> {
    let mut headers = request.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[&str]) -> Parts {
        let mut request = http::Request::builder();
        for header in headers {
            request = request.header(AUTHORIZATION, *header);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_bearer_token_stands_alone() {
        assert_eq!(bearer(&request(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&request(&["bearer  abc "])), Some("abc"));
        for headers in
            [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"]]
        {
            assert_eq!(bearer(&request(headers)), None, "{headers:?}");
        }
    }
}
