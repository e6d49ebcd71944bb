"""Your bot can trade. It can't leak the key.

Signed exchange requests from the Strongroom agent. No secret ever crosses into Python.
"""

from strongroom._errors import (
    Denied,
    Disconnected,
    Exists,
    Failed,
    Invalid,
    Locked,
    NoAgent,
    NotFound,
    ProtocolError,
    StrongroomError,
    Timeout,
    Unavailable,
)
from strongroom._native import Client, Credential, Protection, SignedRequest, SignRequest, Status, WsLogin

__all__ = [
    "Client",
    "Credential",
    "Denied",
    "Disconnected",
    "Exists",
    "Failed",
    "Invalid",
    "Locked",
    "NoAgent",
    "NotFound",
    "Protection",
    "ProtocolError",
    "SignRequest",
    "SignedRequest",
    "Status",
    "StrongroomError",
    "Timeout",
    "Unavailable",
    "WsLogin",
]
