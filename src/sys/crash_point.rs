//! Named places at which a test lets a run die. Of a build without debug assertions they are no part: see [`super::crash_watch`].

/// A named place, as a statement of an async function. Each name stands at one place.
macro_rules! crash_point {
    ($name:literal) => {{
        #[cfg(debug_assertions)]
        $crate::sys::crash_watch::reached($name).await;
    }};
}
pub(crate) use crash_point;

/// The same within a function that is not async. Only a process dies there, not a run that is watched.
macro_rules! crash_point_within {
    ($name:literal) => {{
        #[cfg(debug_assertions)]
        $crate::sys::crash_watch::reached_within($name);
    }};
}
pub(crate) use crash_point_within;
