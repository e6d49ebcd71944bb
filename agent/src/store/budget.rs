//! What of each grant's budget is used: sums over the last 24 hours that survive a restart and a kill, without an
//! fsync on the signing path.
//!
//! What is spent is counted in *buckets* of a quarter of an hour, and a bucket counts until 24 hours after its end. So
//! an amount is free again after 24 hours at the earliest and a quarter of an hour more at the latest.
//!
//! The file holds the buckets as they were when it was written, and for each grant an amount *ahead*: so much may be
//! spent before it is written again. One thread writes: while half of what was ahead is left, and at once, while the
//! caller waits, where there is not enough (the first use, or a large amount). Who opens the file counts what was ahead
//! as spent now. So after a crash too much counts as used, at most what was ahead, and never too little.
//!
//! Time is the clock's, but never goes back: where the clock does, what is spent counts as of the latest time that was
//! seen, and nothing becomes free.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_policy::{Amount, Charge, GrantId};

use super::atomic::{self, Existing};
use super::{StoreError, regular};

/// Length of a bucket, in seconds.
const BUCKET_SECONDS: i64 = 15 * 60;
/// How long what is spent counts, after the end of its bucket.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// At least this part of the whole budget is ahead…
const SMALLEST_PART_AHEAD: u128 = 256;
/// … so many times the amount of the charge that made the file be written, where that is more…
const CHARGES_AHEAD: u128 = 4;
/// … and at most this part. A larger charge waits for the disk, so that a crash does not use up much.
const LARGEST_PART_AHEAD: u128 = 16;

/// Why nothing may be spent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BudgetError {
    #[error("{amount} is more than grant `{grant}` has left: {left} of {limit} for any 24 hours")]
    Exceeded { grant: GrantId, amount: Amount, left: Amount, limit: Amount },
    #[error(
        "the clock stands at {now}, more than a day before the last amount that grant `{grant}` has spent ({last})"
    )]
    ClockBehind { grant: GrantId, now: Timestamp, last: Timestamp },
    #[error("what is spent could not be written down")]
    Store(#[from] StoreError),
    #[error("{} {fault}, so nobody can say what of each budget is used", path.display())]
    Unreadable { path: PathBuf, fault: String },
    #[error("a budget for {} s is none that can be kept", window.as_secs())]
    Window { window: Duration },
}

impl From<BudgetError> for crate::fault::Fault {
    fn from(error: BudgetError) -> Self {
        use strongroom_protocol::ErrorCode::{Denied, Unavailable};
        let message = crate::fault::chain(&error);
        let (code, hint) = match error {
            BudgetError::Exceeded { .. } => (Denied, "wait, or ask an admin to raise max_notional_day"),
            BudgetError::ClockBehind { .. } => {
                (Unavailable, "set the clock; docs/reference/files.md says what to do if it was wrong before")
            }
            BudgetError::Store(error) => return Self { message, ..Self::from(error) },
            BudgetError::Unreadable { .. } => (
                Unavailable,
                "restore the file; or lock, delete it, and unlock: then all budgets of the credential begin anew",
            ),
            BudgetError::Window { .. } => return Self::defect(message),
        };
        Self::new(code, message, hint)
    }
}

/// The budgets of one credential.
#[derive(Debug)]
pub(crate) struct Budgets {
    grants: HashMap<GrantId, Used>,
    fault: Option<String>,
    shared: Arc<Shared>,
}

/// What one grant has used of its budget.
#[derive(Debug, Default)]
struct Used {
    buckets: BTreeMap<Timestamp, Amount>,
    /// What was ahead when the file was opened: may be spent, nobody knows when.
    unsettled: Amount,
    /// All that was spent since the file was opened.
    total: Amount,
}

/// What the budgets and the writing thread both see.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// How far each grant's total may rise before the file is written again.
    ceilings: Mutex<HashMap<GrantId, Amount>>,
    /// Whether the thread has been asked and has not answered.
    asked: AtomicBool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Of the rest, so that an edit by mistake is found.
    sha256: String,
    #[serde(default)]
    grant: BTreeMap<GrantId, Kept>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    ahead: Amount,
    #[serde(default)]
    used: BTreeMap<Timestamp, Amount>,
}

/// The file as it is to be written, and what may be spent then.
struct Snapshot {
    text: String,
    ceilings: HashMap<GrantId, Amount>,
}

impl Budgets {
    /// Opens the budgets that are kept in `path`. No file means that nothing was spent; one that cannot be read, that
    /// nothing can be.
    pub(crate) fn open(path: PathBuf) -> Self {
        let (grants, fault) = match read(&path) {
            Ok(grants) => (grants, None),
            Err(fault) => (HashMap::new(), Some(fault)),
        };
        let (ceilings, asked) = (Mutex::default(), AtomicBool::new(false));
        Self { grants, fault, shared: Arc::new(Shared { path, ceilings, asked }) }
    }

    /// Spends an amount. Blocks for one fsync where less than it is ahead.
    ///
    /// # Errors
    /// [`BudgetError`]; then nothing was spent.
    pub(crate) fn spend(
        &mut self,
        charge: &Charge,
        now: Timestamp,
        writer: &BudgetWriter,
    ) -> Result<(), BudgetError> {
        let Charge { grant, amount, limit, window } = charge;
        if let Some(fault) = &self.fault {
            return Err(BudgetError::Unreadable { path: self.shared.path.clone(), fault: fault.clone() });
        }
        if *window != DAY {
            return Err(BudgetError::Window { window: *window });
        }
        let used = self.grants.entry(grant.clone()).or_default();
        let bucket = used.bucket(now);
        let last = used.buckets.last_key_value().map_or(now, |(bucket, _)| *bucket);
        if last.duration_since(now).unsigned_abs() > DAY && last > now {
            return Err(BudgetError::ClockBehind { grant: grant.clone(), now, last });
        }
        used.settle(bucket);
        let left = remaining(*limit, used.sum());
        if *amount > left {
            return Err(BudgetError::Exceeded { grant: grant.clone(), amount: *amount, left, limit: *limit });
        }
        used.add(bucket, *amount);
        used.total = plus(used.total, *amount);
        let (total, ahead) = (used.total, ahead(*limit, *amount, remaining(left, *amount)));
        let left_ahead = remaining(self.shared.ceiling(grant), total);
        if self.shared.ceiling(grant) < total {
            let written = writer.write(&self.shared, self.snapshot(grant, ahead));
            if let Err(error) = written {
                self.take_back(grant, bucket, *amount);
                return Err(error.into());
            }
        } else if left_ahead.units() < ahead.units() / 2 && !self.shared.asked.swap(true, Ordering::AcqRel) {
            writer.write_soon(&self.shared, self.snapshot(grant, ahead));
        }
        Ok(())
    }

    /// What of `limit` the grant has left.
    pub(crate) fn left(&self, grant: &GrantId, limit: Amount, now: Timestamp) -> Amount {
        match (&self.fault, self.grants.get(grant)) {
            (Some(_), _) => Amount::ZERO,
            (None, None) => limit,
            (None, Some(used)) => {
                let spent = used.since(used.bucket(now)).fold(used.unsettled, plus);
                remaining(limit, spent)
            }
        }
    }

    fn take_back(&mut self, grant: &GrantId, bucket: Timestamp, amount: Amount) {
        if let Some(used) = self.grants.get_mut(grant) {
            used.total = remaining(used.total, amount);
            if let Some(spent) = used.buckets.get_mut(&bucket) {
                *spent = remaining(*spent, amount);
            }
        }
    }

    /// All that is used, with `ahead` for this grant and what the others have still ahead.
    fn snapshot(&self, grant: &GrantId, ahead: Amount) -> Snapshot {
        let mut kept = BTreeMap::new();
        let mut ceilings = HashMap::new();
        for (id, used) in &self.grants {
            let ceiling =
                if id == grant { plus(used.total, ahead) } else { self.shared.ceiling(id).max(used.total) };
            let ahead = plus(remaining(ceiling, used.total), used.unsettled);
            kept.insert(id.clone(), Kept { ahead, used: used.buckets.clone() });
            ceilings.insert(id.clone(), ceiling);
        }
        let body = body(&kept);
        let text = format!("{HEADER}sha256 = \"{}\"\n{body}", digest(&body));
        Snapshot { text, ceilings }
    }
}

const HEADER: &str = "# What the grants of one credential have spent, by quarters of an hour, and what may be spent\n\
                      # before this is written again. Deleted, all its budgets begin anew.\n";

impl Used {
    /// The bucket of this time, or the latest that was used where the clock has gone back.
    fn bucket(&self, now: Timestamp) -> Timestamp {
        let seconds = now.as_second();
        let begin = seconds.saturating_sub(seconds.rem_euclid(BUCKET_SECONDS));
        let begin = Timestamp::from_second(begin).unwrap_or(now);
        self.buckets.last_key_value().map_or(begin, |(last, _)| begin.max(*last))
    }

    /// Forgets what does not count any more in `bucket`, and counts there what nobody knows when it was spent.
    fn settle(&mut self, bucket: Timestamp) {
        self.buckets.retain(|begin, _| counts(*begin, bucket));
        let unsettled = std::mem::take(&mut self.unsettled);
        if !unsettled.is_zero() {
            self.add(bucket, unsettled);
        }
    }

    fn add(&mut self, bucket: Timestamp, amount: Amount) {
        let spent = self.buckets.entry(bucket).or_default();
        *spent = plus(*spent, amount);
    }

    fn sum(&self) -> Amount {
        self.buckets.values().copied().fold(Amount::ZERO, plus)
    }

    /// The amounts that count in `bucket`.
    fn since(&self, bucket: Timestamp) -> impl Iterator<Item = Amount> {
        self.buckets.iter().filter(move |(begin, _)| counts(**begin, bucket)).map(|(_, spent)| *spent)
    }
}

/// Whether a bucket that began at `begin` counts at the begin of another: for 24 hours after its end.
fn counts(begin: Timestamp, at: Timestamp) -> bool {
    let day = i64::try_from(DAY.as_secs()).unwrap_or(i64::MAX);
    let end = begin.as_second().saturating_add(BUCKET_SECONDS).saturating_add(day);
    at.as_second() < end
}

/// How much is written ahead for charges of about this amount, where `left` is left.
fn ahead(limit: Amount, amount: Amount, left: Amount) -> Amount {
    let part = |parts: u128| limit.units().div_ceil(parts);
    let charges = amount.units().saturating_mul(CHARGES_AHEAD).min(part(LARGEST_PART_AHEAD));
    Amount::from_units(charges.max(part(SMALLEST_PART_AHEAD)).min(left.units()))
}

/// Sums that do not fit count as much as there can be.
fn plus(one: Amount, other: Amount) -> Amount {
    one.checked_add(other).unwrap_or(Amount::from_units(u128::MAX))
}

fn remaining(whole: Amount, used: Amount) -> Amount {
    Amount::from_units(whole.units().saturating_sub(used.units()))
}

impl Shared {
    fn ceiling(&self, grant: &GrantId) -> Amount {
        let ceilings = self.ceilings.lock().unwrap_or_else(PoisonError::into_inner);
        ceilings.get(grant).copied().unwrap_or_default()
    }

    fn write(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        atomic::write(&self.path, snapshot.text.as_bytes(), Existing::Replace)?;
        *self.ceilings.lock().unwrap_or_else(PoisonError::into_inner) = snapshot.ceilings;
        Ok(())
    }
}

/// Why nothing of the budgets that are kept in `path` can be spent; a clause about the file.
pub(super) fn fault(path: &Path) -> Option<String> {
    read(path).err()
}

/// What a file of budgets says. The error is a clause about it.
fn read(path: &Path) -> Result<HashMap<GrantId, Used>, String> {
    let text = match regular::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(format!("cannot be read ({error})")),
    };
    let file: File = toml::from_str(&text).map_err(|_| "is damaged".to_owned())?;
    if file.sha256 != digest(&body(&file.grant)) {
        return Err("was edited".to_owned());
    }
    let used = |Kept { ahead, used }: Kept| Used { buckets: used, unsettled: ahead, total: Amount::ZERO };
    Ok(file.grant.into_iter().map(|(id, kept)| (id, used(kept))).collect())
}

fn body(grant: &BTreeMap<GrantId, Kept>) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        grant: &'a BTreeMap<GrantId, Kept>,
    }
    // It is made of text, which TOML can always hold.
    toml::to_string(&Body { grant }).unwrap_or_default()
}

fn digest(body: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(body))
}

/// The thread that writes budgets, in the order in which it is asked.
#[derive(Debug)]
pub(crate) struct BudgetWriter(Sender<Job>);

struct Job {
    budgets: Arc<Shared>,
    snapshot: Snapshot,
    /// Who waits for it.
    done: Option<SyncSender<Result<(), StoreError>>>,
}

impl BudgetWriter {
    /// Starts the thread. It ends when the writer is dropped.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, jobs) = channel();
        std::thread::Builder::new().name("budgets".to_owned()).spawn(move || serve(&jobs))?;
        Ok(Self(sender))
    }

    fn write(&self, budgets: &Arc<Shared>, snapshot: Snapshot) -> Result<(), StoreError> {
        let (done, answer) = sync_channel(1);
        let _ = self.0.send(Job { budgets: Arc::clone(budgets), snapshot, done: Some(done) });
        let gone = |_| StoreError::Io {
            action: "writing",
            path: budgets.path.clone(),
            source: std::io::Error::other("the thread that writes budgets has ended"),
        };
        answer.recv().map_err(gone)?
    }

    /// A lost job is no loss: where nothing is ahead any more, the caller waits for one.
    fn write_soon(&self, budgets: &Arc<Shared>, snapshot: Snapshot) {
        let _ = self.0.send(Job { budgets: Arc::clone(budgets), snapshot, done: None });
    }
}

fn serve(jobs: &Receiver<Job>) {
    for Job { budgets, snapshot, done } in jobs {
        let written = budgets.write(snapshot);
        match done {
            Some(done) => {
                let _ = done.send(written);
            }
            None => {
                if let Err(error) = written {
                    tracing::warn!(error = %crate::fault::chain(&error), "budgets could not be written ahead");
                }
                budgets.asked.store(false, Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
mod tests;
