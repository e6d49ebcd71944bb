"""The exception tree. What kind of trouble it is decides the class; `code` and `hint` say more."""


class StrongroomError(Exception):
    """Base of all that the agent or the way to it can do wrong."""

    code: str | None
    """Name of the agent's code, for instance ``"Locked"``; ``None`` where it is not the agent that said no."""
    hint: str
    """What to do next, in one sentence; may be empty."""

    def __init__(self, message: str = "", *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} (hint: {self.hint})" if self.hint else message


class Denied(StrongroomError):
    """The caller may not do this."""


class Exists(StrongroomError):
    """There is such a credential already."""


class Failed(StrongroomError):
    """A defect of the agent; please report it."""


class Invalid(StrongroomError):
    """The request breaks a rule of the venue, or names something impossible."""


class Locked(StrongroomError):
    """No secret is in the agent's memory; worth a retry after ``strongroom unlock``."""


class NotFound(StrongroomError):
    """There is no such credential or venue."""


class Unavailable(StrongroomError):
    """Token, keeper or disk do not answer, or refuse; worth a retry when the cause is gone."""


class NoAgent(StrongroomError):
    """Nothing answers at the socket."""


class Disconnected(StrongroomError):
    """The connection ended before the answer, twice."""


class Timeout(StrongroomError, TimeoutError):
    """No answer came in time. Whether the agent did what was asked is not known."""


class ProtocolError(StrongroomError):
    """What answers at the socket does not speak this version of the protocol."""
