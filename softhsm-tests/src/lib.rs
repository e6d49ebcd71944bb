//! What tests from outside share: real tokens, made fresh for each test.

pub mod softhsm;
