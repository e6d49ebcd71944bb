//! Return codes by their names in the standard.

use cryptoki_sys as ck;
use cryptoki_sys::CK_RV;

/// What a call gives; the error is what the caller is told.
pub(crate) type Outcome<T> = Result<T, CK_RV>;

/// The number of a code, by its name or as a hexadecimal number of a vendor.
pub(crate) fn by_name(name: &str) -> Option<CK_RV> {
    if let Some(digits) = name.strip_prefix("0x") {
        return CK_RV::from_str_radix(digits, 16).ok();
    }
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

macro_rules! named {
    ($($code:ident)*) => { &[$((stringify!($code), ck::$code)),*] };
}

const NAMED: &[(&str, CK_RV)] = named![
    CKR_ATTRIBUTE_SENSITIVE
    CKR_BUFFER_TOO_SMALL
    CKR_CRYPTOKI_ALREADY_INITIALIZED
    CKR_CRYPTOKI_NOT_INITIALIZED
    CKR_DEVICE_ERROR
    CKR_DEVICE_MEMORY
    CKR_DEVICE_REMOVED
    CKR_ENCRYPTED_DATA_INVALID
    CKR_FUNCTION_FAILED
    CKR_FUNCTION_NOT_SUPPORTED
    CKR_GENERAL_ERROR
    CKR_HOST_MEMORY
    CKR_KEY_HANDLE_INVALID
    CKR_MECHANISM_INVALID
    CKR_OBJECT_HANDLE_INVALID
    CKR_OK
    CKR_OPERATION_ACTIVE
    CKR_PIN_EXPIRED
    CKR_PIN_INCORRECT
    CKR_PIN_LOCKED
    CKR_SESSION_CLOSED
    CKR_SESSION_COUNT
    CKR_SESSION_HANDLE_INVALID
    CKR_SLOT_ID_INVALID
    CKR_TOKEN_NOT_PRESENT
    CKR_TOKEN_NOT_RECOGNIZED
    CKR_USER_ALREADY_LOGGED_IN
    CKR_USER_NOT_LOGGED_IN
];
