//! The database URL, completed by libpq's environment variables.

use std::path::{Path, PathBuf};

use mcp_pg_core::policy::{ServerIdentity, Tls};
use tokio_postgres::config::{Host, SslMode};

use super::auth::is_loopback;
use super::sslmode::{self, Asked};
use super::{ConfigError, Environment};

/// The requested database.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// A URL or `key=value` string. If absent, only libpq's variables are used.
    pub url: Option<String>,
}

impl Database {
    /// Whether a URL or the environment names a database.
    pub fn is_named(&self, environment: &Environment) -> bool {
        const NAMING: [&str; 3] = ["DATABASE_URL", "PGHOST", "PGDATABASE"];
        self.url.is_some() || NAMING.iter().any(|name| environment.get(name).is_some())
    }

    /// The connection's parameters, resolved as by psql.
    ///
    /// The URL is the option's, otherwise the configuration's, otherwise `DATABASE_URL`. Missing parameters come from
    /// `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE` and `PGSSLROOTCERT`, otherwise from
    /// libpq's defaults; but to hosts other than this machine, the default is an encrypted connection.
    ///
    /// # Errors
    ///
    /// The URL or a variable is not valid. The message does not repeat it, because it may contain a password.
    pub fn resolve(
        &self,
        environment: &Environment,
    ) -> Result<(tokio_postgres::Config, Tls), ConfigError> {
        let url = self.url.as_deref().or_else(|| environment.get("DATABASE_URL"));
        let (url, asked) = url.map(sslmode::split).unzip();
        let asked = asked.unwrap_or_default();
        let mut config: tokio_postgres::Config = match &url {
            None => tokio_postgres::Config::new(),
            Some(url) => parse(url)?,
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            match environment.get("PGHOST") {
                Some(hosts) => hosts.split(',').for_each(|host| {
                    config.host(host.trim());
                }),
                None => default_host(&mut config),
            }
        }
        if config.get_ports().is_empty()
            && let Some(ports) = environment.get("PGPORT")
        {
            add_ports(&mut config, ports)?;
        }
        if config.get_user().is_none() {
            let user = ["PGUSER", "USER", "LOGNAME"].iter().find_map(|name| environment.get(name));
            config.user(user.unwrap_or("postgres"));
        }
        if config.get_password().is_none()
            && let Some(password) = environment.get("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_dbname().is_none()
            && let Some(name) = environment.get("PGDATABASE")
        {
            config.dbname(name);
        }
        if config.get_application_name().is_none() {
            config.application_name("mcp-pg");
        }
        let tls = encryption(&mut config, asked, environment)?;
        Ok((config, tls))
    }
}

/// Parses a connection URL or a `key=value` string.
fn parse(url: &str) -> Result<tokio_postgres::Config, ConfigError> {
    let parsed = match portless(url) {
        Some(portless) => portless.parse(),
        None => url.parse(),
    };
    parsed.map_err(|error: tokio_postgres::Error| {
        // The message is in the source; the error itself only names the kind.
        let source = std::error::Error::source(&error);
        let reason = source.map_or_else(|| error.to_string(), ToString::to_string);
        // What is taken for an option may be the end of a password, so it is not repeated.
        let strange = |option: &str| {
            !option.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        };
        let reason = match reason.strip_prefix("unknown option `").map(|rest| rest.trim_end_matches('`')) {
            Some(option) if strange(option) => {
                "after ? there is no option; in a password, @ : / ? # and % are written as %40 %3A %2F %3F %23 %25, or it is given as PGPASSWORD"
                    .to_owned()
            }
            _ if reason.contains("`target_session_attrs`") => {
                format!("{reason}: it is any, read-write or read-only")
            }
            _ => reason,
        };
        let form = match url.split_once("://") {
            Some((scheme, _)) if !matches!(scheme, "postgres" | "postgresql") => {
                "; it begins with postgres:// or postgresql://"
            }
            None if !url.contains('=') => {
                "; it is a URL that begins with postgres://, or pairs such as host=localhost dbname=shop"
            }
            _ => "",
        };
        ConfigError::new(format!("the database URL is not valid: {reason}{form}"))
    })
}

/// The URL with its host as a parameter, if it has one host without a port. Where the host usually is, the driver takes
/// 5432 for the port, so that neither a `port` parameter nor `PGPORT` would count, as they do in libpq.
fn portless(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let begin = rest.find('@').map_or(0, |at| at + 1);
    let (credentials, rest) = rest.split_at_checked(begin)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at_checked(end)?;
    let host = host.strip_suffix(':').unwrap_or(host);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || host.contains(',') || (address.is_none() && host.contains(':')) {
        return None;
    }
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let host = address.unwrap_or(host);
    Some(format!("{scheme}://{credentials}{path}?host={host}&{parameters}"))
}

/// Adds the ports of `PGPORT`: one, or one for each host.
fn add_ports(config: &mut tokio_postgres::Config, ports: &str) -> Result<(), ConfigError> {
    for port in ports.split(',') {
        let port = port
            .trim()
            .parse()
            .map_err(|_| ConfigError::new(format!("PGPORT: {port:?} is not a port number")))?;
        config.port(port);
    }
    Ok(())
}

/// libpq's default: the local socket if there is one, otherwise TCP to this machine.
fn default_host(config: &mut tokio_postgres::Config) {
    let sockets = ["/var/run/postgresql", "/tmp"];
    match sockets
        .iter()
        .find(|directory| std::path::Path::new(directory).join(".s.PGSQL.5432").exists())
    {
        Some(directory) => config.host(*directory),
        None => config.host("localhost"),
    };
}

/// Sets the TLS mode, and how the server's identity is verified.
fn encryption(
    config: &mut tokio_postgres::Config,
    asked: Asked,
    environment: &Environment,
) -> Result<Tls, ConfigError> {
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    let root = asked.root_certificate.or_else(|| variable("PGSSLROOTCERT"));
    let own_root = || {
        let path = PathBuf::from(environment.get("HOME")?).join(".postgresql/root.crt");
        path.exists().then_some(path)
    };
    let root_certificates = match root.as_deref() {
        Some("system") => None,
        Some(path) => Some(read(Path::new(path))?),
        None => own_root().map(|path| read(&path)).transpose()?,
    };
    let beyond = config.get_hosts().iter().any(|host| match host {
        Host::Tcp(name) => !is_loopback(name),
        Host::Unix(_) => false,
    }) || config.get_hostaddrs().iter().any(|address| !address.is_loopback());
    let mode = asked.mode.or_else(|| variable("PGSSLMODE"));
    let (mode, identity) = match mode.as_deref() {
        None if beyond => (SslMode::Require, ServerIdentity::Any),
        None | Some("prefer" | "allow") => (SslMode::Prefer, ServerIdentity::Any),
        Some("disable") => (SslMode::Disable, ServerIdentity::Any),
        Some("require") => (SslMode::Require, ServerIdentity::Any),
        Some("verify-ca") => (SslMode::Require, ServerIdentity::Authority),
        Some("verify-full") => (SslMode::Require, ServerIdentity::Name),
        Some(mode) => {
            return Err(ConfigError::new(format!(
                "sslmode: {mode:?} is none of disable, allow, prefer, require, verify-ca, verify-full"
            )));
        }
    };
    let identity = match (mode, identity, root.as_deref()) {
        // As in libpq, the system's authorities imply that the name is verified, …
        (SslMode::Require, _, Some("system")) => ServerIdentity::Name,
        // … and a root certificate implies that the certificate is verified.
        (SslMode::Require, ServerIdentity::Any, _) if root_certificates.is_some() => {
            ServerIdentity::Authority
        }
        (_, identity, _) => identity,
    };
    // Sockets are not encrypted, whatever is requested.
    let sockets = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let plain = sockets && !config.get_hosts().is_empty();
    let identity = if plain { ServerIdentity::Any } else { identity };
    if identity == ServerIdentity::Authority && root_certificates.is_none() {
        return Err(ConfigError::new(
            "sslmode: verify-ca needs sslrootcert, the authority's certificate; verify-full asks for the name as well",
        ));
    }
    config.ssl_mode(if plain { SslMode::Disable } else { mode });
    Ok(Tls { identity, root_certificates })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    crate::file::read_text(path)
        .map_err(|error| ConfigError::new(format!("sslrootcert: {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, variables: &[(&str, &str)]) -> tokio_postgres::Config {
        let environment = Environment::from_pairs(variables.iter().copied());
        Database { url: url.map(str::to_owned) }.resolve(&environment).unwrap().0
    }

    #[test]
    fn beyond_this_machine_connections_are_encrypted() {
        use ServerIdentity::{Any, Authority, Name};
        let root = std::env::temp_dir().join(format!("mcp-pg-root-{}.pem", std::process::id()));
        std::fs::write(&root, "pem").unwrap();
        let root = root.to_str().unwrap();
        for (url, variables, mode, identity) in [
            ("postgres://db.example/d", &[][..], SslMode::Require, Any),
            ("postgres://10.0.0.1/d", &[], SslMode::Require, Any),
            ("postgres://localhost/d", &[], SslMode::Prefer, Any),
            ("postgres://127.0.0.1/d", &[], SslMode::Prefer, Any),
            ("host=/run/pg", &[("PGSSLMODE", "require")], SslMode::Disable, Any),
            ("postgres://db.example/d?sslmode=prefer", &[], SslMode::Prefer, Any),
            ("postgres://db.example/d?sslmode=disable", &[], SslMode::Disable, Any),
            (
                "postgres://h/d?sslmode=verify-ca",
                &[("PGSSLMODE", "disable"), ("PGSSLROOTCERT", root)],
                SslMode::Require,
                Authority,
            ),
            ("postgres://h/d", &[("PGSSLMODE", "verify-full")], SslMode::Require, Name),
            ("postgres://h/d", &[("PGSSLROOTCERT", root)], SslMode::Require, Authority),
            ("host=h sslrootcert=system", &[], SslMode::Require, Name),
        ] {
            let environment = Environment::from_pairs(variables.iter().copied());
            let database = Database { url: Some(url.to_owned()) };
            let (config, tls) = database.resolve(&environment).unwrap();
            assert_eq!(
                (config.get_ssl_mode(), tls.identity),
                (mode, identity),
                "{url} {variables:?}"
            );
        }
        std::fs::remove_file(root).unwrap();
        for url in [
            "postgres://h/d?sslmode=verify",
            "postgres://h/d?sslmode=verify-ca",
            "postgres://h/d?sslrootcert=/no/where.pem",
        ] {
            Database { url: Some(url.into()) }.resolve(&Environment::default()).unwrap_err();
        }
    }

    #[test]
    fn the_url_wins_and_the_variables_fill_it_up() {
        let variables = [
            ("DATABASE_URL", "postgres://other/other"),
            ("PGPASSWORD", "secret"),
            ("PGDATABASE", "ignored"),
        ];
        let config = resolve(Some("postgres://ann@db.example/app"), &variables);
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".into())]);
        assert_eq!(config.get_user(), Some("ann"));
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
        assert_eq!(config.get_dbname(), Some("app"));
    }

    #[test]
    fn without_a_url_the_variables_are_libpqs() {
        let variables =
            [("PGHOST", "/run/pg"), ("PGPORT", "5433"), ("PGUSER", "ann"), ("PGDATABASE", "app")];
        let config = resolve(None, &variables);
        assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!(config.get_ports(), [5433]);
        let config = resolve(None, &[("DATABASE_URL", "postgres://h/one"), ("PGUSER", "bob")]);
        assert_eq!((config.get_dbname(), config.get_user()), (Some("one"), Some("bob")));
    }

    #[test]
    fn a_port_that_the_url_leaves_out_is_that_of_the_variables() {
        for (url, host, port) in [
            ("postgres://a:b@h/d", "h", 5433),
            ("postgresql://h", "h", 5433),
            ("postgres://h:/d?connect_timeout=3", "h", 5433),
            ("postgres://a@[::1]/d", "::1", 5433),
            ("postgres://h?port=5434", "h", 5434),
            ("postgres://a@h:5435/d?connect_timeout=3", "h", 5435),
            ("postgres://[::1]:5435/d", "::1", 5435),
            ("host=h dbname=d", "h", 5433),
        ] {
            let config = resolve(Some(url), &[("PGPORT", "5433")]);
            assert_eq!(config.get_hosts(), [Host::Tcp(host.into())], "{url}");
            assert_eq!(config.get_ports(), [port], "{url}");
        }
        // As in libpq, which takes the commas for ports that are left out.
        let config = resolve(Some("postgres://g,h/d"), &[("PGPORT", "5433")]);
        assert_eq!(config.get_ports(), [5432, 5432]);
    }

    #[test]
    fn a_bad_url_is_not_repeated() {
        let database = Database { url: Some("postgres://u:hunter2@h/d?nonsense=1".into()) };
        let error = database.resolve(&Environment::default()).unwrap_err().to_string();
        assert!(error.starts_with("the database URL is not valid: "), "{error}");
        assert!(!error.contains("hunter2"));
        for (url, told, untold) in [
            ("postgres://u:p@:/?#%&=+ x@127.0.0.1:5432/base", "PGPASSWORD", "#%&"),
            ("postgres://h/d?target_session_attrs=primary", "read-write or read-only", "password"),
        ] {
            let database = Database { url: Some(url.into()) };
            let error = database.resolve(&Environment::default()).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains(untold), "{error}");
        }
    }
}
