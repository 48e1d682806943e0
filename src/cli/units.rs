//! Times and rates as the command line takes them.

use std::net::SocketAddr;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A time such as `50ms`, `10s`, `5m`, `2h`, `1d`.
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "expected a time such as `50ms`, `10s` or `5m`".to_owned())?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    };
    let milliseconds = milliseconds.ok_or_else(|| "expected a unit: `ms`, `s`, `m`, `h` or `d`".to_owned())?;
    Ok(std::time::Duration::from_millis(milliseconds))
}

/// A moment in the past: a moment or a day in UTC, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// That moment; of a day its beginning.
    At(Timestamp),
    /// So long ago.
    Ago(SignedDuration),
}

/// `2026-11-25T08:00:00Z`, `2026-11-25`, or `2h`.
pub fn since(text: &str) -> Result<Since, String> {
    // A moment without a zone is nobody's, so only a day goes without.
    let day = Some(text).filter(|text| text.len() == "2026-11-25".len()).and_then(|text| text.parse::<Date>().ok());
    let midnight = day.and_then(|day| TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).ok());
    if let Some(at) = midnight.or_else(|| text.parse::<Timestamp>().ok()) {
        return Ok(Since::At(at));
    }
    let expected = || "expected a moment such as `2026-11-25T08:00:00Z`, a day such as `2026-11-25` (from midnight, UTC), or a time such as `2h`";
    let ago = duration(text).map_err(|_| expected().to_owned())?;
    SignedDuration::try_from(ago).map(Since::Ago).map_err(|_| expected().to_owned())
}

/// Where to listen: an address with a port, or `localhost` with one.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let expected =
        || "expected an address with a port, such as `127.0.0.1:8321`, `[::1]:8321` or `0.0.0.0:8321`".to_owned();
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| expected())
}

/// Where the sandbox listens: as [`address`], with an example that it takes.
pub(super) fn local(text: &str) -> Result<SocketAddr, String> {
    address(text)
        .map_err(|_| "expected an address with a port, such as `127.0.0.1:8090`; port 0 takes a free one".to_owned())
}

/// A whole number.
pub(super) fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    // What the standard library says of a wrong one speaks of digits and types.
    text.parse().map_err(|_| "expected a whole number, such as `10`".to_owned())
}

/// A whole number of at least one.
pub(super) fn at_least_one(text: &str) -> Result<u64, String> {
    whole(text).ok().filter(|number| *number > 0).ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

/// The name of a target. A blank one comes from a variable of a script that is not set, and must not mean other accounts.
pub(super) fn target(text: &str) -> Result<String, String> {
    let named = Some(text).filter(|text| !text.trim().is_empty()).map(str::to_owned);
    named.ok_or_else(|| {
        "expected the name of a target; set the variable that gives it, or leave the flag out".to_owned()
    })
}

/// Calls in a time: `190/10s`.
pub(super) fn rate(text: &str) -> Result<(u32, std::time::Duration), String> {
    let (calls, time) = text.split_once('/').ok_or("expected calls in a time, such as `190/10s`")?;
    Ok((calls.parse().map_err(|_| "expected a number of calls".to_owned())?, duration(time)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_read() {
        let seconds = std::time::Duration::from_secs;
        assert_eq!((duration("50ms"), duration("2h")), (Ok(seconds(5) / 100), Ok(seconds(7_200))));
        assert!(["2", "x", "99999999999999999999d"].iter().all(|text| duration(text).is_err()));
        assert_eq!(since("90m"), Ok(Since::Ago(SignedDuration::from_mins(90))));
        let at = |text: &str| Ok(Since::At(text.parse().unwrap()));
        assert_eq!(since("2026-11-25"), at("2026-11-25T00:00:00Z"));
        assert_eq!(since("2026-11-25T08:00:00+02:00"), at("2026-11-25T06:00:00Z"));
        for text in ["2026-11-25T08:00:00", "2026-13-01", "yesterday", "", "2", "-2h", "25.11.2026"] {
            assert!(since(text).is_err(), "{text}");
        }
        assert_eq!(address("localhost:80"), address("127.0.0.1:80"));
        assert!(
            address("[::1]:0").is_ok()
                && ["8321", ":8321", "127.0.0.1", "example.com:80", ""].iter().all(|text| address(text).is_err())
        );
        assert!(local("127.0.0.1:99999").is_err_and(|why| why.contains("8090")) && local("localhost:0").is_ok());
        assert_eq!((whole("10"), at_least_one("1")), (Ok(10_usize), Ok(1)));
        assert!(whole::<u64>("many").is_err() && whole::<u64>("-1").is_err() && at_least_one("0").is_err());
        assert!(target("prod") == Ok("prod".to_owned()) && target("").is_err() && target(" \t").is_err());
        assert!(rate("190/10s") == Ok((190, seconds(10))) && rate("190").is_err());
    }
}
