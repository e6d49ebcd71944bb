//! `[key_id]`: what the venue's key ids look like.

use super::document::Fields;
use crate::error::ProfileError;
use crate::key_id::KeyIdShape;
use crate::template::Pattern;

/// Compiles `[key_id]`; nothing where the profile has none.
pub(super) fn key_id(fields: &Fields<'_, '_>) -> Result<Option<KeyIdShape>, ProfileError> {
    if fields.get("key_id").is_none() {
        return Ok(None);
    }
    let own = fields.table("key_id", "`key_id`", &["is", "form", "pattern"])?;
    let is = own.required_text("is")?.to_owned();
    let pattern = match (own.choice("form", &[("address", ())])?, own.text("pattern")?) {
        (Some(()), None) => None,
        (None, Some(text)) => {
            let pattern = Pattern::compile(&format!("^(?:{text})$"));
            Some(pattern.map_err(|message| own.error(own.place("pattern"), message))?)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(own.error(own.at, "`key_id` has a `pattern`, or a `form`, and not both"));
        }
    };
    Ok(Some(KeyIdShape { is, pattern }))
}
