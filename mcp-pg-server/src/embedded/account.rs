//! The unprivileged account for PostgreSQL, which refuses to run as root.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::{EmbeddedError, system};

/// In order of preference.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The account to run PostgreSQL as. `None` if the owner of this new directory is an ordinary user, who can run
    /// it.
    pub(super) fn for_owner_of(directory: &Path) -> Result<Option<Account>, EmbeddedError> {
        let owner = fs::metadata(directory).map_err(system("look at the cluster's directory"))?;
        if owner.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(system("read /etc/passwd"))?;
        let account = NAMES.iter().find_map(|name| Account::find(&users, name));
        account.map(Some).ok_or(EmbeddedError::NoAccount)
    }

    /// Finds a name in the text of `/etc/passwd`.
    fn find(users: &str, name: &str) -> Option<Account> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next() == Some(name);
            let mut ids = fields.skip(1).map(str::parse);
            let (user, group) = (ids.next()?.ok()?, ids.next()?.ok()?);
            (found && user != 0).then_some(Account { user, group })
        })
    }

    /// Makes the account the owner of a directory.
    pub(super) fn give(self, directory: &Path) -> io::Result<()> {
        chown(directory, Some(self.user), Some(self.group))
    }

    /// Makes a command run as the account, without supplementary groups.
    pub(super) fn run_as(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_looked_up_by_its_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\nbroken\npostgres2:x:7:8::/:\nnobody:x:65534:65533:n:/:/bin/false\n";
        assert_eq!(Account::find(users, "nobody"), Some(Account { user: 65534, group: 65533 }));
        assert_eq!(Account::find(users, "postgres"), None);
        assert_eq!(Account::find(users, "root"), None);
    }
}
