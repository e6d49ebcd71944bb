//! What tests from outside share: real tokens, made fresh for each test, and real agents on them.

#![forbid(unsafe_code)]

pub mod card;
pub mod load;
pub mod logind;
pub mod machine;
pub mod mock;
pub mod process;
pub mod raw;
pub mod room;
pub mod seed;
pub mod settings;
pub mod slow;
pub mod softhsm;
pub mod terminal;
