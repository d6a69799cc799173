//! The MCP endpoint as a protected resource: where its tokens come from (RFC 9728).

use serde_json::{Value, json};

/// The path of the program's MCP endpoint.
pub(crate) const ENDPOINT: &str = "/mcp";

/// The path of the metadata of a whole host, and the beginning of that of an endpoint.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The MCP endpoint, as clients reach it.
///
/// [`serve`](crate::http::serve) answers requests for its metadata; an application that nests the
/// [`service`](crate::service) does so itself, beside it:
///
/// ```
/// use axum::routing::get;
/// use axum::{Json, Router};
/// use mcp_pg_server::auth::ProtectedResource;
///
/// let resource = ProtectedResource {
///     url: "https://shop.example.com/agents/mcp".into(),
///     authorization_server: Some("https://login.example.com".into()),
/// };
/// assert_eq!(resource.metadata_path(), "/.well-known/oauth-protected-resource/agents/mcp");
/// let (path, metadata) = (resource.metadata_path(), resource.metadata());
/// let app: Router = Router::new().route(&path, get(async move || Json(metadata)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    /// The URL of the endpoint: `https://mcp.example.com/mcp`.
    pub url: String,
    /// The issuer of its tokens; absent if all callers have API keys.
    pub authorization_server: Option<String>,
}

impl ProtectedResource {
    /// The path of the metadata.
    pub fn metadata_path(&self) -> String {
        format!("{WELL_KNOWN}{}", self.parts().1)
    }

    /// The metadata.
    pub fn metadata(&self) -> Value {
        let mut metadata = json!({
            "resource": self.url,
            "resource_name": "mcp-pg",
            "bearer_methods_supported": ["header"],
        });
        if let Some(server) = &self.authorization_server {
            metadata["authorization_servers"] = json!([server]);
        }
        metadata
    }

    /// The URL of the metadata.
    pub(crate) fn metadata_url(&self) -> String {
        format!("{}{}", self.parts().0, self.metadata_path())
    }

    /// The URL's scheme and host, and its path.
    fn parts(&self) -> (&str, &str) {
        let url = self.url.trim_end_matches('/');
        let host = url.find("://").map_or(0, |scheme| scheme + 3);
        let mut slashes = url.match_indices('/').map(|(place, _)| place);
        url.split_at(slashes.find(|place| *place >= host).unwrap_or(url.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_is_between_the_host_and_the_path() {
        for (url, metadata) in [
            ("https://a.example/mcp", "https://a.example/.well-known/oauth-protected-resource/mcp"),
            (
                "http://[::1]:8080/a/mcp/",
                "http://[::1]:8080/.well-known/oauth-protected-resource/a/mcp",
            ),
            ("https://a.example", "https://a.example/.well-known/oauth-protected-resource"),
        ] {
            let resource = ProtectedResource { url: url.into(), authorization_server: None };
            assert_eq!(resource.metadata_url(), metadata);
        }
    }
}
