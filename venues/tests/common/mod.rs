//! Signs with the keeper's key types, as the agent does, but without processes.

use strongroom_keeper::key::SigningKey;
use strongroom_venues::{Account, Moment, Profile, Request, RequestError, SignedRequest};

/// A shipped profile.
pub(crate) fn builtin(id: &str) -> Profile {
    strongroom_venues::builtin(id).expect("shipped").expect("compiles")
}

/// An account with an API key.
pub(crate) fn account(key_id: &'static str) -> Account<'static> {
    Account { key_id, uid: Some("77"), base_url: "https://api.example.com" }
}

/// Signs `request`, taking time and nonce from the caller where it has them.
pub(crate) fn sign(
    profile: &Profile,
    request: &Request<'_>,
    account: &Account<'_>,
    moment: Moment,
    secret: &str,
    passphrase: Option<&str>,
) -> Result<SignedRequest, RequestError> {
    let plan = profile.plan(request)?;
    let needs = plan.time();
    let moment = Moment {
        unix_ns: needs.caller_timestamp.map_or(moment.unix_ns, |time| time.unix_ns),
        nonce: needs.caller_nonce.unwrap_or(moment.nonce),
        ..moment
    };
    let canonical = plan.canonicalise(account, &moment)?;
    let spec = profile.key_spec();
    let spec = strongroom_link::key::KeySpec { min_bytes: 1, ..spec };
    let key = SigningKey::parse(&spec, secret.as_bytes(), passphrase.map(str::as_bytes))
        .expect("the keeper takes the key");
    let mut signature = Vec::new();
    if canonical.needs_signature() {
        key.sign(canonical.message(), canonical.secret_at(), &mut signature).expect("the keeper signs");
    }
    canonical.finish(&signature, key.released_passphrase())
}
