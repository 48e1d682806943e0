//! A server on an address: refused before it starts where it could not be used, or not safely.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::access::Access;
use super::connections;
use super::current::{Current, Open};
use super::routes::router;
use super::site::Site;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// Where a server listens, and who may ask it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The file with the token.
    pub token_file: Option<PathBuf>,
    /// Names of the server besides its address.
    pub hosts: Vec<String>,
    /// Show values of records.
    pub show_values: bool,
    /// Tell portals apart in metrics.
    pub portal_labels: bool,
}

/// A server that holds its address.
pub struct Server {
    listener: TcpListener,
    access: Access,
    shows: [bool; 2],
}

impl Server {
    /// Takes the address.
    ///
    /// Errors: `SL6030` where it cannot be had; those of [`Access::new`].
    pub async fn bind(options: &Options) -> Result<Self, OpsError> {
        let access = Access::new(options.listen, options.token_file.as_deref(), &options.hosts)?;
        let listen = options.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            let (why, help) = match error.kind() {
                ErrorKind::AddrInUse => {
                    ("another program has this port", "stop it, or choose another port; port 0 takes a free one")
                }
                ErrorKind::AddrNotAvailable => (
                    "it is no address of this computer",
                    "listen on `127.0.0.1:8321`, or on `0.0.0.0:8321` for all of them",
                ),
                ErrorKind::PermissionDenied => ("it is not allowed", "choose a port above 1023"),
                _ => ("the system refuses it", "choose another address"),
            };
            OpsError::refused("SL6030", format!("cannot listen on `{listen}`: {why} ({error})"), help)
        })?;
        let port = listener.local_addr().map_or(listen.port(), |address| address.port());
        Ok(Self { listener, access: access.on_port(port), shows: [options.show_values, options.portal_labels] })
    }

    /// The page's address.
    pub fn address(&self) -> String {
        self.listener.local_addr().map(|address| format!("http://{address}/")).unwrap_or_default()
    }

    /// Serves a project until somebody asks it to stop. `open` reads it again.
    pub async fn run(self, project: Project, open: Open) {
        let cancel = project.outside.cancel.clone();
        let current = Current::new(project, open).await;
        let site = Arc::new(Site::new(current, self.access, self.shows, cancel.clone()));
        connections::serve(self.listener, router(site), cancel).await;
    }
}
