//! What the worker does when the module misbehaves: `faulty-module.c` around SoftHSM.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use strongroom_link::token::{Rung, TokenRefusal};
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::front::{Answer, Front};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker/faulty-module.c");

/// A SoftHSM token whose module can be given a fault.
pub(crate) struct Faulty {
    pub(crate) token: FreshToken,
    logins: PathBuf,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        let mut token = FreshToken::new("ledger");
        let module = token.dir.path().join("faulty-module.so");
        // A machine that builds Rust has a C compiler: it is what links.
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-pthread", "-o"])
            .arg(&module)
            .arg(format!("-DSOFTHSM=\"{}\"", token.module.display()))
            .arg(SOURCE)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        token.module = module;
        let logins = token.dir.path().join("logins");
        Self { token, logins }
    }

    /// A worker whose module has this fault.
    fn with(&self, fault: &str) -> Front {
        Front::start_with(&self.environment(fault))
    }

    pub(crate) fn environment<'a>(&'a self, fault: &'a str) -> [(&'a str, &'a OsStr); 3] {
        [
            ("SOFTHSM2_CONF", self.token.conf.as_os_str()),
            ("LOGINS", self.logins.as_os_str()),
            ("FAULT", fault.as_ref()),
        ]
    }

    /// A worker whose module has this fault, with the token open.
    pub(crate) fn open_with(&self, fault: &str) -> Front {
        let mut front = self.with(fault);
        assert_eq!(front.open(&self.token), Answer::Done, "{fault}");
        front
    }

    /// How often the module was asked to log in.
    fn logins(&self) -> usize {
        std::fs::read_to_string(&self.logins).unwrap_or_default().lines().count()
    }
}

fn call(function: &str, code: &str) -> TokenRefusal {
    TokenRefusal::ModuleCall { function: function.to_owned(), code: code.to_owned() }
}

#[test]
fn tries_a_pin_exactly_once() {
    let faulty = Faulty::new();
    let mut front = faulty.with("none");
    let token = &faulty.token;
    let answer = front.open_as(&token.module, &token.serial, &token.label, b"wrong");
    assert!(matches!(answer, Answer::Refused(TokenRefusal::PinIncorrect { .. })), "{answer:?}");
    assert_eq!(faulty.logins(), 1);
    assert_eq!(front.open(token), Answer::Done);
    assert_eq!(faulty.logins(), 2);

    let kek = front.make("kek");
    let (mut blob, _) = front.protect(kek, Rung::AesGcm);
    blob[20] ^= 1;
    assert!(front.unprotect(kek, Rung::AesGcm, &blob).is_err());
    assert_eq!(front.probe(kek, None), Answer::Probed(Rung::AesGcm));
    assert_eq!(faulty.logins(), 2, "a session is replaced within the same login");
}

#[test]
fn refuses_to_try_a_pin_that_is_locked_or_would_lock_the_token() {
    let faulty = Faulty::new();
    assert_eq!(faulty.with("final-try").open(&faulty.token), Answer::Refused(TokenRefusal::PinFinalTry));
    assert_eq!(faulty.with("pin-locked").open(&faulty.token), Answer::Refused(TokenRefusal::PinLocked));
    assert_eq!(faulty.logins(), 0);
}

#[test]
fn does_not_look_at_slot_numbers() {
    let faulty = Faulty::new();
    let kek = faulty.open_with("none").make("kek");
    assert_eq!(faulty.open_with("moved-slots").find("kek", None), Answer::Kek(kek));
}

#[test]
fn tells_what_the_module_says_about_a_token_that_it_cannot_read() {
    let faulty = Faulty::new();
    let mut front = faulty.with("unreadable-token");
    let Answer::Refused(TokenRefusal::TokenAbsent { present, .. }) = front.open(&faulty.token) else {
        panic!("it opened")
    };
    // SoftHSM has one slot more, for the next token.
    let one = "a token that cannot be read (C_GetTokenInfo: CKR_DEVICE_ERROR)";
    assert_eq!(present, format!("{one}, {one}"));
    let listed = front.tokens(&faulty.token.module);
    assert_eq!(listed, Answer::Refused(call("C_GetTokenInfo", "CKR_DEVICE_ERROR")));
}

#[test]
fn destroys_a_new_kek_that_reads_back_wrong() {
    let faulty = Faulty::new();
    for (fault, words) in [
        ("extractable", "it may leave the token wrapped (CKA_EXTRACTABLE is true)"),
        ("gives-its-value", "the token gives out its value (CKA_VALUE), whatever its attributes say"),
    ] {
        let answer = faulty.open_with(fault).ask(|job| make(job, "kek"));
        let end = "although it was made otherwise; it has been destroyed again";
        let refusal = TokenRefusal::KekUnfit { label: "kek".to_owned(), fault: format!("{words}, {end}") };
        assert_eq!(answer, Answer::Refused(refusal));
        let absent = TokenRefusal::KekAbsent { label: "kek".to_owned() };
        assert_eq!(faulty.open_with("none").find("kek", None), Answer::Refused(absent), "{fault}");
    }
}

#[test]
fn says_when_an_unfit_new_kek_could_not_be_destroyed() {
    let faulty = Faulty::new();
    let answer = faulty.open_with("extractable-for-ever").ask(|job| make(job, "kek"));
    let Answer::Refused(TokenRefusal::KekUnfit { fault, .. }) = answer else { panic!("{answer:?}") };
    assert!(fault.starts_with("it may leave the token wrapped (CKA_EXTRACTABLE is true)"), "{fault}");
    let end = "; it could not be destroyed (C_DestroyObject: CKR_FUNCTION_FAILED), so delete it with the token's own tool";
    assert!(fault.ends_with(end), "{fault}");
}

#[test]
fn refuses_an_existing_kek_whose_value_comes_out_whatever_its_attributes_say() {
    let faulty = Faulty::new();
    let kek = faulty.open_with("none").make("kek");
    let mut front = faulty.open_with("gives-its-value");
    let words = "the token gives out its value (CKA_VALUE), whatever its attributes say; \
                 let `strongroom init` make a new KEK under a label of its own";
    let unfit = |label: &str| TokenRefusal::KekUnfit { label: label.to_owned(), fault: words.to_owned() };
    assert_eq!(front.find("kek", None), Answer::Refused(unfit("kek")));
    assert_eq!(front.find("kek", Some(kek)), Answer::Refused(unfit("kek")));
    let hex: String = kek.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(front.probe(kek, None), Answer::Refused(unfit(&format!("(id {hex})"))));
}

#[test]
fn falls_to_the_next_rung_only_when_probing() {
    let faulty = Faulty::new();
    let (kek, blob) = {
        let mut front = faulty.open_with("none");
        let kek = front.make("kek");
        (kek, front.protect(kek, Rung::AesGcm).0)
    };
    let mut front = faulty.open_with("no-gcm");
    assert_eq!(front.probe(kek, None), Answer::Probed(Rung::AesCbc));
    let tried = "aes-gcm (C_EncryptInit: CKR_MECHANISM_INVALID)".to_owned();
    assert_eq!(front.probe(kek, Some(Rung::AesGcm)), Answer::Refused(TokenRefusal::NoRung { tried }));
    let refused = call("C_EncryptInit", "CKR_MECHANISM_INVALID");
    assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Err(refused.clone()));
    let answer = front.ask(|job| strongroom_link::token::ToToken::Protect { job, kek, rung: Rung::AesGcm });
    assert_eq!(answer, Answer::Refused(refused));
    let (blob, seed) = front.protect(kek, Rung::AesCbc);
    assert_eq!(front.unprotect(kek, Rung::AesCbc, &blob), Ok(seed));
}

#[test]
fn tells_what_the_module_said_to_each_rung_where_none_works() {
    let faulty = Faulty::new();
    let kek = faulty.open_with("none").make("kek");
    for (fault, tried) in [
        (
            "no-aes",
            "aes-gcm (C_EncryptInit: CKR_MECHANISM_INVALID), aes-cbc (C_EncryptInit: CKR_MECHANISM_INVALID)",
        ),
        (
            "accepts-anything",
            "aes-gcm (it does not notice a changed ciphertext), aes-cbc (what it decrypts is not what it encrypted)",
        ),
    ] {
        let refusal = TokenRefusal::NoRung { tried: tried.to_owned() };
        assert_eq!(faulty.open_with(fault).probe(kek, None), Answer::Refused(refusal));
    }
}

#[test]
fn does_not_call_a_record_damaged_when_the_token_is_removed_or_broken() {
    let faulty = Faulty::new();
    let (kek, blob) = {
        let mut front = faulty.open_with("none");
        let kek = front.make("kek");
        (kek, front.protect(kek, Rung::AesGcm).0)
    };
    for (fault, refusal) in [
        ("removed", call("C_DecryptInit", "CKR_DEVICE_REMOVED")),
        ("broken-device", call("C_Decrypt", "CKR_DEVICE_ERROR")),
    ] {
        let mut front = faulty.open_with(fault);
        assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Err(refusal), "{fault}");
    }
    let removed = call("C_DecryptInit", "CKR_DEVICE_REMOVED");
    assert_eq!(faulty.open_with("removed").probe(kek, None), Answer::Refused(removed));
}

#[test]
fn refuses_a_result_that_is_no_seed() {
    let faulty = Faulty::new();
    let mut front = faulty.open_with("short-seed");
    let kek = front.make("kek");
    let (blob, _) = front.protect(kek, Rung::AesGcm);
    let code = "31 bytes came, not 32".to_owned();
    assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Err(TokenRefusal::SeedRejected { code }));
}

#[test]
fn replaces_a_session_that_an_error_has_left_in_an_operation() {
    let faulty = Faulty::new();
    let mut front = faulty.open_with("stuck-session");
    let kek = front.make("kek");
    let (blob, seed) = front.protect(kek, Rung::AesGcm);
    let mut changed = blob.clone();
    changed[40] ^= 1;
    let code = "CKR_GENERAL_ERROR".to_owned();
    let rejected = TokenRefusal::SeedRejected { code };
    for _ in 0..3 {
        assert_eq!(front.unprotect(kek, Rung::AesGcm, &changed), Err(rejected.clone()));
        assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Ok(seed));
    }
}

const fn make(job: u64, label: &str) -> strongroom_link::token::ToToken<'_> {
    strongroom_link::token::ToToken::MakeKek { job, label }
}
