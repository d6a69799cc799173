//! Groups of points in time: truncated to a unit of time, or a field such as the weekday.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, step};
use crate::plan::grammar::{BUCKETS, PARTS, TIME_ZONE, part_meant};
use crate::plan::{Operand, Reached, Scope};
use crate::policy::shown;
use crate::schema::DataType;
use crate::value::is_posix_zone;

/// A truncation or a field of points in time.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Whether it is a field.
    pub part: bool,
    /// The length of the truncated periods, in units.
    pub times: u16,
    /// The unit or field, as PostgreSQL names it.
    pub unit: &'static str,
    /// The time zone.
    pub zone: Option<Operand>,
    /// Whether the points in time have no time zone, and are taken for UTC.
    pub naive: bool,
}

impl Cut {
    /// The truncation or field in a group's object, whose value is `of` with the name `name`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, at the member of the object.
    pub(in crate::plan) fn asked(
        scope: &Scope<'_>,
        options: &Map<String, Value>,
        of: &Reached<'_>,
        name: &str,
        place: &str,
    ) -> Result<Option<Self>> {
        let (bucket, part) = (text(options, "bucket")?, text(options, "part")?);
        let zone = text(options, TIME_ZONE)?;
        let wrong =
            |message: String, at: &str| Error::new(Code::InvalidValue, message).at(step(at));
        let data_type = of.data_type();
        let unfit =
            |at| wrong(format!("{name} is {}, not a point in time", data_type.base().name), at);
        let cut = match (bucket, part) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let message = "a group has a bucket or a part, not both".to_owned();
                return Err(wrong(message, "part").hint(
                    "a bucket is a period of time, such as March 2025; a part is a number, such as 3",
                ));
            }
            (Some(_), None) if !data_type.has_day() => return Err(unfit("bucket")),
            (Some(wanted), None) => Some(stretch(wanted, &data_type, name)?),
            (None, Some(_)) if !data_type.is_moment() => return Err(unfit("part")),
            (None, Some(wanted)) => Some((true, 1, part_named(wanted, &data_type, name)?)),
        };
        if zone.is_some() && matches!(cut, Some((_, times, _)) if times > 1) {
            let message = "a bucket of several units begins at midnight UTC, in no other time zone";
            return Err(wrong(message.to_owned(), TIME_ZONE));
        }
        if zone.is_some() && (cut.is_none() || !data_type.is_timestamp()) {
            let message = "a time zone goes with a bucket or part of a timestamp";
            return Err(wrong(message.to_owned(), TIME_ZONE).hint(
                "{\"column\": \"created_at\", \"bucket\": \"month\", \"time_zone\": \"Europe/Berlin\"}",
            ));
        }
        let at = || format!("{place}/time_zone");
        let zone = zone.map(time_zone).transpose()?;
        let zone = zone.map(|zone| scope.text(zone, at()));
        let naive = data_type.is_timestamp() && !data_type.is_zoned();
        Ok(cut.map(|(part, times, unit)| Self { part, times, unit, zone, naive }))
    }

    /// The type of the result for values of a type.
    pub fn data_type(&self, of: &Arc<DataType>) -> Arc<DataType> {
        match self.part {
            // The year of infinity is infinite.
            true => Arc::clone(DataType::numeric()),
            false if self.naive && self.zone.is_some() => Arc::clone(DataType::timestamptz()),
            false => of.shared_base(),
        }
    }
}

/// A time zone as PostgreSQL reads it: that counts offsets west of UTC, ISO 8601 east.
fn time_zone(zone: &str) -> Result<String> {
    if zone.trim().is_empty() {
        return Err(Error::new(Code::InvalidValue, "a time zone has a name")
            .at("/time_zone")
            .hint("for example \"Europe/Paris\", \"UTC\""));
    }
    if is_posix_zone(zone) {
        let message = format!("{} is a name with an offset", shown(zone));
        return Err(Error::new(Code::InvalidValue, message)
            .at("/time_zone")
            .hint("\"+02:00\" is two hours ahead of UTC; or a name: \"Europe/Berlin\""));
    }
    let is_digit = |c: char| c.is_ascii_digit();
    let turned = |from: char, to: char| {
        let offset = zone.strip_prefix(from)?;
        match offset.split_at_checked(2) {
            Some((hours, minutes)) if minutes.len() == 2 && offset.chars().all(is_digit) => {
                Some(format!("{to}{hours}:{minutes}"))
            }
            _ => Some(format!("{to}{offset}")),
        }
    };
    Ok(turned('+', '-').or_else(|| turned('-', '+')).unwrap_or_else(|| zone.to_owned()))
}

/// A text member of a group's object.
pub(in crate::plan) fn text<'o>(
    options: &'o Map<String, Value>,
    member: &str,
) -> Result<Option<&'o str>> {
    match options.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text.as_str())),
        Some(_) => {
            Err(Error::new(Code::InvalidValue, format!("{member} is a text")).at(step(member)))
        }
    }
}

/// The length of a period, in units.
fn stretch(wanted: &str, data_type: &DataType, name: &str) -> Result<(bool, u16, &'static str)> {
    match several(wanted) {
        Some((times, unit)) if data_type.is_timestamp() => Ok((false, times, unit)),
        Some((_, unit)) => {
            let message = format!("{name} is {}, which has no {unit}", data_type.base().name);
            Err(Error::new(Code::InvalidValue, message).at("/bucket"))
        }
        None => Ok((false, 1, bucket_named(wanted)?)),
    }
}

/// `15 minutes`: the number and the unit. Only multiples that divide a day are possible.
fn several(wanted: &str) -> Option<(u16, &'static str)> {
    let (times, unit) = wanted.split_once(' ')?;
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let day = [("second", 86_400), ("minute", 1_440), ("hour", 24)];
    let (unit, of_day) = day.into_iter().find(|(name, _)| *name == unit)?;
    let times: u16 = times.parse().ok()?;
    (times > 0 && of_day % u32::from(times) == 0).then_some((times, unit))
}

fn bucket_named(wanted: &str) -> Result<&'static str> {
    BUCKETS.into_iter().find(|bucket| *bucket == wanted).ok_or_else(|| {
        let error = Error::new(Code::InvalidValue, format!("there is no bucket {wanted:?}"));
        let error = error.at("/bucket").allowed(BUCKETS);
        if wanted.starts_with(|first: char| first.is_ascii_digit()) {
            return error.hint("\"15 minutes\": seconds, minutes or hours that divide a day; a bucket of numbers is a number");
        }
        match part_meant(wanted) {
            Some(part) => error.hint(format!("a number is a part: {{\"part\": {part:?}}}")),
            None => error.nearest(wanted, BUCKETS),
        }
    })
}

fn part_named(wanted: &str, data_type: &DataType, name: &str) -> Result<&'static str> {
    let names = || PARTS.into_iter().map(|(name, _)| name);
    let Some((_, unit)) = PARTS.into_iter().find(|(name, _)| *name == wanted) else {
        let error = Error::new(Code::InvalidValue, format!("there is no part {wanted:?}"));
        let error = error.at("/part").allowed(names());
        return Err(match part_meant(wanted) {
            Some(part) => error.did_you_mean(part),
            None => error.nearest(wanted, names()),
        });
    };
    let of_the_clock = |name: &str| matches!(name, "minute" | "hour");
    let has = |name: &str| match of_the_clock(name) {
        true => !data_type.is_date(),
        false => data_type.has_day(),
    };
    match has(wanted) {
        true => Ok(unit),
        false => {
            let type_name = &data_type.base().name;
            let message = format!("{name} is {type_name}, which has no {wanted}");
            let error = Error::new(Code::InvalidValue, message).at("/part");
            Err(error.allowed(names().filter(|name| has(name))))
        }
    }
}
