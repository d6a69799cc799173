//! The cause of an error, for operators.

use std::error::Error as StdError;

use super::Error;

impl Error {
    /// The chain of causes in one line, the nearest first. For logs, never for replies.
    pub fn cause(&self) -> Option<String> {
        self.source().map(chain)
    }
}

/// An error and its chain of causes, in one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors repeat their cause.
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::error::{Code, Error};

    #[test]
    fn each_cause_is_told_once() {
        let refused = || io::Error::other("refused");
        let error = |message: &str| Error::new(Code::DatabaseUnavailable, message);
        assert_eq!(error("no answer").cause(), None);
        assert_eq!(error("no answer").caused_by(refused()).cause().as_deref(), Some("refused"));
        let within = error("connecting").caused_by(refused());
        let told = error("no answer").caused_by(within).cause();
        assert_eq!(told.as_deref(), Some("database_unavailable: connecting: refused"));
        let repeated = error("not created").caused_by(error("refused").caused_by(refused()));
        assert_eq!(repeated.cause().as_deref(), Some("database_unavailable: refused"));
    }
}
