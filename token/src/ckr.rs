//! Return codes of a module: how they are named, and which mean that the token itself is gone.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use strongroom_link::token::TokenRefusal;

/// What a call into the module gives.
pub(crate) type Call<T> = Result<T, Error>;

/// The refusal that tells of a call which failed for no reason of ours.
pub(crate) fn refusal(error: &Error) -> TokenRefusal {
    let (function, code) = names(error);
    TokenRefusal::ModuleCall { function, code }
}

/// `C_Function: CKR_CODE`, for a text that tells of several calls.
pub(crate) fn text(error: &Error) -> String {
    let (function, code) = names(error);
    format!("{function}: {code}")
}

/// The name of the code alone.
pub(crate) fn code(error: &Error) -> String {
    names(error).1
}

fn names(error: &Error) -> (String, String) {
    match error {
        Error::Pkcs11(code, function) => (function_name(*function), code_name(*code)),
        Error::NullFunctionPointer => {
            ("calling the module".to_owned(), "it does not offer that function".to_owned())
        }
        other => ("reading the module's answer".to_owned(), other.to_string()),
    }
}

fn function_name(function: Function) -> String {
    format!("C_{function:?}")
}

/// `PinLenRange` becomes `CKR_PIN_LEN_RANGE`, the name in PKCS#11's header file.
fn code_name(code: RvError) -> String {
    if let RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) = code {
        return format!("return code 0x{number:08X}");
    }
    let mut name = "CKR".to_owned();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Whether the token, the session or the login is gone, so that nothing can be said about the data.
pub(crate) const fn is_connection(code: RvError) -> bool {
    matches!(
        code,
        RvError::CryptokiNotInitialized
            | RvError::DeviceMemory
            | RvError::DeviceRemoved
            | RvError::HostMemory
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::PinExpired
            | RvError::SessionClosed
            | RvError::SessionCount
            | RvError::SessionHandleInvalid
            | RvError::SlotIdInvalid
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_codes_and_functions_as_the_standard_does() {
        for (code, function, expected) in [
            (RvError::PinLenRange, Function::Login, "C_Login: CKR_PIN_LEN_RANGE"),
            (RvError::GeneralError, Function::DecryptInit, "C_DecryptInit: CKR_GENERAL_ERROR"),
            (RvError::CryptokiNotInitialized, Function::InitPIN, "C_InitPIN: CKR_CRYPTOKI_NOT_INITIALIZED"),
            (RvError::VendorDefined(0x8000_0001), Function::Encrypt, "C_Encrypt: return code 0x80000001"),
        ] {
            assert_eq!(text(&Error::Pkcs11(code, function)), expected);
        }
    }
}
