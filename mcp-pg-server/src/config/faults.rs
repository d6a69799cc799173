//! What is wrong with a configuration: `check` tells all of it, other commands the first.

use super::ConfigError;

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<ConfigError>);

impl Faults {
    /// The value, or none if it is at fault, which is noted.
    pub(super) fn note<T>(&mut self, value: Result<T, ConfigError>) -> Option<T> {
        value.map_err(|fault| self.add(fault)).ok()
    }

    pub(super) fn add(&mut self, fault: ConfigError) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn all(self) -> Vec<ConfigError> {
        self.0
    }
}
