//! What a person's login left: tokens in a file for its owner only, which processes of this computer share.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::fault::{Fault, RemoteError};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::files::{self, Readers};
use crate::sys::secrets;

/// Version of the file.
const VERSION: u32 = 1;

/// Largest file, in bytes: a few tokens of some thousand letters each.
const BYTES_MAX: u64 = 256 * 1024;

/// How often a file that another process holds is looked at again, and for how long: that one asks for a token meanwhile, which
/// takes it half a minute at most.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 1_200;

/// What a person's login left.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLogin {
    version: u32,
    /// The address that was logged in at.
    pub address: String,
    /// The app that was logged in by.
    pub client_id: String,
    /// The org or portal.
    pub account: Option<String>,
    /// When the person logged in.
    pub since: Timestamp,
    /// What a new access token is had for.
    pub refresh_token: String,
    /// The present access token.
    pub access_token: String,
    /// Until when it is good, where that was told.
    pub until: Option<Timestamp>,
    /// The address that it is good for, where it is another one.
    pub instance_url: Option<String>,
}

/// Where a connection keeps what a login left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFile {
    /// The file.
    pub path: PathBuf,
    /// The connection's name.
    pub connection: String,
    /// `Salesforce` or `HubSpot`.
    pub service: &'static str,
}

impl StoredLogin {
    /// What a login at an address has brought.
    pub fn new(address: &str, client_id: &str, since: Timestamp, refresh_token: String, access_token: String) -> Self {
        Self {
            version: VERSION,
            address: address.to_owned(),
            client_id: client_id.to_owned(),
            account: None,
            since,
            refresh_token,
            access_token,
            until: None,
            instance_url: None,
        }
    }
}

impl std::fmt::Debug for StoredLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredLogin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl LoginFile {
    /// What is stored for an address and an app.
    ///
    /// Errors: nobody has logged in there (`SL4201`); others may read the file, or it cannot be read (`SL4203`).
    pub fn read(&self, address: &str, client_id: &str) -> Result<StoredLogin, Fault> {
        let shown = self.path.display();
        let (bytes, private) = match files::read_private(&self.path, BYTES_MAX).map_err(io::Error::from) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.not_logged_in("nobody has logged in to this connection".to_owned()));
            }
            Err(error) => return Err(self.unusable(format!("`{shown}` cannot be read: {error}"))),
        };
        if !private {
            let message = format!("others may read `{shown}`, which holds the tokens of the login");
            let help = format!(
                "nothing was sent; `chmod 600 {shown}`, and where somebody may have read it, `syncline logout {0}` and `syncline login {0}`",
                self.connection
            );
            return Err(self.halt("SL4203", message, help));
        }
        let stored: StoredLogin = match serde_json::from_slice(&bytes) {
            Ok(stored) => stored,
            // The decoder's own words could quote a token.
            Err(_) => return Err(self.unusable(format!("`{shown}` does not hold a login"))),
        };
        if stored.version != VERSION {
            return Err(self.unusable(format!("`{shown}` is of version {}, and {VERSION} is known", stored.version)));
        }
        secrets::remember_session(&stored.refresh_token);
        secrets::remember_session(&stored.access_token);
        if stored.address != address || stored.client_id != client_id {
            return Err(self.not_logged_in(format!(
                "the login that is stored is one at `{}`, or by another app than the connection names",
                stored.address
            )));
        }
        Ok(stored)
    }

    /// What is stored, whoever may read it; none where there is nothing, or something else.
    pub fn stored(&self) -> Option<StoredLogin> {
        let stored: StoredLogin = serde_json::from_slice(&files::read(&self.path, BYTES_MAX).ok()?).ok()?;
        secrets::remember_session(&stored.refresh_token);
        secrets::remember_session(&stored.access_token);
        Some(stored)
    }

    /// Stores a login at once, for its owner only.
    pub fn write(&self, login: &StoredLogin) -> Result<(), Fault> {
        secrets::remember_session(&login.refresh_token);
        secrets::remember_session(&login.access_token);
        let write = || {
            self.make_folder()?;
            let text = serde_json::to_vec_pretty(login)?;
            // At once: a half-written file would hold no token that works, and the old one may be over.
            files::replace(&self.path, &text, Readers::Owner)
        };
        write().map_err(|error: io::Error| {
            self.unusable(format!("the tokens cannot be stored in `{}`: {error}", self.path.display()))
        })
    }

    /// Takes the file away; whether there was one.
    pub fn remove(&self) -> Result<bool, Fault> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.unusable(format!("`{}` cannot be removed: {error}", self.path.display()))),
        }
    }

    /// Holds the login until what is given back is dropped, so that one process at a time asks for a new token.
    pub async fn locked(&self, clock: &Clock, cancel: &Cancel) -> Result<File, Fault> {
        let failed = |error: io::Error| self.unusable(format!("`{}` cannot be locked: {error}", self.path.display()));
        self.make_folder().map_err(failed)?;
        let file = files::open_lock(&self.path.with_extension("lock")).map_err(failed)?;
        for _ in 0..LOOKS_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
            tokio::select! {
                () = clock.sleep(LOOK_EVERY) => {}
                () = cancel.cancelled() => return Err(Fault::Cancelled),
            }
        }
        let message = "another process has held the stored login for a minute".to_owned();
        Err(Fault::Retry(self.error("SL4203", message, "look for a Syncline that hangs, and end it".to_owned())))
    }

    fn make_folder(&self) -> io::Result<()> {
        let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new("")) else { return Ok(()) };
        // That of the state, which is for its owner as well, may not be there yet.
        folder.parent().filter(|state| *state != Path::new("")).map_or(Ok(()), files::private_folder)?;
        files::private_folder(folder)
    }

    /// Nobody is logged in.
    fn not_logged_in(&self, message: String) -> Fault {
        self.halt("SL4201", message, format!("`syncline login {}`", self.connection))
    }

    /// The service does not know the refresh token any more.
    pub fn over(&self, message: &str) -> Fault {
        let message = format!("the login is over: {message}");
        let help = format!(
            "nothing was written; log in again: `syncline login {}`. A login ends when somebody revokes it, when the app or the user is \
             switched off, or when it was not used for as long as the app allows",
            self.connection
        );
        self.halt("SL4202", message, help)
    }

    fn unusable(&self, message: String) -> Fault {
        let help = format!("correct the file or its folder, or `syncline login {}` again", self.connection);
        self.halt("SL4203", message, help)
    }

    /// An error that a person must see to.
    pub fn halt(&self, code: &'static str, message: String, help: String) -> Fault {
        Fault::Halt(self.error(code, message, help))
    }

    /// The same without its kind.
    pub fn error(&self, code: &'static str, message: String, help: String) -> RemoteError {
        RemoteError {
            code,
            service: self.service,
            operation: "log in".to_owned(),
            status: None,
            message: secrets::masked(&message).into_owned(),
            help: Some(help),
            request_id: None,
            attempts: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(folder: &Path) -> LoginFile {
        LoginFile { path: folder.join("logins/crm.json"), connection: "crm".to_owned(), service: "HubSpot" }
    }

    fn login() -> StoredLogin {
        let since = "2026-10-01T09:00:00Z".parse().unwrap();
        StoredLogin::new("https://x.example/", "app-1", since, "refresh-token-1".into(), "access-token-1".into())
    }

    #[track_caller]
    fn refused(file: &LoginFile, expected: &str, words: &str) {
        let Err(Fault::Halt(error)) = file.read("https://x.example/", "app-1") else { panic!("{expected}") };
        let text = format!("{error} {}", error.help.as_deref().unwrap_or_default());
        assert!(error.code == expected && text.contains(words), "{} {text}", error.code);
        assert!(!text.contains("token-1"), "{text}");
    }

    #[test]
    fn a_login_is_stored_for_its_owner_and_read_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        refused(&file, "SL4201", "syncline login crm");
        file.write(&login()).unwrap();
        assert_eq!(file.read("https://x.example/", "app-1").unwrap(), login());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.path), mode(file.path.parent().unwrap())), (0o600, 0o700));
        for rights in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&file.path, PermissionsExt::from_mode(rights)).unwrap();
            refused(&file, "SL4203", "chmod 600");
        }
        // Stored again, it is for its owner only.
        file.write(&login()).unwrap();
        assert_eq!(mode(&file.path), 0o600);
        assert!(file.remove().unwrap() && !file.remove().unwrap());
    }

    #[test]
    fn what_is_no_login_is_refused_without_being_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        let as_text = |text: &str| {
            files::private_folder(file.path.parent().unwrap()).unwrap();
            files::replace(&file.path, text.as_bytes(), Readers::Owner).unwrap();
        };
        for text in ["", "{}", "access-token-1", "{\"refresh_token\": 1}", "\u{0}"] {
            as_text(text);
            refused(&file, "SL4203", "does not hold a login");
        }
        as_text(&serde_json::to_string(&StoredLogin { version: 2, ..login() }).unwrap());
        refused(&file, "SL4203", "version 2");
        for other in [
            StoredLogin { address: "https://y.example/".into(), ..login() },
            StoredLogin { client_id: "app-2".into(), ..login() },
        ] {
            file.write(&other).unwrap();
            refused(&file, "SL4201", "another app");
        }
    }

    #[tokio::test]
    async fn one_process_at_a_time_holds_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        let (clock, cancel) = (Clock::system(), Cancel::new());
        let held = file.locked(&clock, &cancel).await.unwrap();
        let wait = tokio::time::timeout(Duration::from_millis(200), file.locked(&clock, &cancel));
        assert!(wait.await.is_err());
        drop(held);
        file.locked(&clock, &cancel).await.unwrap();
    }
}
