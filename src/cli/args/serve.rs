//! Flags of the page to look at.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::units;
use crate::serve::server::Options;

/// Where the page is when nothing else is said.
const USUAL: &str = "127.0.0.1:8321";

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen; another address than one of this computer needs `--token-file`; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = USUAL, value_parser = units::address)]
    pub listen: SocketAddr,
    /// Who may ask, and what is shown.
    #[command(flatten)]
    pub page: Page,
}

/// What a sync serves beside its work.
#[derive(Debug, Args)]
pub struct Beside {
    /// Also serve the page and the metrics of `syncline serve` here, such as 127.0.0.1:8321
    #[arg(long, value_name = "ADDR", value_parser = units::address, conflicts_with = "once")]
    pub listen: Option<SocketAddr>,
    /// Who may ask, and what is shown.
    #[command(flatten)]
    pub page: PageBeside,
}

/// Who may ask a server, and what it shows.
#[derive(Debug, Clone, Default, Args)]
pub struct Page {
    /// File with the token that changes need, and readers on other computers; its owner alone may read it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Another name of the server, such as that of a proxy before it; may be given several times
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Show values of records; they are hidden otherwise
    #[arg(long)]
    pub show_values: bool,
    /// In `/metrics`, tell portals apart by their names: some samples for each
    #[arg(long)]
    pub portal_labels: bool,
}

/// The same where nothing is served unless it is asked for.
#[derive(Debug, Clone, Default, Args)]
pub struct PageBeside {
    /// With `--listen`: file with the token that changes need, and readers on other computers
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub token_file: Option<PathBuf>,
    /// With `--listen`: another name of the server; may be given several times
    #[arg(long, value_name = "NAME", requires = "listen")]
    pub host: Vec<String>,
    /// With `--listen`: show values of records on the page
    #[arg(long, requires = "listen")]
    pub show_values: bool,
}

impl Serve {
    /// How to serve.
    pub fn options(&self) -> Options {
        options(self.listen, self.page.clone())
    }
}

impl Beside {
    /// How to serve, where that is asked for.
    pub fn options(&self) -> Option<Options> {
        let PageBeside { token_file, host, show_values } = self.page.clone();
        Some(options(self.listen?, Page { token_file, host, show_values, portal_labels: false }))
    }
}

fn options(listen: SocketAddr, page: Page) -> Options {
    let Page { token_file, host, show_values, portal_labels } = page;
    Options { listen, token_file, hosts: host, show_values, portal_labels }
}
