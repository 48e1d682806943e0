//! What processes on one computer know together of the rate limit of an account: a small file under a lock. It holds moments and
//! numbers, and nothing of the account. Where it cannot be used, each process keeps to what it knows itself.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::window::{Sent, Share, Shared};
use crate::model::hash::Hasher;
use crate::sys::files;

/// Begins the file; another form has another beginning.
const MAGIC: &[u8; 8] = b"SLRATE01";

/// Most calls that the file holds: more than any limit of an interval.
/// A file that a broken program let grow cannot make every call slow.
const SENT_MAX: usize = 4_000;

/// Longest file that is read, in bytes.
/// More than the calls of a full file take: 4,000 of 13 bytes each.
const BYTES_MAX: u64 = 256 * 1024;

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
    /// Its length and its end as this process has left it.
    left: Mutex<Option<(u64, Checksum)>>,
}

/// The file, while nobody else changes it.
pub(in crate::connect) struct Held<'a> {
    ring: &'a Ring,
    /// Its length, where that was looked at.
    length: Option<u64>,
}

/// What a file ends with: a hash of all that stands before.
type Checksum = [u8; 8];

impl Ring {
    /// Opens the file of an account in a folder, which is made. None where that is not possible.
    pub(in crate::connect) fn open(folder: &Path, account: &str, now: Timestamp) -> Option<Self> {
        // Private: another user of the computer must not be able to hold our calls up.
        let opened = files::private_folder(folder).and_then(|()| files::open_lock(&folder.join(account)));
        match opened {
            Ok(file) => {
                sweep(folder, now);
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
            Ok(()) => Some(Held { ring: self, length: None }),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "the shared rate limit cannot be locked");
                None
            }
        }
    }
}

impl Held<'_> {
    /// What others have left since this process left it; none where they have left nothing, or what [`Held::read`] cannot read.
    pub(in crate::connect) fn news(&mut self) -> Option<Shared> {
        // Its end tells: most calls follow one of the same process, and a file of many calls takes long to read.
        let end = self.end();
        let is_ours = end.is_some() && end == *self.left();
        if is_ours { None } else { self.read() }
    }

    /// Its length and its last bytes.
    fn end(&mut self) -> Option<(u64, Checksum)> {
        let (mut file, mut end) = (&self.ring.file, Checksum::default());
        let length = file.seek(SeekFrom::End(0)).ok()?;
        self.length = Some(length);
        file.seek(SeekFrom::Start(length.checked_sub(end.len() as u64)?)).ok()?;
        file.read_exact(&mut end).ok()?;
        Some((length, end))
    }

    fn left(&self) -> MutexGuard<'_, Option<(u64, Checksum)>> {
        self.ring.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What others have left; none where the file is new, damaged, or cannot be read.
    fn read(&mut self) -> Option<Shared> {
        let (mut file, mut bytes) = (&self.ring.file, Vec::new());
        file.seek(SeekFrom::Start(0)).ok()?;
        // What is longer fails the checksum below, and counts as damaged.
        file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        decode(&bytes)
    }

    /// Leaves it for others. What cannot be written is known to this process all the same.
    pub(in crate::connect) fn write(&mut self, shared: &Shared) {
        let bytes = encode(shared);
        let (mut file, length) = (&self.ring.file, bytes.len() as u64);
        let is_longer = self.length.is_none_or(|before| before > length);
        let written = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&bytes))
            // A file that was longer before keeps no old end, which would spoil the checksum.
            .and_then(|()| if is_longer { file.set_len(length) } else { Ok(()) });
        *self.left() = match written {
            Ok(()) => bytes.last_chunk().map(|end| (length, *end)),
            Err(error) => {
                tracing::debug!(%error, "the shared rate limit cannot be written");
                None
            }
        };
    }
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

fn encode(shared: &Shared) -> Vec<u8> {
    let kept = shared.sent.len().min(SENT_MAX);
    let mut bytes = Vec::with_capacity(64 + kept * 13);
    bytes.extend_from_slice(MAGIC);
    // Whole microseconds in a fixed order: processes of one version read each other without a decoder.
    for time in [shared.contended_until, shared.blocked_until, shared.margin_set] {
        bytes.extend_from_slice(&time.as_microsecond().to_le_bytes());
    }
    for duration in [shared.blocked_for, shared.margin] {
        bytes.extend_from_slice(&u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).to_le_bytes());
    }
    // The latest ones: what is old leaves the window next anyway.
    for sent in shared.sent.iter().skip(shared.sent.len() - kept) {
        bytes.extend_from_slice(&sent.at.as_microsecond().to_le_bytes());
        bytes.extend_from_slice(&sent.user.to_le_bytes());
        bytes.push(u8::from(sent.share == Share::Comparison));
    }
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// None for every file that is not whole, and of exactly this form.
fn decode(bytes: &[u8]) -> Option<Shared> {
    let (content, sum) = bytes.split_last_chunk::<8>()?;
    // A process that died between two writes leaves a beginning of the new and an end of the old content.
    if checksum(content) != *sum {
        return None;
    }
    let (magic, rest) = content.split_first_chunk::<8>()?;
    let (numbers, calls) = rest.split_first_chunk::<40>()?;
    if magic != MAGIC || calls.len() % 13 != 0 {
        return None;
    }
    let number = |place: usize| Some(i64::from_le_bytes(*numbers.get(place * 8..)?.first_chunk::<8>()?));
    let time = |place: usize| Timestamp::from_microsecond(number(place)?).ok();
    let duration = |place: usize| Some(Duration::from_micros(u64::try_from(number(place)?).ok()?));
    let sent = calls.chunks_exact(13).map(|call| {
        let at = Timestamp::from_microsecond(i64::from_le_bytes(*call.first_chunk::<8>()?)).ok()?;
        let user = u32::from_le_bytes(*call.get(8..)?.first_chunk::<4>()?);
        let share = if call.last() == Some(&1) { Share::Comparison } else { Share::Changes };
        Some(Sent { at, share, user })
    });
    Some(Shared {
        // One moment that is none spoils all: a list with holes would let too many calls through.
        sent: sent.collect::<Option<VecDeque<Sent>>>()?,
        contended_until: time(0)?,
        blocked_until: time(1)?,
        margin_set: time(2)?,
        blocked_for: duration(3)?,
        margin: duration(4)?,
    })
}

fn checksum(bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::default();
    hasher.bytes(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::connect::http::window::RollingWindow;
    use crate::sys::rng::Rng;

    fn open(folder: &Path, account: &str) -> Option<Ring> {
        Ring::open(folder, account, Timestamp::UNIX_EPOCH)
    }

    fn sample() -> Shared {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        let sent = |seconds: i64, share| Sent { at: at(seconds), share, user: 7 };
        Shared {
            sent: [sent(1, Share::Changes), sent(2, Share::Comparison)].into(),
            contended_until: at(3),
            blocked_until: at(4),
            blocked_for: Duration::from_secs(2),
            margin: Duration::from_millis(300),
            margin_set: at(5),
        }
    }

    #[test]
    fn what_one_leaves_the_next_reads() {
        let folder = tempfile::TempDir::new().unwrap();
        let one = open(folder.path(), "account").unwrap();
        assert_eq!(one.hold().unwrap().read(), None, "nobody has left anything yet");
        one.hold().unwrap().write(&sample());
        let other = open(folder.path(), "account").unwrap();
        assert_eq!(other.hold().unwrap().read(), Some(sample()));
        other.hold().unwrap().write(&Shared::default());
        assert_eq!(
            one.hold().unwrap().read(),
            Some(Shared::default()),
            "a shorter one leaves nothing of the longer one"
        );
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
            held.write(shared);
            news
        };
        assert_eq!(leave(&one, &sample()), None);
        assert_eq!(one.hold().unwrap().news(), None, "it is one's own");
        assert_eq!(leave(&other, &Shared::default()), Some(sample()));
        assert_eq!(one.hold().unwrap().news(), Some(Shared::default()), "shorter than before");
        let more = Shared { sent: sample().sent, ..Shared::default() };
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
        ring.hold().unwrap().write(&sample());
        let path = folder.path().join("account");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(ring.hold().unwrap().read(), None, "{cut} of {} bytes", whole.len());
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x40;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(ring.hold().unwrap().read(), None, "byte {place}");
        }
        ring.hold().unwrap().write(&sample());
        assert_eq!(ring.hold().unwrap().read(), Some(sample()));
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
        drop(Ring::open(folder.path(), "present", written + Duration::from_secs(8 * 24 * 3600)));
        assert!(!folder.path().join("old").exists());
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
                    windows[process].shared = shared;
                }
                match windows[process].reserve(now, Share::Changes, process as u32 + 1) {
                    Ok(_) => arrivals.push((millisecond + 20 + rng.below(120).cast_signed(), process)),
                    Err(wait) => tries[process] = millisecond + i64::try_from(wait.as_millis()).unwrap(),
                }
                held.write(&windows[process].shared);
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
