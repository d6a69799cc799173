//! The MCP endpoint as a protected resource: where its tokens come from (RFC 9728).

use serde_json::{Value, json};

/// The path of the MCP endpoint.
pub(crate) const ENDPOINT: &str = "/mcp";

/// The MCP endpoint, as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    /// Scheme, host and port: `https://mcp.example.com`.
    pub origin: String,
    /// The issuer of its tokens; absent if all callers have API keys.
    pub authorization_server: Option<String>,
}

impl ProtectedResource {
    /// The paths of the metadata: for the host, and for the endpoint.
    pub(crate) const PATHS: [&str; 2] =
        ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];

    /// The URL of the endpoint's metadata.
    pub(crate) fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, Self::PATHS[1])
    }

    /// The metadata.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({
            "resource": format!("{}{ENDPOINT}", self.origin),
            "resource_name": "mcp-pg",
            "bearer_methods_supported": ["header"],
        });
        if let Some(server) = &self.authorization_server {
            metadata["authorization_servers"] = json!([server]);
        }
        metadata
    }
}
