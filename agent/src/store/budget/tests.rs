//! What is spent is kept over restarts and kills, and never counted too low.

#![expect(clippy::arithmetic_side_effects, reason = "a test may fail")]

use super::*;

const BEGIN: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn id(text: &str) -> GrantId {
    text.parse().unwrap()
}

/// Of a budget of 1000.
fn charge(grant: &str, text: &str) -> Charge {
    Charge { grant: id(grant), amount: amount(text), limit: amount("1000"), window: DAY }
}

struct Place {
    folder: tempfile::TempDir,
    writer: BudgetWriter,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), writer: BudgetWriter::start().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.toml")
    }

    fn open(&self) -> Budgets {
        Budgets::open(self.path())
    }

    /// Waits until the thread has done all that it was asked for.
    fn idle(&self, budgets: &Budgets) {
        while budgets.shared.asked.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }
}

fn left(budgets: &Budgets, seconds: i64) -> String {
    budgets.left(&id("bot"), amount("1000"), at(seconds)).to_string()
}

#[test]
fn spends_exactly_to_the_limit_and_not_a_unit_more() {
    let place = Place::new();
    let mut budgets = place.open();
    budgets.spend(&charge("bot", "999.999999999999"), at(0), &place.writer).unwrap();
    assert_eq!(left(&budgets, 0), "0.000000000001");
    let refused = budgets.spend(&charge("bot", "0.000000000002"), at(0), &place.writer).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "0.000000000002 is more than grant `bot` has left: 0.000000000001 of 1000 for any 24 hours"
    );
    budgets.spend(&charge("bot", "0.000000000001"), at(0), &place.writer).unwrap();
    budgets.spend(&charge("other", "1000"), at(0), &place.writer).unwrap();
    assert_eq!(left(&budgets, 0), "0");
}

#[test]
fn counts_an_amount_for_24_hours_and_at_most_a_quarter_more() {
    let place = Place::new();
    let mut budgets = place.open();
    // In the middle of a bucket: BEGIN is a multiple of a quarter of an hour.
    budgets.spend(&charge("bot", "600"), at(400), &place.writer).unwrap();
    let day = 24 * 3600;
    for (after, expected) in [(400 + day, "400"), (899 + day, "400"), (900 + day, "1000")] {
        assert_eq!(left(&budgets, after), expected, "{after}");
    }
    assert!(budgets.spend(&charge("bot", "401"), at(400 + day), &place.writer).is_err());
    budgets.spend(&charge("bot", "1000"), at(900 + day), &place.writer).unwrap();
}

#[test]
fn gives_nothing_back_where_the_clock_goes_back() {
    let place = Place::new();
    let mut budgets = place.open();
    budgets.spend(&charge("bot", "600"), at(7_200), &place.writer).unwrap();
    for back in [3_600, 0, -80_000] {
        assert_eq!(left(&budgets, back), "400", "{back}");
        assert!(budgets.spend(&charge("bot", "401"), at(back), &place.writer).is_err(), "{back}");
    }
    budgets.spend(&charge("bot", "100"), at(0), &place.writer).unwrap();
    // It counts as of the latest time: not a second less than it would have there.
    let day = 24 * 3600;
    assert_eq!(left(&budgets, 7_200 + day), "300");
    let refused = budgets.spend(&charge("bot", "1"), at(-86_400), &place.writer);
    assert!(matches!(refused, Err(BudgetError::ClockBehind { .. })), "{refused:?}");
}

#[test]
fn never_counts_too_little_over_restarts_without_a_farewell() {
    let place = Place::new();
    let mut spent = 0_u32;
    'all: for restart in 0..40 {
        let mut budgets = place.open();
        for step in 0..7 {
            if budgets.spend(&charge("bot", "10"), at(restart * 60 + step), &place.writer).is_err() {
                break 'all;
            }
            spent += 10;
        }
        // What the file says is never less than what was spent, whatever the thread has done meanwhile.
        let used = amount("1000").units() - place.open().left(&id("bot"), amount("1000"), at(0)).units();
        assert!(used >= amount(&spent.to_string()).units(), "{used} after {spent}");
    }
    assert!(spent <= 1000, "{spent}");
    assert!(spent >= 500, "each restart costs at most what was ahead, four charges: {spent}");
}

#[test]
fn keeps_on_disk_whatever_it_lets_pass() {
    let place = Place::new();
    let mut budgets = place.open();
    for step in 1..=2_000_u128 {
        budgets.spend(&charge("bot", "0.25"), at(0), &place.writer).unwrap();
        let used = amount("1000").units() - place.open().left(&id("bot"), amount("1000"), at(0)).units();
        assert!(used >= step * amount("0.25").units(), "{used} after {step}");
    }
}

#[test]
fn writes_ahead_so_that_few_charges_wait_for_the_disk() {
    let place = Place::new();
    let mut budgets = place.open();
    let mut waited = 0;
    for _ in 0..1_000 {
        let before = budgets.shared.ceiling(&id("bot"));
        budgets.spend(&charge("bot", "0.1"), at(0), &place.writer).unwrap();
        let total = budgets.grants[&id("bot")].total;
        waited += u32::from(before < total);
        place.idle(&budgets);
    }
    assert_eq!(waited, 1, "the first only");
}

#[test]
fn denies_where_the_file_is_damaged_edited_or_cannot_be_written() {
    let place = Place::new();
    place.open().spend(&charge("bot", "600"), at(0), &place.writer).unwrap();
    let whole = std::fs::read_to_string(place.path()).unwrap();
    for (case, text, fault) in [
        ("edited", whole.replace("\"600\"", "\"1\""), "was edited"),
        ("without its grants", whole.lines().take(3).collect::<Vec<_>>().join("\n"), "was edited"),
        ("cut", whole[..whole.len() / 2].to_owned(), "is damaged"),
        ("empty", String::new(), "is damaged"),
    ] {
        assert_ne!(text, whole, "{case}");
        std::fs::write(place.path(), text).unwrap();
        let mut budgets = place.open();
        let refused = budgets.spend(&charge("bot", "1"), at(0), &place.writer).unwrap_err();
        let said =
            format!("{} {fault}, so nobody can say what of each budget is used", place.path().display());
        assert_eq!(refused.to_string(), said, "{case}");
        assert_eq!(left(&budgets, 0), "0", "{case}");
    }
    std::fs::write(place.path(), whole).unwrap();
    place.open().spend(&charge("bot", "1"), at(0), &place.writer).unwrap();

    let mut nowhere = Budgets::open(place.folder.path().join("gone/a.toml"));
    for _ in 0..2 {
        let refused = nowhere.spend(&charge("bot", "1"), at(0), &place.writer);
        assert!(matches!(refused, Err(BudgetError::Store(_))), "{refused:?}");
        assert_eq!(left(&nowhere, 0), "1000", "and counts nothing");
    }
}

#[test]
fn keeps_the_budget_of_a_grant_whatever_its_limit_becomes() {
    let place = Place::new();
    let mut budgets = place.open();
    budgets.spend(&charge("bot", "600"), at(0), &place.writer).unwrap();
    let lower = Charge { limit: amount("500"), ..charge("bot", "1") };
    assert!(matches!(budgets.spend(&lower, at(0), &place.writer), Err(BudgetError::Exceeded { .. })));
    let higher = Charge { limit: amount("2000"), ..charge("bot", "1400") };
    budgets.spend(&higher, at(0), &place.writer).unwrap();
}
