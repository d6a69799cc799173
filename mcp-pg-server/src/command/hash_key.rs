//! `hash-key`: an API key for a caller, and its hash for the configuration.

use std::io::{self, Read as _, Write};

use super::Failure;
use crate::auth::{KeyHash, generate_key};

/// The most bytes of a key that are read.
const KEY_MOST: u64 = 4_096;
/// A shorter key that a person chose could be guessed from its hash.
const KEY_LEAST: usize = 32;

/// Prints a new key, or the one on standard input, with its hash.
pub(super) fn print(stdin: bool, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let key = match stdin {
        true => read()?,
        false => generate_key()?,
    };
    writeln!(out, "key: {key}")?;
    writeln!(out, "hash: {}", KeyHash::new(&key)?)?;
    Ok(())
}

fn read() -> Result<String, Failure> {
    let mut key = String::new();
    // The end of the line may be two bytes.
    let read = io::stdin().take(KEY_MOST + 3).read_to_string(&mut key)?;
    let key = key.trim();
    if read as u64 > KEY_MOST + 2 || key.len() as u64 > KEY_MOST {
        let message = format!("the key on standard input is longer than {KEY_MOST} bytes");
        return Err(Failure::usage(message));
    }
    if key.is_empty() || key.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(Failure::usage(
            "the key on standard input must be one word of ASCII characters, as a header can carry it",
        ));
    }
    if key.len() < KEY_LEAST {
        writeln!(
            io::stderr(),
            "mcp-pg-server: this key is short: whoever finds its hash can guess it. Without --stdin a key \
             is made that nobody can."
        )?;
    }
    Ok(key.to_owned())
}
