//! How much fits, and what is said where it does not.

use strongroom_keeper::keyring::LIMIT;
use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, KeySpec, PassphraseUse, SecretForm};

use crate::confine::locking_at_most;
use crate::front::{Answer, CONTEXT, Keeper, SPEC, piped, record_seed};

/// What most systems let an ordinary user lock.
const ORDINARY_LIMIT: u64 = 8 * 1024 * 1024;

/// Loads one envelope into so many slots, and gives how many went.
fn fill(
    keeper: &mut Keeper,
    spec: KeySpec,
    secret: &[u8],
    passphrase: Option<&[u8]>,
) -> (u32, Option<Refusal>) {
    let mut port = keeper.open_seed_port();
    let envelope = keeper.seal(&mut port, spec, piped(secret), passphrase.map(piped)).expect("seals");
    for slot in 0..LIMIT {
        let job = keeper.next_job();
        port.send(job, &record_seed()).expect("the keeper holds the port");
        match keeper.ask(ToKeeper::Load { job, slot, spec, context: CONTEXT, envelope: &envelope }) {
            Answer::Done(answered) => assert_eq!(answered, job),
            Answer::Refused(answered, refusal) if answered == job => return (slot, Some(refusal)),
            other => panic!("{other:?}"),
        }
    }
    (LIMIT, None)
}

/// The largest of them: two SHA-512 states and the MAC of a passphrase each.
#[test]
fn holds_ten_thousand_credentials_in_what_an_ordinary_user_may_lock() {
    let (mut keeper, _) =
        Keeper::try_start(&[], |command| locking_at_most(command, ORDINARY_LIMIT)).expect("starts");
    let spec = KeySpec { algorithm: Algorithm::HmacSha512, passphrase: PassphraseUse::Mac, ..SPEC };
    assert_eq!(fill(&mut keeper, spec, b"a secret", Some(b"a passphrase")), (LIMIT, None));
    let last = keeper.sign(LIMIT - 1, b"m").expect("signs");
    assert_eq!(keeper.sign(0, b"m").expect("signs"), last);
    assert_eq!(last.1.len(), 64);
    assert_eq!(keeper.forget_all(), 0);
}

/// Secrets that are kept as they are can be long; then memory ends before the slots do.
#[test]
fn says_how_many_it_holds_when_its_memory_is_full_and_takes_more_when_some_are_gone() {
    let mut keeper = Keeper::start();
    let spec = KeySpec { algorithm: Algorithm::HashSha256, form: SecretForm::Utf8, max_bytes: 8192, ..SPEC };
    let (held, refusal) = fill(&mut keeper, spec, &[b's'; 8192], None);
    assert_eq!(refusal, Some(Refusal::KeyringFull { limit: held }));
    let told = format!(
        "the keeper holds {held} keys, which is its limit: one of each credential, one of the audit log, and one of the floors of revisions"
    );
    assert_eq!(Refusal::KeyringFull { limit: held }.to_string(), told);
    assert!((500..LIMIT).contains(&held), "{held}");
    assert!(keeper.sign_with_secret(held - 1, b"m").is_ok(), "it goes on");
    let mut port = keeper.open_seed_port();
    assert_eq!(
        keeper.seal(&mut port, SPEC, piped(b"secret"), None),
        Err(Refusal::KeyringFull { limit: held }),
        "no room for the work either"
    );
    for slot in 0..held {
        assert_eq!(keeper.told(ToKeeper::Forget { job: 1 << 40, slot }), Ok(()));
    }
    let envelope = keeper.seal(&mut port, SPEC, piped(b"secret"), None).expect("seals");
    keeper.load(&mut port, 0, SPEC, &envelope).expect("loads");
}
