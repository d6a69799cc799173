//! A bound on how deeply arguments are nested.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value};

use super::Request;
use crate::error::{Code, Error, Result, step};

/// The most levels of nesting in arguments, which is the limit of JSON parsers.
const DEPTH_MOST: usize = 128;

/// Refuses arguments that are nested so deeply that processing them could overflow the stack.
///
/// # Errors
///
/// `limit_exceeded`, at the argument.
pub fn check_depth(arguments: &Map<String, Value>) -> Result<()> {
    let mut open = Vec::new();
    for (name, argument) in arguments {
        open.push((argument, 1));
        while let Some((value, depth)) = open.pop() {
            if depth > DEPTH_MOST {
                return Err(too_deep().at(step(name)));
            }
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
                Value::Object(members) => {
                    open.extend(members.values().map(|member| (member, depth + 1)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Refuses a request that is nested as deeply. One that was built in Rust has no parser's limit.
pub(crate) fn check_depth_of(request: &Request) -> Result<()> {
    let mut serializer = Serializer::with_formatter(io::sink(), Depth::default());
    request.serialize(&mut serializer).map_err(|_too_deep| too_deep())
}

fn too_deep() -> Error {
    let message = format!("arguments may be nested at most {DEPTH_MOST} levels deep");
    Error::new(Code::LimitExceeded, message)
}

/// Ends a serialization that goes too deep, so that its recursion is bounded.
#[derive(Default)]
struct Depth(usize);

impl Depth {
    fn enter(&mut self) -> io::Result<()> {
        self.0 += 1;
        // The first level is the request itself.
        match self.0 > DEPTH_MOST + 1 {
            true => Err(io::Error::other("too deep")),
            false => Ok(()),
        }
    }

    fn leave(&mut self) -> io::Result<()> {
        self.0 -= 1;
        Ok(())
    }
}

impl Formatter for Depth {
    fn begin_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.enter()
    }

    fn end_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.leave()
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.enter()
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.leave()
    }
}
