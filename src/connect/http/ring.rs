//! What processes on one computer know together of the rate limit of an account: a small file under a lock. It holds moments and
//! numbers, and nothing of the account. Where it cannot be used, each process keeps to what it knows itself.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::window::{RollingWindow, Sent, Share, Shared};
use crate::sys::files;

/// Begins the file; another form has another beginning.
const MAGIC: &[u8; 8] = b"SLRATE02";

/// Most calls that the file holds: more than any limit of an interval. A call has its place by its number, so that old ones are written over.
const CALLS_MAX: usize = 4_000;

/// Bytes of one call: its moment, its user, its share, and a check.
const CALL: usize = 16;

/// Bytes of what stands before the calls.
const HEAD: usize = 80;

/// How long the file of an account stays that nobody calls.
/// A limit forgets within seconds; a week only spares daily jobs from making the file anew.
const UNUSED_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Most files that are looked at for that.
/// The folder of a user with very many projects must not delay a start.
const SWEPT_MAX: usize = 1_000;

/// The file of one account.
#[derive(Debug)]
pub(in crate::connect) struct Ring {
    file: File,
    /// What it begins with, as this process has left it.
    left: Mutex<Option<Head>>,
}

/// What the file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// What all know but for the calls: moments and durations in microseconds.
    numbers: [i64; 5],
    /// The number of the first call that stands in the file, or is written over by a later one.
    first: u64,
    /// The number of the call that comes next.
    next: u64,
    /// How often the file was written: one that is written by another process differs in it.
    written: u64,
}

/// The file, while nobody else changes it.
pub(in crate::connect) struct Held<'a> {
    ring: &'a Ring,
    /// What it begins with; none where it is new or damaged.
    head: Option<Head>,
    /// How often it was written, as far as one knows.
    written: u64,
}

impl Ring {
    /// Opens the file of an account in a folder, which is made. None where that is not possible.
    pub(in crate::connect) fn open(folder: &Path, account: &str, now: Timestamp) -> Option<Self> {
        // Private: another user of the computer must not be able to hold our calls up.
        let path = folder.join(account);
        // Whoever adds a file looks after the others: so there are never many, and a process that adds none reads no folder.
        let is_new = !path.exists();
        let opened = files::private_folder(folder).and_then(|()| files::open_lock(&path));
        match opened {
            Ok(file) => {
                if is_new {
                    sweep(folder, now);
                }
                Some(Self { file, left: Mutex::default() })
            }
            Err(error) => {
                tracing::debug!(%error, "the rate limit is not shared with other processes");
                None
            }
        }
    }

    /// Takes the file for oneself; none where another process has it at this moment.
    pub(in crate::connect) fn hold(&self) -> Option<Held<'_>> {
        // Without waiting: the operating system's wait cannot be ended by a stop.
        match self.file.try_lock() {
            Ok(()) => Some(Held { ring: self, head: None, written: u64::from(std::process::id()) << 32 }),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "the shared rate limit cannot be locked");
                None
            }
        }
    }
}

impl Held<'_> {
    /// What others have left since this process left it; none where they have left nothing, or what cannot be read.
    pub(in crate::connect) fn news(&mut self) -> Option<Shared> {
        let head = self.read_head()?;
        // Most calls follow one of the same process.
        if *self.left() == Some(head) {
            (self.head, self.written) = (Some(head), head.written);
            return None;
        }
        self.written = head.written;
        let (shared, is_in_order) = self.read_calls(&head)?;
        // What a process left that died while it wrote is written anew.
        self.head = is_in_order.then_some(head);
        Some(shared)
    }

    fn left(&self) -> MutexGuard<'_, Option<Head>> {
        self.ring.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_at(&self, at: usize, bytes: &mut [u8]) -> Option<()> {
        let mut file = &self.ring.file;
        file.seek(SeekFrom::Start(at as u64)).ok()?;
        file.read_exact(bytes).ok()
    }

    fn read_head(&self) -> Option<Head> {
        let mut bytes = [0; HEAD];
        self.read_at(0, &mut bytes)?;
        Head::decode(&bytes)
    }

    /// What the file holds, and whether it stands there in order of time.
    fn read_calls(&self, head: &Head) -> Option<(Shared, bool)> {
        let count = head.next.checked_sub(head.first)?.min(CALLS_MAX as u64);
        let mut bytes = vec![0; usize::try_from(count).ok()? * CALL];
        let mut place = 0;
        for (at, length) in stretches(head.next - count, head.next) {
            self.read_at(at, bytes.get_mut(place..place + length)?)?;
            place += length;
        }
        // One that is none spoils all: a list with holes would let too many calls through.
        let sent: Option<Vec<Sent>> = bytes.chunks_exact(CALL).map(decode).collect();
        let mut sent = sent?;
        let is_in_order = sent.is_sorted_by_key(|sent| sent.at);
        sent.sort_by_key(|sent| sent.at);
        Some((head.shared(sent.into())?, is_in_order))
    }

    /// Leaves it for others. What cannot be written is known to this process all the same.
    pub(in crate::connect) fn write(&mut self, window: &mut RollingWindow) {
        let (shared, untold) = window.to_tell();
        let oldest = shared.next - shared.sent.len() as u64;
        let first = self.head.map_or(oldest, |head| head.first.min(shared.next));
        let from = if self.head.is_none() { oldest } else { untold };
        let mut head = Head::of(shared, first, self.written);
        if self.head == Some(head) && from == shared.next {
            *self.left() = Some(head);
            return;
        }
        head.written = head.written.wrapping_add(1);
        let done = self.write_calls(shared, from.max(oldest)).and_then(|()| self.write_at(0, &head.encode()));
        *self.left() = match done {
            Ok(()) => {
                window.told();
                Some(head)
            }
            Err(error) => {
                tracing::debug!(%error, "the shared rate limit cannot be written");
                None
            }
        };
    }

    fn write_at(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.ring.file;
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(bytes)
    }

    /// The calls from a number on.
    fn write_calls(&self, shared: &Shared, from: u64) -> io::Result<()> {
        let count = (shared.next - from).min(CALLS_MAX as u64);
        let skipped = shared.sent.len().saturating_sub(count as usize);
        let bytes: Vec<u8> = shared.sent.range(skipped..).flat_map(encode).collect();
        let mut place = 0;
        for (at, length) in stretches(shared.next - count, shared.next) {
            self.write_at(at, &bytes[place..place + length])?;
            place += length;
        }
        Ok(())
    }
}

/// Where calls of these numbers stand, no more than the file holds: one stretch of bytes, or two where it begins anew.
fn stretches(from: u64, next: u64) -> impl Iterator<Item = (usize, usize)> {
    let count = usize::try_from(next - from).unwrap_or(CALLS_MAX).min(CALLS_MAX);
    let place = usize::try_from(from % CALLS_MAX as u64).unwrap_or_default();
    let first = count.min(CALLS_MAX - place);
    [(place, first), (0, count - first)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(place, count)| (HEAD + place * CALL, count * CALL))
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A lock that cannot be given back ends with the process.
        let _ = self.ring.file.unlock();
    }
}

/// Removes files of accounts that nobody has called for long. What cannot be removed stays, and is no trouble.
fn sweep(folder: &Path, now: Timestamp) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().take(SWEPT_MAX) {
        // Folders are not touched: nothing of ours is one.
        let used = entry.metadata().ok().filter(fs::Metadata::is_file).and_then(|metadata| metadata.modified().ok());
        let used = used.and_then(|used| Timestamp::try_from(used).ok());
        if used.is_some_and(|used| used.saturating_add(UNUSED_MAX).is_ok_and(|until| until < now)) {
            // A process that has it open goes on with its own; from then on the two do not share, for one window at
            // most.
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Head {
    fn of(shared: &Shared, first: u64, written: u64) -> Self {
        // Whole microseconds in a fixed order: processes of one version read each other without a decoder.
        let duration = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let numbers = [
            shared.contended_until.as_microsecond(),
            shared.blocked_until.as_microsecond(),
            shared.margin_set.as_microsecond(),
            duration(shared.blocked_for),
            duration(shared.margin),
        ];
        Self { numbers, first, next: shared.next, written }
    }

    /// What all know, with these calls; none where a number is none that a process writes.
    fn shared(&self, sent: VecDeque<Sent>) -> Option<Shared> {
        let time = |place: usize| Timestamp::from_microsecond(self.numbers[place]).ok();
        let duration = |place: usize| Some(Duration::from_micros(u64::try_from(self.numbers[place]).ok()?));
        Some(Shared {
            sent,
            next: self.next,
            contended_until: time(0)?,
            blocked_until: time(1)?,
            margin_set: time(2)?,
            blocked_for: duration(3)?,
            margin: duration(4)?,
        })
    }

    fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let numbers = self.numbers.map(i64::to_le_bytes);
        let others = [self.first, self.next, self.written].map(u64::to_le_bytes);
        let words = [*MAGIC].into_iter().chain(numbers).chain(others);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word);
        }
        let sum = checksum(&bytes[..HEAD - 8]);
        bytes[HEAD - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// None for every beginning that is not whole, and of exactly this form.
    fn decode(bytes: &[u8; HEAD]) -> Option<Self> {
        let mut words = [[0; 8]; HEAD / 8];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            word.copy_from_slice(place);
        }
        let [magic, numbers @ .., first, next, written, sum] = words;
        let [first, next, written, sum] = [first, next, written, sum].map(u64::from_le_bytes);
        let is_whole = magic == *MAGIC && sum == checksum(&bytes[..HEAD - 8]);
        is_whole.then(|| Self { numbers: numbers.map(i64::from_le_bytes), first, next, written })
    }
}

fn encode(sent: &Sent) -> [u8; CALL] {
    let mut bytes = [0; CALL];
    bytes[..8].copy_from_slice(&sent.at.as_microsecond().to_le_bytes());
    bytes[8..12].copy_from_slice(&sent.user.to_le_bytes());
    bytes[12] = u8::from(sent.share == Share::Comparison);
    let sum = checksum(&bytes[..13]).to_le_bytes();
    bytes[13..].copy_from_slice(&sum[..3]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Sent> {
    let at = Timestamp::from_microsecond(i64::from_le_bytes(*bytes.first_chunk::<8>()?)).ok()?;
    let user = u32::from_le_bytes(*bytes.get(8..)?.first_chunk::<4>()?);
    let share = if bytes.get(12) == Some(&1) { Share::Comparison } else { Share::Changes };
    let sent = Sent { at, share, user };
    // With its check: a disk that damaged it shows there.
    (encode(&sent) == bytes).then_some(sent)
}

/// FNV-1a: it is to find damage, and nobody who means harm can write to the file of another user.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::sys::rng::Rng;

    fn open(folder: &Path, account: &str) -> Option<Ring> {
        Ring::open(folder, account, Timestamp::UNIX_EPOCH)
    }

    fn sample() -> Shared {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        let sent = |seconds: i64, share| Sent { at: at(seconds), share, user: 7 };
        Shared {
            sent: [sent(1, Share::Changes), sent(2, Share::Comparison)].into(),
            next: 2,
            contended_until: at(3),
            blocked_until: at(4),
            blocked_for: Duration::from_secs(2),
            margin: Duration::from_millis(300),
            margin_set: at(5),
        }
    }

    /// What somebody reads who has read nothing yet.
    fn read(folder: &Path) -> Option<Shared> {
        open(folder, "account").unwrap().hold().unwrap().news()
    }

    /// Leaves something that nobody knows yet.
    fn leave(ring: &Ring, shared: &Shared) {
        ring.hold().unwrap().write(&mut RollingWindow::of_test(shared.clone()));
    }

    #[test]
    fn what_one_leaves_the_next_reads() {
        let folder = tempfile::TempDir::new().unwrap();
        let one = open(folder.path(), "account").unwrap();
        assert_eq!(read(folder.path()), None, "nobody has left anything yet");
        leave(&one, &sample());
        let other = open(folder.path(), "account").unwrap();
        assert_eq!(read(folder.path()), Some(sample()));
        leave(&other, &Shared::default());
        assert_eq!(read(folder.path()), Some(Shared::default()), "a shorter one leaves nothing of the longer one");
        let held = one.hold().unwrap();
        assert!(other.hold().is_none(), "one at a time");
        drop(held);
        assert!(other.hold().is_some());
    }

    #[test]
    fn what_others_leave_is_news_and_ones_own_is_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let (one, other) = (open(folder.path(), "account").unwrap(), open(folder.path(), "account").unwrap());
        assert_eq!(one.hold().unwrap().news(), None, "nobody has left anything yet");
        let leave = |ring: &Ring, shared: &Shared| {
            let mut held = ring.hold().unwrap();
            let news = held.news();
            held.write(&mut RollingWindow::of_test(shared.clone()));
            news
        };
        assert_eq!(leave(&one, &sample()), None);
        assert_eq!(one.hold().unwrap().news(), None, "it is one's own");
        assert_eq!(leave(&other, &Shared::default()), Some(sample()));
        assert_eq!(one.hold().unwrap().news(), Some(Shared::default()), "shorter than before");
        let more = Shared { sent: sample().sent, next: 2, ..Shared::default() };
        assert_eq!(leave(&other, &more), None);
        assert_eq!(leave(&one, &sample()), Some(more), "longer than before");
        let moved = Shared { margin_set: Timestamp::UNIX_EPOCH, ..sample() };
        assert_eq!(leave(&other, &moved), Some(sample()), "as long as before");
        assert_eq!(one.hold().unwrap().news(), Some(moved));
    }

    #[test]
    fn a_damaged_file_is_an_empty_one() {
        let folder = tempfile::TempDir::new().unwrap();
        let ring = open(folder.path(), "account").unwrap();
        leave(&ring, &sample());
        let path = folder.path().join("account");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(folder.path()), None, "{cut} of {} bytes", whole.len());
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x40;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(read(folder.path()), None, "byte {place}");
        }
        leave(&ring, &sample());
        assert_eq!(read(folder.path()), Some(sample()));
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_no_trouble() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(open(&folder.path().join("file"), "account").is_none());
        fs::create_dir(folder.path().join("account")).unwrap();
        assert!(open(folder.path(), "account").is_none());
    }

    #[test]
    fn what_nobody_uses_goes() {
        let folder = tempfile::TempDir::new().unwrap();
        drop(open(folder.path(), "old"));
        let written = fs::metadata(folder.path().join("old")).unwrap().modified().unwrap();
        let written = Timestamp::try_from(written).unwrap();
        drop(Ring::open(folder.path(), "present", written + Duration::from_secs(6 * 24 * 3600)));
        assert!(folder.path().join("old").exists());
        let week_later = written + Duration::from_secs(8 * 24 * 3600);
        drop(Ring::open(folder.path(), "present", week_later));
        assert!(folder.path().join("old").exists(), "who adds no file looks at no other");
        drop(Ring::open(folder.path(), "new", week_later));
        assert!(!folder.path().join("old").exists());
    }

    #[test]
    fn whatever_happens_to_a_window_the_next_one_reads_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let rng = Rng::seeded(7);
        let mut windows: Vec<(Ring, RollingWindow)> = (0..3)
            .map(|_| {
                (open(folder.path(), "a").unwrap(), RollingWindow::new(CALLS_MAX as u32 * 3, Duration::from_secs(10)))
            })
            .collect();
        let mut places: Vec<Sent> = Vec::new();
        let mut clock = 1_700_000_000_000_i64;
        for step in 0..12_000 {
            // Now and then a clock jumps back, and calls come in bursts of more than the file holds.
            clock += if rng.below(2_000) == 0 { -9_000 } else { rng.below(4).cast_signed() };
            let now = Timestamp::from_millisecond(clock).unwrap();
            let (ring, window) = &mut windows[rng.below(3) as usize];
            let mut held = ring.hold().unwrap();
            if let Some(shared) = held.news() {
                window.take_over(shared);
            }
            match rng.below(20) {
                0 => window.block(now, Duration::from_millis(1)),
                1 => window.learn(None, None, Some(10_000), now, now),
                2 if step % 100 == 0 => window.inherit(Some(50), now),
                3..=8 if !places.is_empty() => {
                    window.written(places.swap_remove(rng.below(places.len() as u64) as usize), now);
                }
                _ => places.extend(window.reserve(now, Share::Changes, rng.below(9) as u32)),
            }
            held.write(window);
            drop(held);
            if step % 16 > 0 {
                continue;
            }
            let known = window.to_tell().0.clone();
            let read = open(folder.path(), "a").unwrap().hold().unwrap().news().unwrap();
            // The file holds the latest calls, and some that have left the window.
            let most = known.sent.len().min(CALLS_MAX);
            let latest =
                |shared: &Shared| shared.sent.range(shared.sent.len() - most..).copied().collect::<Vec<Sent>>();
            assert!(read.sent.len() >= most, "step {step}: {} of {most}", read.sent.len());
            assert_eq!(latest(&read), latest(&known), "step {step}");
            assert_eq!(Shared { sent: known.sent.clone(), ..read }, known, "step {step}");
        }
    }

    /// Processes that always have calls to make, against a server that counts arrivals without mercy: its refusals, and what each
    /// process got through.
    fn play(seed: u64, max: usize, processes: usize, dies: bool) -> (u32, Vec<u32>) {
        let folder = tempfile::TempDir::new().unwrap();
        let rng = Rng::seeded(seed);
        let mut rings: Vec<Ring> = (0..processes).map(|_| open(folder.path(), "a").unwrap()).collect();
        let mut windows = vec![RollingWindow::new(u32::try_from(max).unwrap(), Duration::from_secs(10)); processes];
        let mut arrivals: Vec<(i64, usize)> = Vec::new();
        let mut tries = vec![0_i64; processes];
        for millisecond in (0..60_000_i64).step_by(4) {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(1_700_000_000_000 + millisecond);
            if dies && millisecond == 20_000 {
                // Another process takes the place of one that died.
                rings[0] = open(folder.path(), "a").unwrap();
                windows[0] = RollingWindow::new(u32::try_from(max).unwrap(), Duration::from_secs(10));
            }
            let first = rng.below(processes as u64) as usize;
            for process in (0..processes).map(|step| (first + step) % processes) {
                if tries[process] > millisecond {
                    continue;
                }
                let mut held = rings[process].hold().unwrap();
                if let Some(shared) = held.news() {
                    windows[process].take_over(shared);
                }
                match windows[process].reserve(now, Share::Changes, process as u32 + 1) {
                    Ok(_) => arrivals.push((millisecond + 20 + rng.below(120).cast_signed(), process)),
                    Err(wait) => tries[process] = millisecond + i64::try_from(wait.as_millis()).unwrap(),
                }
                held.write(&mut windows[process]);
            }
        }
        arrivals.sort_unstable();
        let (mut counted, mut refused, mut through) = (VecDeque::new(), 0, vec![0; processes]);
        for (at, process) in arrivals {
            while counted.front().is_some_and(|first| at - first >= 10_000) {
                counted.pop_front();
            }
            if counted.len() >= max {
                refused += 1;
            } else {
                counted.push_back(at);
                through[process] += 1;
            }
        }
        (refused, through)
    }

    #[test]
    fn four_processes_keep_one_limit_and_use_it() {
        for (seed, max, dies) in [(1, 190, false), (2, 100, true), (3, 20, false)] {
            let (refused, through) = play(seed, max, 4, dies);
            assert_eq!(refused, 0, "seed {seed}: {through:?}");
            let all: u32 = through.iter().sum();
            assert!(f64::from(all) >= 0.95 * 6.0 * max as f64, "seed {seed}: {through:?}");
            let (least, most) = (through.iter().min().unwrap(), through.iter().max().unwrap());
            assert!(least * 2 >= *most, "seed {seed}: {through:?}");
        }
    }
}
