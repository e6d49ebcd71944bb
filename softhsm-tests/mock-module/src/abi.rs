//! The C side: pointers in, pointers out. Nothing is decided here.
//!
//! PKCS#11 v3.1 section 5.2: a caller gives, for a length, a buffer of that length or null; the caller of
//! each function below upholds that, and that no two threads give one buffer.
#![expect(unsafe_code, reason = "a PKCS#11 module is called from C, with raw pointers")]

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use cryptoki_sys as ck;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BBOOL, CK_BYTE, CK_FLAGS, CK_FUNCTION_LIST, CK_INFO, CK_MECHANISM, CK_NOTIFY,
    CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_SLOT_ID, CK_SLOT_INFO, CK_TOKEN_INFO, CK_ULONG,
    CK_USER_TYPE,
};

use crate::cipher::Direction;
use crate::code::Outcome;
use crate::module::{Module, Now};
use crate::pointers::{attributes, bytes, give, give_all, mechanism, padded, template};
use crate::script::Act;

static MODULE: Mutex<Module> = Mutex::new(Module::new());

static FUNCTIONS: CK_FUNCTION_LIST = function_list();

/// Gives the functions of this module.
///
/// # Safety
/// As PKCS#11 says: `list` has room for one pointer.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "it is reached by its name")]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    if list.is_null() {
        return ck::CKR_ARGUMENTS_BAD;
    }
    // SAFETY: the caller gives room for one pointer. It may read the list for ever and never writes to it.
    unsafe { list.write((&raw const FUNCTIONS).cast_mut()) };
    ck::CKR_OK
}

fn call(name: &'static str, work: impl FnOnce(&mut Module, &Now) -> Outcome<()>) -> CK_RV {
    MODULE.lock().unwrap_or_else(PoisonError::into_inner).call(name, work)
}

unsafe extern "C" fn initialize(_arguments: *mut c_void) -> CK_RV {
    call("C_Initialize", |module, _| module.initialize())
}

unsafe extern "C" fn finalize(_reserved: *mut c_void) -> CK_RV {
    call("C_Finalize", |module, _| {
        module.finalize();
        Ok(())
    })
}

unsafe extern "C" fn get_info(info: *mut CK_INFO) -> CK_RV {
    call("C_GetInfo", |_, _| {
        let facts = CK_INFO {
            cryptokiVersion: VERSION,
            manufacturerID: padded(MAKER),
            libraryDescription: padded("mock"),
            ..CK_INFO::default()
        };
        // SAFETY: the caller gives room for one.
        unsafe { give(info, facts) }
    })
}

unsafe extern "C" fn get_slot_list(present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) -> CK_RV {
    call("C_GetSlotList", |module, now| {
        let all = module.slots(now, present != 0);
        // SAFETY: the caller gives a count, and null or room for as many.
        unsafe { give_all(&all, now.act, slots, count) }.map(|_| ())
    })
}

unsafe extern "C" fn get_slot_info(_slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) -> CK_RV {
    call("C_GetSlotInfo", |module, now| {
        let present = if module.is_present(now) { ck::CKF_TOKEN_PRESENT } else { 0 };
        let facts = CK_SLOT_INFO {
            slotDescription: padded("mock"),
            manufacturerID: padded(MAKER),
            flags: present | ck::CKF_REMOVABLE_DEVICE,
            ..CK_SLOT_INFO::default()
        };
        // SAFETY: the caller gives room for one.
        unsafe { give(info, facts) }
    })
}

unsafe extern "C" fn get_token_info(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    call("C_GetTokenInfo", |module, now| {
        let token = module.token(now, slot)?;
        let facts = CK_TOKEN_INFO {
            label: padded(&token.label),
            manufacturerID: padded(MAKER),
            model: padded("mock"),
            serialNumber: padded(&token.serial),
            flags: token.flags,
            ulMaxPinLen: 255,
            ulMinPinLen: 4,
            utcTime: padded("2026112100000000"),
            ..CK_TOKEN_INFO::default()
        };
        // SAFETY: the caller gives room for one.
        unsafe { give(info, facts) }
    })
}

unsafe extern "C" fn open_session(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    _application: *mut c_void,
    _notify: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    call("C_OpenSession", |module, _| {
        let handle = module.open_session(slot, flags)?;
        // SAFETY: the caller gives room for one.
        unsafe { give(session, handle) }
    })
}

unsafe extern "C" fn close_session(session: CK_SESSION_HANDLE) -> CK_RV {
    call("C_CloseSession", |module, _| module.close_session(session))
}

unsafe extern "C" fn login(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_BYTE,
    length: CK_ULONG,
) -> CK_RV {
    call("C_Login", |module, now| {
        if user != ck::CKU_USER {
            return Err(ck::CKR_USER_TYPE_INVALID);
        }
        // SAFETY: the PIN has its length by the caller's promise.
        let given = (!pin.is_null()).then(|| unsafe { bytes(pin.cast(), length) });
        module.login(now, session, given)
    })
}

unsafe extern "C" fn logout(session: CK_SESSION_HANDLE) -> CK_RV {
    call("C_Logout", |module, _| module.logout(session))
}

unsafe extern "C" fn generate_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    from: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    call("C_GenerateKey", |module, now| {
        // SAFETY: null or a mechanism.
        let mechanism = unsafe { mechanism.as_ref() }.ok_or(ck::CKR_ARGUMENTS_BAD)?;
        if mechanism.mechanism != ck::CKM_AES_KEY_GEN {
            return Err(ck::CKR_MECHANISM_INVALID);
        }
        // SAFETY: the caller gives that many attributes.
        let template = unsafe { template(from, count) };
        let handle = module.generate(now, session, template)?;
        // SAFETY: the caller gives room for one.
        unsafe { give(key, handle) }
    })
}

unsafe extern "C" fn create_object(
    session: CK_SESSION_HANDLE,
    from: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    call("C_CreateObject", |module, now| {
        // SAFETY: the caller gives that many attributes.
        let template = unsafe { template(from, count) };
        let handle = module.create(now, session, template)?;
        // SAFETY: the caller gives room for one.
        unsafe { give(object, handle) }
    })
}

unsafe extern "C" fn destroy_object(session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> CK_RV {
    call("C_DestroyObject", |module, now| module.destroy(now, session, key))
}

unsafe extern "C" fn get_attribute_value(
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    wanted: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    call("C_GetAttributeValue", |module, now| {
        module.check_session(session)?;
        let key = module.key(now, key)?;
        let mut code = Ok(());
        // SAFETY: the caller gives that many attributes.
        for one in unsafe { attributes(wanted, count) } {
            let given = key.attribute(one.type_, now.act).and_then(|value| {
                // SAFETY: each value is null or has room for its length.
                unsafe { give_all(&value, now.act, one.pValue.cast(), &raw mut one.ulValueLen) }
            });
            if let Err(fault) = given {
                if now.act != Some(Act::ShortBuffer) {
                    one.ulValueLen = ck::CK_UNAVAILABLE_INFORMATION;
                }
                code = Err(fault);
            }
        }
        code
    })
}

unsafe extern "C" fn find_objects_init(
    session: CK_SESSION_HANDLE,
    wanted: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    call("C_FindObjectsInit", |module, now| {
        // SAFETY: the caller gives that many attributes.
        let wanted = unsafe { template(wanted, count) };
        module.begin_search(now, session, &wanted)
    })
}

unsafe extern "C" fn find_objects(
    session: CK_SESSION_HANDLE,
    keys: *mut CK_OBJECT_HANDLE,
    most: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    call("C_FindObjects", |module, now| {
        let found = module.found(session, usize::try_from(most).unwrap_or(usize::MAX))?;
        let mut length = most;
        // SAFETY: there is room for as many as `most` says.
        let _ = unsafe { give_all(&found, now.act, keys, &raw mut length) }?;
        // SAFETY: the caller gives room for one.
        unsafe { give(count, length) }
    })
}

unsafe extern "C" fn find_objects_final(session: CK_SESSION_HANDLE) -> CK_RV {
    call("C_FindObjectsFinal", |module, _| module.end_search(session))
}

unsafe extern "C" fn encrypt_init(
    session: CK_SESSION_HANDLE,
    how: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call("C_EncryptInit", |module, now| {
        // SAFETY: the caller gives a mechanism.
        let mechanism = unsafe { mechanism(how) }?;
        module.begin(now, session, Direction::Encrypt, mechanism, key)
    })
}

unsafe extern "C" fn decrypt_init(
    session: CK_SESSION_HANDLE,
    how: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call("C_DecryptInit", |module, now| {
        // SAFETY: the caller gives a mechanism.
        let mechanism = unsafe { mechanism(how) }?;
        module.begin(now, session, Direction::Decrypt, mechanism, key)
    })
}

/// The rest of encryption and decryption, which are alike.
///
/// # Safety
/// `data` has its length; `to` and `length` are as [`give_all`] says.
unsafe fn crypt(
    (module, now): (&mut Module, &Now),
    session: CK_SESSION_HANDLE,
    direction: Direction,
    data: &[u8],
    (to, length): (*mut CK_BYTE, *mut CK_ULONG),
) -> Outcome<()> {
    let mut made = module.crypt(session, direction, data)?;
    if let (Some(Act::Flip), Some(first)) = (now.act, made.first_mut()) {
        *first ^= 1;
    }
    // SAFETY: the same promise.
    if unsafe { give_all(&made, now.act, to, length) }? {
        module.end(session)?;
    }
    Ok(())
}

unsafe extern "C" fn encrypt(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_length: CK_ULONG,
    to: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    call("C_Encrypt", |module, now| {
        // SAFETY: the data have their length by the caller's promise.
        let data = unsafe { bytes(data.cast(), data_length) };
        // SAFETY: the caller gives a length, and null or room for as much.
        unsafe { crypt((module, now), session, Direction::Encrypt, data, (to, length)) }
    })
}

unsafe extern "C" fn decrypt(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_length: CK_ULONG,
    to: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    call("C_Decrypt", |module, now| {
        // SAFETY: the data have their length by the caller's promise.
        let data = unsafe { bytes(data.cast(), data_length) };
        // SAFETY: the caller gives a length, and null or room for as much.
        unsafe { crypt((module, now), session, Direction::Decrypt, data, (to, length)) }
    })
}

unsafe extern "C" fn generate_random(
    session: CK_SESSION_HANDLE,
    to: *mut CK_BYTE,
    length: CK_ULONG,
) -> CK_RV {
    call("C_GenerateRandom", |module, _| {
        module.check_session(session)?;
        let mut made = vec![0; usize::try_from(length).map_err(|_| ck::CKR_ARGUMENTS_BAD)?];
        getrandom::fill(&mut made).map_err(|_| ck::CKR_DEVICE_ERROR)?;
        let mut room = length;
        // SAFETY: the caller gives room for that many.
        unsafe { give_all(&made, None, to, &raw mut room) }.map(|_| ())
    })
}

const MAKER: &str = "Strongroom tests";
const VERSION: ck::CK_VERSION = ck::CK_VERSION { major: 2, minor: 40 };

const fn function_list() -> CK_FUNCTION_LIST {
    CK_FUNCTION_LIST {
        version: VERSION,
        C_CloseSession: Some(close_session),
        C_CreateObject: Some(create_object),
        C_Decrypt: Some(decrypt),
        C_DecryptInit: Some(decrypt_init),
        C_DestroyObject: Some(destroy_object),
        C_Encrypt: Some(encrypt),
        C_EncryptInit: Some(encrypt_init),
        C_Finalize: Some(finalize),
        C_FindObjects: Some(find_objects),
        C_FindObjectsFinal: Some(find_objects_final),
        C_FindObjectsInit: Some(find_objects_init),
        C_GenerateKey: Some(generate_key),
        C_GenerateRandom: Some(generate_random),
        C_GetAttributeValue: Some(get_attribute_value),
        C_GetFunctionList: Some(C_GetFunctionList),
        C_GetInfo: Some(get_info),
        C_GetSlotInfo: Some(get_slot_info),
        C_GetSlotList: Some(get_slot_list),
        C_GetTokenInfo: Some(get_token_info),
        C_Initialize: Some(initialize),
        C_Login: Some(login),
        C_Logout: Some(logout),
        C_OpenSession: Some(open_session),
        // Not offered: the worker needs none of these.
        C_GetMechanismList: None,
        C_GetMechanismInfo: None,
        C_InitToken: None,
        C_InitPIN: None,
        C_SetPIN: None,
        C_CloseAllSessions: None,
        C_GetSessionInfo: None,
        C_GetOperationState: None,
        C_SetOperationState: None,
        C_CopyObject: None,
        C_GetObjectSize: None,
        C_SetAttributeValue: None,
        C_EncryptUpdate: None,
        C_EncryptFinal: None,
        C_DecryptUpdate: None,
        C_DecryptFinal: None,
        C_DigestInit: None,
        C_Digest: None,
        C_DigestUpdate: None,
        C_DigestKey: None,
        C_DigestFinal: None,
        C_SignInit: None,
        C_Sign: None,
        C_SignUpdate: None,
        C_SignFinal: None,
        C_SignRecoverInit: None,
        C_SignRecover: None,
        C_VerifyInit: None,
        C_Verify: None,
        C_VerifyUpdate: None,
        C_VerifyFinal: None,
        C_VerifyRecoverInit: None,
        C_VerifyRecover: None,
        C_DigestEncryptUpdate: None,
        C_DecryptDigestUpdate: None,
        C_SignEncryptUpdate: None,
        C_DecryptVerifyUpdate: None,
        C_GenerateKeyPair: None,
        C_WrapKey: None,
        C_UnwrapKey: None,
        C_DeriveKey: None,
        C_SeedRandom: None,
        C_GetFunctionStatus: None,
        C_CancelFunction: None,
        C_WaitForSlotEvent: None,
    }
}
