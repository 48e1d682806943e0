//! Who dies at which crash point. Only builds with debug assertions have it: of the released program it is no part.

use std::cell::RefCell;
use std::future::pending;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files;

/// Where the process dies.
static ARMED: OnceLock<Armed> = OnceLock::new();

/// File to which each name is added that the process reaches.
static TRACE: OnceLock<PathBuf> = OnceLock::new();

struct Armed {
    name: String,
    /// At which of the times that the place is reached, from 1.
    time: u64,
    seen: AtomicU64,
}

/// Tells whether a run dies at the place that it has reached.
pub type Watcher = Box<dyn FnMut(&'static str) -> bool>;

thread_local! {
    /// Who watches the runs of this thread.
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Lets this process die where `order` says: `name` or `name:time`, the first time being 1.
///
/// Errors: `order` has no such form.
pub fn arm(order: &str) -> Result<(), String> {
    let (name, time) = order.split_once(':').unwrap_or((order, "1"));
    let time = time.parse().ok().filter(|time| *time > 0);
    let time = time.ok_or_else(|| format!("`{order}` names no crash point; write for example `load.sent:2`"))?;
    // A second order in one process changes nothing.
    let _ = ARMED.set(Armed { name: name.to_owned(), time, seen: AtomicU64::new(0) });
    Ok(())
}

/// Adds the name of each place that this process reaches to a file, a line each.
pub fn trace(file: PathBuf) {
    // A second file in one process changes nothing.
    let _ = TRACE.set(file);
}

/// Sets who watches the runs of this thread, or nobody.
pub fn watch(watcher: Option<Watcher>) {
    WATCHER.set(watcher);
}

/// Notes that a place is reached. The process dies here at once, without a destructor, or the caller stays here for ever, where a test
/// asked for it.
pub async fn reached(name: &'static str) {
    if passed(name) {
        // Whoever watches drops the run here, as a crash would end it.
        pending::<()>().await;
    }
}

/// The same where nobody can be kept waiting.
pub fn reached_within(name: &'static str) {
    // Whoever watches hears of the name; what it would have to end is in the middle of something.
    let _ = passed(name);
}

/// Whether whoever watches this thread's runs wants this one to end here.
fn passed(name: &'static str) -> bool {
    if let Some(file) = TRACE.get() {
        // A trace that cannot be written is missed by whoever reads it.
        let _ = files::append(file, format!("{name}\n").as_bytes());
    }
    if let Some(armed) = ARMED.get().filter(|armed| armed.name == name)
        && armed.seen.fetch_add(1, Ordering::SeqCst) + 1 == armed.time
    {
        // Without unwinding: a power failure runs no destructor either.
        std::process::abort();
    }
    WATCHER.with_borrow_mut(|watcher| watcher.as_mut().is_some_and(|watcher| watcher(name)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_watched_run_stays_where_it_dies() {
        let mut seen = 0;
        watch(Some(Box::new(move |name| {
            seen += u32::from(name == "here");
            seen == 2
        })));
        let run = || reached("here");
        assert!(run().now_or_never().is_some());
        assert!(run().now_or_never().is_none());
        watch(None);
        assert!(run().now_or_never().is_some());
    }

    #[test]
    fn orders_have_a_form() {
        assert!(arm("here:x").is_err());
        assert!(arm("here:0").is_err());
    }
}
