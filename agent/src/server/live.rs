//! Which connections speak as a client, so that a revoked token ends them.

use std::cell::RefCell;
use std::rc::Rc;

use super::connection::Connection;
use crate::identity::ClientName;

/// All connections that have said hello and have not ended.
#[derive(Default)]
pub(super) struct Live(RefCell<Vec<Rc<Connection>>>);

impl Live {
    pub(super) fn join(&self, connection: &Rc<Connection>) {
        self.0.borrow_mut().push(Rc::clone(connection));
    }

    pub(super) fn leave(&self, connection: &Rc<Connection>) {
        self.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, connection));
    }

    /// How many connections speak as this client.
    pub(super) fn connections(&self, client: &ClientName) -> u32 {
        let all = self.0.borrow();
        let count = all.iter().filter(|connection| speaks_as(connection, client)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Ends all connections that speak as this client.
    pub(super) fn cut(&self, client: &ClientName) {
        for connection in self.0.borrow().iter().filter(|connection| speaks_as(connection, client)) {
            connection.cut();
        }
    }
}

fn speaks_as(connection: &Connection, client: &ClientName) -> bool {
    connection.principal().client.as_ref() == Some(client)
}
