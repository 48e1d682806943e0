//! Times and rates as the command line takes them.

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
        assert!(rate("190/10s") == Ok((190, seconds(10))) && rate("190").is_err());
    }
}
