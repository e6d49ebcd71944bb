"""Bots that say who they are by a token."""

from __future__ import annotations

import json
import os

import pytest

from conftest import Room
from strongroom import Client, Denied


def add(room: Room, name: str) -> str:
    token: str = json.loads(room.installation.must(["client", "add", name, "--json"]))["token"]
    return token


def test_speaks_as_its_client_and_loses_that_at_once(own: Room) -> None:
    token = add(own, "grid-bot")
    with Client(own.socket, token=token, timeout=60.0) as bot, own.client() as admin:
        assert bot.status().principal == "client:grid-bot"
        assert admin.status().principal == f"user:{os.getuid()}"
        assert bot.credentials() == []
        for act in (bot.lock, lambda: bot.sign("binance-main", "GET", "/api/v3/account")):
            with pytest.raises(Denied, match="client:grid-bot"):
                act()
        own.restart()
        assert bot.status().principal == "client:grid-bot"
        own.installation.must(["client", "remove", "grid-bot"])
        with pytest.raises(Denied, match="revoked") as caught:
            bot.status()
        assert token not in str(caught.value)


def test_refuses_a_token_with_a_typing_error(own: Room) -> None:
    token = add(own, "grid-bot")
    mistyped = token[:-1] + ("1" if token.endswith("0") else "0")
    with pytest.raises(Denied, match="typing error"):
        Client(own.socket, token=mistyped, timeout=60.0).status()
