//! `login` and `logout`.

use std::path::Path;
use std::process::Stdio;

use url::Url;

use super::args::common::Common;
use super::args::login::{Login, Logout};
use super::exit::Exit;
use super::output;
use super::shared::project;
use super::signals;
use crate::project::error::OpsError;
use crate::project::login;
use crate::project::wiring::Outside;
use crate::sys::process;

/// Programs that open an address in the user's browser, with what comes before the address.
const BROWSERS: [(&str, &[&str]); 1] = if cfg!(target_os = "macos") {
    [("open", &[])]
} else if cfg!(windows) {
    [("rundll32", &["url.dll,FileProtocolHandler"])]
} else {
    [("xdg-open", &[])]
};

/// Logs connections in, one after the other.
pub(super) async fn log_in(common: &Common, arguments: &Login) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    for chosen in login::chosen(&project, &arguments.names)? {
        let name = chosen.0.clone();
        let show = |address: &Url| {
            let opened = !arguments.no_browser && open(address, &project.loaded.root);
            let how = if opened { "a browser was opened; if none appears, open" } else { "open this in a browser:" };
            output::talk(&format!("log in to `{name}`: {how}"));
            output::address(address.as_str());
        };
        let done = login::log_in(&project, &chosen, arguments.within, show).await?;
        let account = done.account.map(|account| match done.service {
            "HubSpot" => format!(", portal {account}"),
            _ => format!(", org {account}"),
        });
        output::result(&format!(
            "`{}` is logged in to {}{}\n  its tokens are in `{}`, for their owner only\n",
            done.connection,
            done.service,
            account.unwrap_or_default(),
            done.file
        ));
    }
    Ok(Exit::Done)
}

/// Ends logins.
pub(super) async fn log_out(common: &Common, arguments: &Logout) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    for chosen in login::chosen(&project, &arguments.names)? {
        let (name, done) = (&chosen.0, login::log_out(&project, &chosen).await?);
        match (done.was, done.untold) {
            (false, _) => output::result(&format!("`{name}` was not logged in\n")),
            (true, None) => output::result(&format!("`{name}` is logged out: its tokens are revoked and removed\n")),
            (true, Some(why)) => {
                output::result(&format!("`{name}` is logged out here: its tokens are removed\n"));
                output::talk(&format!(
                    "{} could not be told ({why}): revoke the app there, where somebody else may have the tokens",
                    done.service
                ));
            }
        }
    }
    Ok(Exit::Done)
}

/// Opens an address in the user's browser; whether a program was found for it.
fn open(address: &Url, folder: &Path) -> bool {
    BROWSERS.iter().any(|(program, before)| {
        let Some(mut command) = process::of_user(program, folder) else { return false };
        command.args(*before).arg(address.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Not waited for: a browser may run on for as long as the person uses it.
        command.spawn().is_ok()
    })
}
