//! Sets of actions, as grants list them.

use std::fmt;

use serde::{Deserialize, Serialize};
use strongroom_venues::{Action, NoAction};

/// A set of actions that is not empty, or all of them, those included that no rule knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Actions(u16);

/// The list is no set of actions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotActions {
    /// A word that is none.
    #[error(transparent)]
    Action(#[from] NoAction),
    /// An empty list.
    #[error("the list of actions is empty; name some, or \"*\" for every action")]
    Empty,
    /// `*` beside others.
    #[error("\"*\" stands for every action and so stands alone")]
    StarAndOthers,
    /// An action twice.
    #[error("`{0}` is listed twice")]
    Twice(Action),
}

impl Actions {
    /// Every action, `unknown` too.
    pub const EVERYTHING: Self = Self(0xff);

    /// These actions.
    ///
    /// # Errors
    /// [`NotActions::Empty`], [`NotActions::Twice`].
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Result<Self, NotActions> {
        let mut set = 0;
        for action in actions {
            if set & bit(action) != 0 {
                return Err(NotActions::Twice(action));
            }
            set |= bit(action);
        }
        if set == 0 { Err(NotActions::Empty) } else { Ok(Self(set)) }
    }

    /// From words, of which `*` is one.
    ///
    /// # Errors
    /// [`NotActions`].
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, NotActions> {
        let words: Vec<&str> = words.into_iter().collect();
        if words.contains(&"*") {
            return if words.len() == 1 { Ok(Self::EVERYTHING) } else { Err(NotActions::StarAndOthers) };
        }
        let actions: Vec<Action> = words.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Self::new(actions)
    }

    /// Whether this action is among them.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & bit(action) != 0
    }

    /// Whether one of these is among them.
    #[must_use]
    pub const fn contains_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | bit(action))
    }

    /// One by one, by name.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().map(|(_, action)| *action).filter(move |action| self.contains(*action))
    }

    /// As a grant writes them.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let every = self == Self::EVERYTHING;
        every.then_some("*").into_iter().chain(self.iter().filter(move |_| !every).map(Action::name))
    }
}

impl From<Action> for Actions {
    fn from(action: Action) -> Self {
        Self(bit(action))
    }
}

impl TryFrom<Vec<String>> for Actions {
    type Error = NotActions;
    fn try_from(words: Vec<String>) -> Result<Self, NotActions> {
        Self::from_words(words.iter().map(String::as_str))
    }
}

impl From<Actions> for Vec<String> {
    fn from(actions: Actions) -> Self {
        actions.words().map(str::to_owned).collect()
    }
}

/// `read, trade`; `*` for every action.
impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words().enumerate() {
            write!(f, "{}{word}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

const fn bit(action: Action) -> u16 {
    match action {
        Action::Admin => 1,
        Action::Cancel => 1 << 1,
        Action::Config => 1 << 2,
        Action::Read => 1 << 3,
        Action::Session => 1 << 4,
        Action::Trade => 1 << 5,
        Action::Transfer => 1 << 6,
        Action::Unknown => 1 << 7,
    }
}
