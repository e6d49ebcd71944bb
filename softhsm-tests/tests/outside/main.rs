//! Tests from outside: the built programs, real tokens, real sockets. One program, so that the tests
//! share the machine's processors; one idea a file.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

mod keeper;
mod keys;
mod puppet;

mod abuse;
mod algorithms;
mod audit;
mod audit_accept;
mod audit_disk;
mod audit_edits;
mod audit_ends;
mod audit_found;
mod audit_head;
mod audit_pruned;
mod audit_told;
mod budgets;
mod cli;
mod client_tokens;
mod clients;
mod confirm;
mod confirm_asked;
mod crash;
mod crowd;
mod curl;
mod descriptors;
mod doctor;
mod documented;
mod domains;
mod enroll;
mod errors;
mod examined;
mod grant_kills;
mod grant_words;
mod grants;
mod guard;
mod helpers;
mod honey;
mod identity;
mod idle;
mod in_places;
mod init;
mod journal;
mod learn;
mod logins;
mod memory;
mod metrics;
mod nonces;
mod output;
mod own_venue;
mod peers;
mod pinentry;
mod processes;
mod progress;
mod prompt;
mod records;
mod recycled;
mod removal;
mod revisions;
mod road;
mod roles;
mod rollback;
mod scope;
mod service;
mod shapes;
mod sleep;
mod slips;
mod socket;
mod strangers;
mod supervisor;
mod token_key;
mod token_trouble;
mod told;
mod typed;
mod vectors;
mod venue;
mod wire;
