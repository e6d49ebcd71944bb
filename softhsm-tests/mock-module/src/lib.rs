//! A PKCS#11 module for tests: a small, honest token that fails where and how a script says.
//!
//! `STRONGROOM_MOCK` names the script, a TOML file, which is looked at again at every call. Its folder holds
//! the token: keys and the count of wrong PINs outlive the process and are shared by all that load the
//! module. Every call is written to `calls.log` there, one line each, never with an argument.
//!
//! ```toml
//! [token]
//! serial = "5d2e8f0a"
//! label = "bots"
//! pin = "123456"
//!
//! [[fault]]
//! call = "C_Login"   # a function
//! nth = 1            # which of its calls in this process; 0 means every one
//! do = "return"      # see `script::Act`
//! code = "CKR_DEVICE_REMOVED"
//! ```

mod abi;
mod cipher;
mod code;
mod file;
mod key;
mod module;
mod pointers;
mod script;
mod store;
