//! Printing: results to stdout, talk to stderr. A closed pipe ends the output quietly.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

/// Whether colours are wanted on stdout.
pub fn colour(no_color: bool) -> bool {
    !no_color
        && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
        && io::stdout().is_terminal()
}

/// Whether a person sits at the terminal and can be asked.
pub fn interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Prints a result.
pub fn result(text: &str) {
    let mut stdout = io::stdout().lock();
    // Nobody reads any more when the pipe is closed; there is nothing left to say then.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") });
    let _ = stdout.flush();
}

/// Says something beside the result.
pub fn talk(text: &str) {
    let mut stderr = anstream::AutoStream::auto(io::stderr());
    let _ = writeln!(stderr, "{text}");
}

/// Says what went wrong, with its code and what to do.
pub fn error(message: &str, code: Option<&str>, help: Option<&str>) {
    let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
    let mut text = format!("{red}error{code}{red:#}: {message}");
    if let Some(help) = help {
        text.push_str(&format!("\n  = help: {help}"));
    }
    talk(&text);
}

/// Prints what the argument parser has to say.
pub fn clap(error: &clap::Error) {
    let _ = error.print();
}

/// Asks for yes or no on the terminal.
pub fn ask(question: &str) -> bool {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
