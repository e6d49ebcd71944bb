//! What must hold for every message, and for bytes that are none.

mod arbitrary;
mod hostile;
mod oracle;
mod round_trip;
