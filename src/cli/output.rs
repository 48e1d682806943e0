//! Printing: results to stdout, talk to stderr. Everything passes here: secrets are masked, and no text of others can turn
//! a terminal, forge a line or give an order to a build server. A closed pipe ends the output quietly.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::colour;
use super::render::markdown;
use crate::model::text;
use crate::sys::secrets::masked;

/// Whether a person sits at the terminal and can be asked.
pub fn interactive() -> bool {
    // A question goes to stderr, so that stdout may be redirected.
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether results go to a screen, whose width bounds a line.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints a result.
pub fn result(text: &str) {
    out(&text::screen(&masked(text)));
}

/// Prints a result whose colours are our own: each text of others in it was cleaned when it was put in.
pub fn styled(text: &str) {
    let text = masked(text);
    if colour::of_results() { out(&screen_in_colour(&text)) } else { out(&text::screen(&text)) }
}

/// Prints Markdown of ours, in which marks without a width keep texts of others from being links and mentions.
pub fn markdown(page: &str) {
    // The mark itself would be replaced as unsafe, so it is taken out and put back.
    let parts: Vec<String> = masked(page).split(markdown::APART).map(|part| text::screen(part).into_owned()).collect();
    out(&parts.join(&markdown::APART.to_string()));
}

/// Prints a result as JSON.
pub fn json<T: Serialize>(value: &T) {
    json_text(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a result that is JSON already.
pub fn json_text(text: &str) {
    out(&json_form(text));
}

/// JSON without secrets and without anything unsafe; it means the same.
pub fn json_form(text: &str) -> String {
    text::json(&masked(text)).into_owned()
}

/// Prints lines that a build server is to take for commands; each was made by [`text::workflow_command`].
pub fn commands(lines: &[String]) {
    if !lines.is_empty() {
        let keep = |letter: char| if letter == '\n' { letter } else { text::visible(letter) };
        out(&masked(&lines.join("\n")).chars().map(keep).collect::<String>());
    }
}

fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    // Nobody reads any more when the pipe is closed; there is nothing left to say then.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") });
    let _ = stdout.flush();
}

/// Target of the events that stand for talk, where the log is in JSON.
pub const TALK: &str = "syncline::talk";

/// Whether talk goes into the log, so that all of stderr is in one form.
static AS_EVENTS: AtomicBool = AtomicBool::new(false);

/// From now on, what is said beside results is an event of the log.
pub fn talk_as_events(on: bool) {
    AS_EVENTS.store(on, Ordering::Relaxed);
}

/// Says something as an event, where the log is in JSON; blank lines are for people only.
fn is_an_event(text: &str) -> bool {
    let on = AS_EVENTS.load(Ordering::Relaxed);
    if on && !text.trim().is_empty() {
        let plain = anstream::adapter::strip_str(text).to_string();
        tracing::info!(target: TALK, "{}", text::screen(&masked(&plain)));
    }
    on
}

/// Says something beside the result.
pub fn talk(text: &str) {
    if is_an_event(text) {
        return;
    }
    let _ = writeln!(io::stderr(), "{}", text::screen(&masked(text)));
}

/// Says an address that a person is to open. It is not masked, since it holds the id of an app, which is no secret beside it; an address has
/// no letter that a terminal would take for an order.
pub fn address(address: &str) {
    if AS_EVENTS.load(Ordering::Relaxed) {
        tracing::info!(target: TALK, "{}", text::line(address));
        return;
    }
    let _ = writeln!(io::stderr(), "\n  {}\n", text::line(address));
}

/// The same with colours of our own: each text of others in it was cleaned when it was put in.
pub fn talk_styled(text: &str) {
    if is_an_event(text) {
        return;
    }
    let text = masked(text);
    let text = if colour::of_talk() { screen_in_colour(&text) } else { text::screen(&text).into_owned() };
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what went wrong, with its code and what to do.
pub fn error(message: &str, code: Option<&str>, help: Option<&str>) {
    let message = &text::without_error_numbers(message);
    if AS_EVENTS.load(Ordering::Relaxed) {
        tracing::error!(target: TALK, code, help, "{}", text::line(&masked(message)));
        return;
    }
    let red = if colour::of_talk() { Style::new().fg_color(Some(AnsiColor::Red.into())).bold() } else { Style::new() };
    let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
    let mut text = format!("{red}error{code}{red:#}: {}", text::line(message));
    if let Some(help) = help {
        text.push_str(&format!("\n  = help: {}", text::line(help)));
    }
    talk_styled(&text);
}

/// A text for a screen in which colours, and nothing else of what begins with an escape, are kept.
fn screen_in_colour(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        shown.push_str(&text::screen(&rest[..at]));
        let code = &rest[at + 2..];
        // Colour codes are digits and semicolons up to an `m`; anything else moves the cursor or sets the title.
        let end = code.find(|letter: char| !letter.is_ascii_digit() && letter != ';');
        match end.filter(|end| code[*end..].starts_with('m')) {
            Some(end) => {
                shown.push_str(&rest[at..at + 2 + end + 1]);
                rest = &code[end + 1..];
            }
            None => {
                shown.push('\u{fffd}');
                rest = &rest[at + 1..];
            }
        }
    }
    shown.push_str(&text::screen(rest));
    shown
}

/// Prints what the argument parser has to say.
pub fn clap(error: &clap::Error) {
    let plain = error.render().to_string();
    // Its own printing has colours; what would have to be changed is printed plainly.
    let clean = matches!(text::screen(&plain), Cow::Borrowed(_)) && matches!(masked(&plain), Cow::Borrowed(_));
    if clean {
        let _ = error.print();
    } else if error.use_stderr() {
        talk(plain.trim_end());
    } else {
        result(&plain);
    }
}

/// Asks for yes or no on the terminal.
pub fn ask(question: &str) -> bool {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{} [y/N] ", text::line(&masked(question)));
    let _ = stderr.flush();
    let mut answer = String::new();
    // Anything but yes is no: an empty line must not start a copy.
    io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// One event of the log, or several, as stderr may have it: a line each.
pub fn log(bytes: &[u8], in_json: bool, in_colour: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = masked(text.strip_suffix('\n').unwrap_or(&text)).into_owned();
    // A value with a line break must not forge a second event.
    let line = |text: &str| text.replace('\n', "↵");
    match (in_json, in_colour) {
        (true, _) => text::json(&line(&text)).into_owned() + "\n",
        (false, true) => screen_in_colour(&line(&text)) + "\n",
        (false, false) => text::line(&text).into_owned() + "\n",
    }
}

/// Tells of a panic as of any error: without secrets, and with what to do.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let reason = panic.payload_as_str().unwrap_or("no reason is known");
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        let help = "what HubSpot acknowledged is saved; please report this message";
        error(&format!("this is a bug in Syncline: {reason}{place}"), Some("SL9002"), Some(help));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_our_own_stay_and_nothing_else_does() {
        assert_eq!(screen_in_colour("\u{1b}[1;31mred\u{1b}[0m\n"), "\u{1b}[1;31mred\u{1b}[0m\n");
        assert_eq!(screen_in_colour("\u{1b}[2Jx\u{1b}]0;t\u{7}"), "\u{fffd}[2Jx\u{fffd}]0;t\u{fffd}");
    }

    #[test]
    fn an_event_of_the_log_is_one_line() {
        assert_eq!(log(b"WARN a=\"b\nERROR forged\x1b[2J\"\n", false, false), "WARN a=\"b↵ERROR forged\u{fffd}[2J\"\n");
        assert_eq!(log("{\"a\":\"\u{202e}b\"}\n".as_bytes(), true, false), "{\"a\":\"\\u202eb\"}\n");
    }
}
