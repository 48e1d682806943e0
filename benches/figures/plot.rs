//! Plots of what happened second by second, as SVG that reads on light and on dark pages.

use std::fmt::Write as _;

use anyhow::Result;

/// A line of a plot: its name, and a value for each second.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
}

/// Size of a plot, and of the room for its axes on the left, below, and above.
const SIZE: (f64, f64) = (720.0, 300.0);
const LEFT: f64 = 64.0;
const BELOW: f64 = 40.0;
const ABOVE: f64 = 36.0;
const RIGHT: f64 = 16.0;

/// Told apart without colours as well: each has dashes of its own.
const STYLES: [(&str, &str); 4] = [("#2f6fde", ""), ("#d9822b", "7 4"), ("#2f9e6e", "2 3"), ("#b0509e", "10 3 2 3")];

/// Most marks of an axis.
const MARKS: f64 = 5.0;

/// Sums of the last ten values, from the tenth on: what a rolling window of ten seconds holds.
pub(crate) fn windows(seconds: &[u64]) -> Vec<f64> {
    seconds.windows(10).map(|window| window.iter().sum::<u64>() as f64).collect()
}

/// Writes a plot of lines over seconds; `limit` is drawn across it.
pub(crate) fn write(path: &str, title: &str, lines: &[Line], limit: Option<f64>) -> Result<()> {
    let longest = lines.iter().map(|line| line.values.len()).max().unwrap_or_default().max(2) as f64;
    let highest = lines.iter().flat_map(|line| &line.values).copied().chain(limit).fold(1.0, f64::max);
    let (across, up) = (step(longest), step(highest * 1.05));
    let top = (highest * 1.05 / up).ceil() * up;
    let x = |second: f64| LEFT + second / longest * (SIZE.0 - LEFT - RIGHT);
    let y = |value: f64| SIZE.1 - BELOW - value / top * (SIZE.1 - ABOVE - BELOW);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" font-family="sans-serif" font-size="12" fill="gray">
<title>{title}</title>
"#,
        SIZE.0, SIZE.1
    );
    let mut mark = 0.0;
    while mark <= top {
        let at = y(mark);
        writeln!(svg, r#"<path d="M{LEFT} {at:.1}H{}" stroke="gray" stroke-opacity=".3"/>"#, SIZE.0 - RIGHT)?;
        writeln!(svg, r#"<text x="{}" y="{:.1}" text-anchor="end">{mark}</text>"#, LEFT - 8.0, at + 4.0)?;
        mark += up;
    }
    let mut second = 0.0;
    while second <= longest {
        let below = SIZE.1 - BELOW + 18.0;
        writeln!(svg, r#"<text x="{:.1}" y="{below}" text-anchor="middle">{second} s</text>"#, x(second))?;
        second += across;
    }
    if let Some(limit) = limit {
        writeln!(svg, r##"<path d="M{LEFT} {:.1}H{}" stroke="#c33"/>"##, y(limit), SIZE.0 - RIGHT)?;
    }
    for (place, (line, (colour, dashes))) in lines.iter().zip(STYLES.iter().cycle()).enumerate() {
        let points: Vec<String> = line
            .values
            .iter()
            .enumerate()
            .map(|(second, value)| format!("{:.1} {:.1}", x(second as f64), y(*value)))
            .collect();
        let stroke = format!(r#"stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}""#);
        writeln!(svg, r#"<path d="M{}" fill="none" {stroke}/>"#, points.join("L"))?;
        let from = LEFT + 150.0 * place as f64;
        writeln!(svg, r#"<path d="M{from} 16h24" {stroke}/><text x="{}" y="20">{}</text>"#, from + 30.0, line.name)?;
    }
    svg.push_str("</svg>\n");
    std::fs::write(path, svg)?;
    Ok(())
}

/// A round distance between marks: one, two or five times a power of ten.
fn step(whole: f64) -> f64 {
    let rough = whole / MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough).unwrap_or(power)
}
