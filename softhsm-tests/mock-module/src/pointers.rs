//! A caller's pointers: read from and written to by PKCS#11's conventions, nowhere else.
#![expect(unsafe_code, reason = "a PKCS#11 module is called from C, with raw pointers")]

use std::ffi::c_void;

use cryptoki_sys as ck;
use cryptoki_sys::{CK_ATTRIBUTE, CK_BYTE, CK_GCM_PARAMS, CK_MECHANISM, CK_ULONG};

use crate::cipher::Mechanism;
use crate::code::Outcome;
use crate::key::Attributes;
use crate::script::Act;

/// A caller's bytes.
///
/// # Safety
/// `from` is null or holds `length` bytes during the call.
pub(crate) unsafe fn bytes<'a>(from: *const c_void, length: CK_ULONG) -> &'a [u8] {
    match usize::try_from(length) {
        Ok(length) if !from.is_null() && length > 0 => {
            // SAFETY: not null, and of that length by the caller's promise.
            unsafe { std::slice::from_raw_parts(from.cast(), length) }
        }
        _ => &[],
    }
}

/// A caller's template.
///
/// # Safety
/// `from` is null or holds `count` attributes during the call, to which nobody else writes.
pub(crate) unsafe fn attributes<'a>(from: *mut CK_ATTRIBUTE, count: CK_ULONG) -> &'a mut [CK_ATTRIBUTE] {
    match usize::try_from(count) {
        Ok(count) if !from.is_null() && count > 0 => {
            // SAFETY: not null, and of that length by the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(from, count) }
        }
        _ => &mut [],
    }
}

/// The values of a caller's template.
///
/// # Safety
/// As [`attributes`], and each value has its length.
pub(crate) unsafe fn template(from: *mut CK_ATTRIBUTE, count: CK_ULONG) -> Attributes {
    // SAFETY: the same promise.
    let given = unsafe { attributes(from, count) };
    let value = |one: &mut CK_ATTRIBUTE| {
        // SAFETY: each value has its length by the caller's promise.
        (one.type_, unsafe { bytes(one.pValue, one.ulValueLen) }.to_vec())
    };
    given.iter_mut().map(value).collect()
}

/// A caller's mechanism with its parameter.
///
/// # Safety
/// `from` is null or a mechanism whose parameter is what its type says.
pub(crate) unsafe fn mechanism(from: *const CK_MECHANISM) -> Outcome<Mechanism> {
    // SAFETY: null or a mechanism.
    let given = unsafe { from.as_ref() }.ok_or(ck::CKR_ARGUMENTS_BAD)?;
    match given.mechanism {
        ck::CKM_AES_CBC => {
            // SAFETY: the parameter has its length by the caller's promise.
            let iv = unsafe { bytes(given.pParameter, given.ulParameterLen) };
            Ok(Mechanism::Cbc { iv: iv.to_vec() })
        }
        ck::CKM_AES_GCM if usize::try_from(given.ulParameterLen) == Ok(size_of::<CK_GCM_PARAMS>()) => {
            // SAFETY: the parameter has the length of this structure.
            let gcm = unsafe { given.pParameter.cast::<CK_GCM_PARAMS>().as_ref() };
            let gcm = gcm.ok_or(ck::CKR_MECHANISM_PARAM_INVALID)?;
            // SAFETY: the IV has its length by the caller's promise.
            let iv = unsafe { bytes(gcm.pIv.cast(), gcm.ulIvLen) }.to_vec();
            // SAFETY: so have the associated data.
            let aad = unsafe { bytes(gcm.pAAD.cast(), gcm.ulAADLen) }.to_vec();
            Ok(Mechanism::Gcm { iv, aad, tag_bits: gcm.ulTagBits })
        }
        ck::CKM_AES_GCM => Err(ck::CKR_MECHANISM_PARAM_INVALID),
        _ => Err(ck::CKR_MECHANISM_INVALID),
    }
}

/// Writes one value where the caller has room for it.
///
/// # Safety
/// `to` is null or has room for one `T`.
pub(crate) unsafe fn give<T>(to: *mut T, value: T) -> Outcome<()> {
    if to.is_null() {
        return Err(ck::CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, with room by the caller's promise.
    unsafe { to.write(value) };
    Ok(())
}

/// Gives values by PKCS#11's convention for results of unknown length: null asks for the length. Says
/// whether the values were given.
///
/// # Safety
/// `length` is null or points to a length; `to` is null or has room for as many values as that says.
pub(crate) unsafe fn give_all<T: Copy>(
    values: &[T],
    act: Option<Act>,
    to: *mut T,
    length: *mut CK_ULONG,
) -> Outcome<bool> {
    // SAFETY: null or a length that nobody else writes to.
    let length = unsafe { length.as_mut() }.ok_or(ck::CKR_ARGUMENTS_BAD)?;
    let room = usize::try_from(*length).unwrap_or(usize::MAX);
    *length = told(values.len(), act)?;
    if to.is_null() {
        return Ok(false);
    }
    if act == Some(Act::ShortBuffer) {
        *length = length.saturating_mul(2);
        return Err(ck::CKR_BUFFER_TOO_SMALL);
    }
    if room < values.len() {
        return Err(ck::CKR_BUFFER_TOO_SMALL);
    }
    // SAFETY: there is room for that many values, and the caller's buffer is none of ours.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len()) };
    Ok(true)
}

/// The length that is reported for a result.
fn told(length: usize, act: Option<Act>) -> Outcome<CK_ULONG> {
    let length = match act {
        Some(Act::LongLength) => length.saturating_add(1),
        Some(Act::ShortLength) => length.saturating_sub(1),
        _ => length,
    };
    CK_ULONG::try_from(length).map_err(|_| ck::CKR_HOST_MEMORY)
}

/// PKCS#11 pads its texts with blanks.
pub(crate) fn padded<const N: usize>(text: &str) -> [CK_BYTE; N] {
    let mut field = [b' '; N];
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    field
}
