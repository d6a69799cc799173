//! Which database: the URL, and what libpq's variables add to it.

use tokio_postgres::config::SslMode;

use super::{ConfigError, Environment};

/// Where to connect, as asked for.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// A URL or `key=value` string; libpq's variables alone if absent.
    pub url: Option<String>,
}

impl Database {
    /// The connection's parameters, as psql would find them.
    ///
    /// The URL is the option, else the configuration's, else `DATABASE_URL`. What it leaves open comes
    /// from `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE` and `PGSSLMODE`, and else from
    /// libpq's defaults.
    ///
    /// # Errors
    ///
    /// A URL or variable that cannot be read. The message does not repeat it: it may hold a password.
    pub fn resolve(
        &self,
        environment: &Environment,
    ) -> Result<tokio_postgres::Config, ConfigError> {
        let url = self.url.as_deref().or_else(|| environment.get("DATABASE_URL"));
        let mut config: tokio_postgres::Config = match url {
            None => tokio_postgres::Config::new(),
            Some(url) => url.parse().map_err(|error: tokio_postgres::Error| {
                // The source tells what is wrong, the error itself only that something is.
                let reason = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                ConfigError::new(format!("the database URL is not valid: {reason}"))
            })?,
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
            for port in ports.split(',') {
                let port = port.trim().parse().map_err(|_| {
                    ConfigError::new(format!("PGPORT: {port:?} is not a port number"))
                })?;
                config.port(port);
            }
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
        // A URL that names a mode other than the default wins; one that names the default cannot be told
        // from one that names none.
        if config.get_ssl_mode() == SslMode::Prefer
            && let Some(mode) = environment.get("PGSSLMODE")
        {
            config.ssl_mode(ssl_mode(mode)?);
        }
        if config.get_application_name().is_none() {
            config.application_name("mcp-pg");
        }
        Ok(config)
    }
}

/// libpq's default: the local socket where there is one, else TCP to this machine.
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

fn ssl_mode(mode: &str) -> Result<SslMode, ConfigError> {
    match mode {
        "disable" => Ok(SslMode::Disable),
        "allow" | "prefer" => Ok(SslMode::Prefer),
        "require" => Ok(SslMode::Require),
        "verify-ca" | "verify-full" => {
            Err(ConfigError::new(format!("not supported yet: PGSSLMODE={mode}")))
        }
        _ => Err(ConfigError::new(format!(
            "PGSSLMODE: {mode:?} is none of disable, allow, prefer, require"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    fn resolve(url: Option<&str>, variables: &[(&str, &str)]) -> tokio_postgres::Config {
        let environment = Environment::from_pairs(variables.iter().copied());
        Database { url: url.map(str::to_owned) }.resolve(&environment).unwrap()
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
        let variables = [
            ("PGHOST", "/run/pg"),
            ("PGPORT", "5433"),
            ("PGUSER", "ann"),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "require"),
        ];
        let config = resolve(None, &variables);
        assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!(config.get_ports(), [5433]);
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        let config = resolve(None, &[("DATABASE_URL", "postgres://h/one"), ("PGUSER", "bob")]);
        assert_eq!((config.get_dbname(), config.get_user()), (Some("one"), Some("bob")));
    }

    #[test]
    fn a_bad_url_is_not_repeated() {
        let database = Database { url: Some("postgres://u:hunter2@h/d?nonsense=1".into()) };
        let error = database.resolve(&Environment::default()).unwrap_err().to_string();
        assert!(error.starts_with("the database URL is not valid: "), "{error}");
        assert!(!error.contains("hunter2"));
    }
}
