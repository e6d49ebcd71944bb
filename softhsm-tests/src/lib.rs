//! What tests from outside share: real tokens, made fresh for each test, and real agents on them.

pub mod room;
pub mod softhsm;
