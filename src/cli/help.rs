//! The command line with its help: commands by what people are about, examples, exit codes, variables.

use clap::builder::StyledStr;
use clap::builder::styling::{Style, Styles};
use clap::{Command, CommandFactory};

use super::args::Arguments;

/// Commands by what people are about, in the order in which they meet them.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Get started", &["demo", "init", "login", "logout", "doctor", "sandbox"]),
    ("Define", &["discover", "new", "catalog", "validate", "test"]),
    ("Review", &["diff", "plan", "approve", "apply"]),
    ("Run", &["deploy", "import", "sync", "reconcile", "worker"]),
    ("Monitor", &["status", "runs", "failures", "alerts", "state", "why", "serve", "mcp"]),
    ("Learn", &["explain", "schema", "completions", "man", "help"]),
];

/// Examples of commands, each with what it does.
const EXAMPLES: [(&str, &[(&str, &str)]); 21] = [
    ("demo", &[("syncline demo --keep demo", "keep the demo's project, to look at it afterwards")]),
    (
        "new",
        &[
            ("syncline new invoices --source Invoice__c --target invoices", "a pipeline with suggested fields"),
            (
                "syncline new invoices --source Invoice__c --target invoices --create-target",
                "the HubSpot object it needs",
            ),
        ],
    ),
    ("discover", &[("syncline discover Invoice__c", "the fields of one object")]),
    (
        "validate",
        &[
            ("syncline validate", "all definitions, offline"),
            ("syncline validate --online --deny warnings", "against both systems, and strict"),
            ("syncline validate 'modified:origin/main'", "only what a branch changed"),
        ],
    ),
    ("test", &[("syncline test invoices", "the tests beside one pipeline")]),
    ("diff", &[("syncline diff --base origin/main --records", "a branch's changes, and what they do to records")]),
    (
        "plan",
        &[
            ("syncline plan invoices --sample 50", "more examples of what would change"),
            ("syncline plan --out tonight.plan", "save it, for `syncline apply tonight.plan`"),
            ("syncline plan --only archive,reject", "only the dangerous part"),
            ("syncline plan --values none --report plan.html", "a page without any record's values"),
        ],
    ),
    ("apply", &[("syncline apply tonight.plan --yes", "do exactly what was planned")]),
    (
        "deploy",
        &[
            ("syncline deploy --dry-run", "what would change, pipeline by pipeline"),
            ("syncline deploy --rollback", "back to the deployment before"),
            ("syncline deploy --list", "what was deployed, when and by whom"),
        ],
    ),
    (
        "import",
        &[
            ("syncline import invoices --limit 10", "try it with the first ten records"),
            ("syncline import invoices", "copy the existing records"),
            ("syncline import --stale invoices", "only those that a changed mapping touches"),
        ],
    ),
    (
        "sync",
        &[
            ("syncline sync", "run on, each pipeline at its own pace"),
            ("syncline sync --once --format json", "one cycle, from cron"),
            ("syncline sync --listen 127.0.0.1:8321", "with a page to look at"),
        ],
    ),
    ("reconcile", &[("syncline reconcile invoices", "repair what differs; `syncline plan --reconcile` foretells it")]),
    (
        "worker",
        &[
            ("syncline worker", "all targets of the project whose state is in one database"),
            ("syncline worker --target eu --import", "one of them, with its first import"),
        ],
    ),
    (
        "runs",
        &[
            ("syncline runs --pipeline invoices", "the history of one pipeline"),
            ("syncline runs PCE1MNV2 --errors failed.csv", "the records that failed in one run"),
        ],
    ),
    (
        "failures",
        &[
            ("syncline failures", "what failed, by reason"),
            ("syncline failures list --each --code SL5005", "every record of one reason"),
            ("syncline failures retry --code SL5005", "try them again with the next sync"),
        ],
    ),
    (
        "login",
        &[
            ("syncline login", "every connection that logs in by a browser"),
            ("syncline login hubspot --no-browser", "print the address, to open it yourself"),
        ],
    ),
    ("doctor", &[("syncline doctor --target prod --quiet", "only what needs somebody, of one target")]),
    (
        "state",
        &[
            ("syncline state backup state-copy.db", "a copy, also while a sync runs"),
            ("syncline state check", "go through the whole file"),
            ("syncline state forget invoices", "forget a pipeline, to import it anew"),
        ],
    ),
    (
        "serve",
        &[
            ("syncline serve", "a page on this computer: http://127.0.0.1:8321/"),
            ("syncline serve --token-file page.token", "where failures can be retried and dismissed, too"),
        ],
    ),
    ("explain", &[("syncline explain SL5005", "what a code means and what to do")]),
    (
        "sandbox",
        &[
            ("syncline sandbox --write syncline.yaml", "with a project file that points to it"),
            ("syncline sandbox --samples --write syncline.yaml", "with what all sample pipelines need"),
            ("syncline sandbox --records 10000 --latency 50ms", "more records, and a slow network"),
        ],
    ),
];

/// What every command's exit code means; `exit.rs` has the same table as a type.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "done"),
    ("1", "failed or invalid"),
    ("2", "changes were found (`plan --detailed-exitcode`, `diff --exit-code`, `catalog pull --check`)"),
    ("3", "done, but some records failed and are kept under `failures`"),
    ("64", "wrong command line"),
    ("130", "interrupted, state saved"),
];

/// Variables of the environment that are heeded.
const VARIABLES: [(&str, &str); 8] = [
    ("NO_COLOR", "no colours, whatever the terminal"),
    ("CLICOLOR_FORCE", "colours even in files and pipes"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy for outgoing connections"),
    ("SYNCLINE_TARGET", "the target, unless `--target` names one"),
    ("SYNCLINE_SECRET_COMMAND", "the command that gives the secrets of `${secret:NAME}`"),
    ("SYNCLINE_ALLOW_SECRET_COMMAND", "the `secret_command` of the project that may be run"),
    ("SYNCLINE_SECRETS_DIR", "a folder with a file for each secret"),
    ("${NAME} in syncline.yaml", "any variable that the file refers to, or that `.env` beside it sets"),
];

/// The whole command line.
pub fn command() -> Command {
    let mut command = Arguments::command();
    for (name, examples) in EXAMPLES {
        command = command.mut_subcommand(name, |subcommand| subcommand.after_help(titled("Examples", examples, true)));
    }
    let groups = groups(&command);
    command.help_template(groups).after_long_help(more())
}

/// The help of the program: commands in their groups, then the options.
fn groups(command: &Command) -> StyledStr {
    let about = |name: &str| {
        let subcommand = command.get_subcommands().find(|command| command.get_name() == name);
        subcommand
            .and_then(Command::get_about)
            .map_or_else(|| "Show help for a command".to_owned(), ToString::to_string)
    };
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n\n".to_owned();
    for (title, names) in GROUPS {
        let rows: Vec<(&str, String)> = names.iter().map(|name| (*name, about(name))).collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(name, about)| (*name, about.as_str())).collect();
        text.push_str(&titled(title, &rows, false));
        text.push('\n');
    }
    let header = *Styles::styled().get_header();
    text.push_str(&format!("{header}Options:{header:#}\n{{options}}{{after-help}}"));
    StyledStr::from(text)
}

fn more() -> String {
    format!(
        "{}\n{}\nMore about a command: `syncline help COMMAND`. About an error code: `syncline explain CODE`.",
        titled("Exit codes", &EXIT_CODES, false),
        titled("Environment", &VARIABLES, false)
    )
}

/// Rows of two columns under a title; with `stacked`, the second below the first.
fn titled(title: &str, rows: &[(&str, &str)], stacked: bool) -> String {
    let styles = Styles::styled();
    let (header, literal) = (*styles.get_header(), *styles.get_literal());
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut text = format!("{header}{title}:{header:#}\n");
    for (name, about) in rows {
        let gap = if stacked { "\n      ".to_owned() } else { " ".repeat(width - name.chars().count() + 2) };
        text.push_str(&format!("  {}{gap}{about}\n", styled(literal, name)));
    }
    text
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_stands_in_one_group() {
        let mut command = command();
        command.build();
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        let known: BTreeSet<&str> = shown.map(Command::get_name).collect();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.len(), known.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn examples_are_command_lines_that_are_understood() {
        for (name, examples) in EXAMPLES {
            for (line, _) in examples {
                let words = line.split(' ').map(|word| word.trim_matches('\''));
                let parsed = command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
                assert_eq!(line.split(' ').nth(1), Some(name));
            }
        }
    }
}
