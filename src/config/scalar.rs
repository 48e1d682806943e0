//! Small values of definitions: scalars, durations, limits. Written by hand, so that each says what it expects.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text, number or boolean, kept as the text that stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

/// A duration such as `90s`, `5m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationText(pub Duration);

/// A duration, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// Never.
    Off,
    /// So often.
    Every(DurationText),
}

/// A moment such as `2026-10-01T09:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MomentText(pub Timestamp);

/// A count of records (`500`) or a share of them (`10%`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GuardLimit {
    /// At most so many.
    Count(u64),
    /// At most this share, in percent.
    Percent(f64),
}

/// A share such as `20%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

impl DurationText {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    fn parse(text: &str) -> Option<Self> {
        // The schema's pattern has been checked, so the last byte is one of four letters.
        let (number, unit) = text.split_at(text.len().checked_sub(1)?);
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let seconds = number.parse::<u64>().ok()?.checked_mul(factor)?;
        // A thousand years keep every sum of times within range.
        (seconds <= 365_000 * 86_400).then_some(Self::seconds(seconds))
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        // In the largest unit that divides it, as a person would have written it.
        match units.into_iter().find(|(factor, _)| seconds > 0 && seconds.is_multiple_of(*factor)) {
            Some((factor, unit)) => write!(f, "{}{unit}", seconds / factor),
            None => write!(f, "{seconds}s"),
        }
    }
}

impl Interval {
    /// Every so many seconds.
    pub const fn every_seconds(seconds: u64) -> Self {
        Self::Every(DurationText::seconds(seconds))
    }
}

impl Default for GuardLimit {
    fn default() -> Self {
        // More than a usual day brings, and far less than a wrong filter takes.
        Self::Percent(10.0)
    }
}

/// A share written with `%`, from 0 to 100.
pub fn percent(text: &str) -> Option<f64> {
    let share: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    (0.0..=100.0).contains(&share).then_some(share)
}

/// Takes any scalar as text.
struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whatever type the reader gave it: a scalar is kept as it stands, and the schema says where one may.
        deserializer.deserialize_any(Text("a text, a number or a boolean")).map(Self)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a duration such as `90s`, `5m`, `24h` or `7d`"))?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration such as `90s`, `5m`, `24h` or `7d`")))
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MomentText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a moment such as `2026-10-01T09:00:00Z`"))?;
        let moment = text.parse().map(Self);
        moment.map_err(|_| D::Error::custom(format!("`{text}` is not a moment such as `2026-10-01T09:00:00Z`")))
    }
}

impl Serialize for MomentText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a duration such as `24h`, or `off`"))?;
        // Some YAML readers take an unquoted `off` for a boolean.
        if text == "off" || text == "false" {
            return Ok(Self::Off);
        }
        let every = DurationText::parse(&text);
        every
            .map(Self::Every)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is neither a duration such as `24h` nor `off`")))
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Every(every) => every.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for GuardLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a count such as `500`, or a share such as `10%`"))?;
        let limit = text.parse().map(Self::Count).ok().or_else(|| percent(&text).map(Self::Percent));
        limit.ok_or_else(|| {
            D::Error::custom(format!("`{text}` is neither a count such as `500` nor a share such as `10%`"))
        })
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a share such as `20%`"))?;
        percent(&text).map(Self).ok_or_else(|| D::Error::custom(format!("`{text}` is no share such as `20%`")))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}%", self.0))
    }
}

impl Serialize for GuardLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, a number or a boolean.",
            "type": ["string", "number", "boolean"],
        })
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: a number and a unit, `s`, `m`, `h` or `d`.",
            "type": "string",
            "pattern": "^[0-9]{1,9}[smhd]$",
            "examples": ["90s", "5m", "24h", "7d"],
        })
    }
}

impl JsonSchema for MomentText {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A moment with its offset.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})$",
            "examples": ["2026-10-01T09:00:00Z"],
        })
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration such as `24h`, or `off`.",
            "type": ["string", "boolean"],
            "pattern": "^(off|false|[0-9]{1,9}[smhd])$",
            "examples": ["24h", "off"],
        })
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share such as `20%`.",
            "type": "string",
            "pattern": "^(100|[0-9]{1,2})(\\.[0-9]+)?%$",
            "examples": ["20%"],
        })
    }
}

impl JsonSchema for GuardLimit {
    fn schema_name() -> Cow<'static, str> {
        "GuardLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A count of records such as `500`, or a share of them such as `10%`.",
            "type": ["string", "integer"],
            "minimum": 0,
            "pattern": "^([0-9]{1,12}|(100|[0-9]{1,2})(\\.[0-9]+)?%)$",
            "examples": ["10%", 500],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: for<'de> Deserialize<'de> + PartialEq + fmt::Debug>(yaml: &str, expected: Option<T>) {
        assert_eq!(serde_yaml::from_str::<T>(yaml).ok(), expected, "{yaml}");
    }

    #[test]
    fn small_values_are_read() {
        check("text", Some(Scalar("text".into())));
        check("12", Some(Scalar("12".into())));
        check("true", Some(Scalar("true".into())));
        check("'0.10'", Some(Scalar("0.10".into())));
        check::<Scalar>("[1]", None);
        check("90s", Some(DurationText::seconds(90)));
        check("7d", Some(DurationText::seconds(604_800)));
        check::<DurationText>("5", None);
        check::<DurationText>("5 m", None);
        check::<DurationText>("99999999999999999999s", None);
        check("2026-10-01T09:00:00Z", Some(MomentText("2026-10-01T09:00:00Z".parse().unwrap())));
        check::<MomentText>("2026-10-01", None);
        check("off", Some(Interval::Off));
        check("false", Some(Interval::Off));
        check("24h", Some(Interval::every_seconds(86_400)));
        check("500", Some(GuardLimit::Count(500)));
        check("10%", Some(GuardLimit::Percent(10.0)));
        check::<GuardLimit>("110%", None);
        check::<GuardLimit>("-1", None);
    }

    #[test]
    fn durations_print_in_their_largest_unit() {
        for (seconds, text) in [(0, "0s"), (90, "90s"), (300, "5m"), (86_400, "1d"), (7_200, "2h")] {
            assert_eq!(DurationText::seconds(seconds).to_string(), text);
        }
    }
}
