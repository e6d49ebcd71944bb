"""ccxt's `hyperliquid`, whose wallet is in the agent, before a venue that asks of each request who has signed it."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import ccxt  # type: ignore[import-untyped]
import ccxt.async_support  # type: ignore[import-untyped]
import ccxt.pro  # type: ignore[import-untyped]
import pytest

import conftest
from conftest import Room
from credentials import CREDENTIALS, WALLETS
from hyperliquid_rows import ADDRESS, ASKED, BTC, OTHER, TESTNET, know_markets
from hyperliquid_venue import TYPED, Venue, signer
from strongroom import Client, Denied, Invalid
from strongroom.ccxt_hyperliquid import attach

KINDS = {"sync": ccxt.hyperliquid, "async": ccxt.async_support.hyperliquid, "pro": ccxt.pro.hyperliquid}
MAINNET = "https://api.hyperliquid.xyz/exchange"


@pytest.fixture(scope="module")
def wallets() -> Iterator[Room]:
    with conftest.installed(*WALLETS) as room:
        room.installation.enroll(CREDENTIALS["hyperliquid"]._replace(name="testnet"), "--base-url", TESTNET)
        yield room


@pytest.fixture
def venue() -> Iterator[Venue]:
    with Venue().running() as venue:
        yield venue


def directed(made: Any, venue: Venue) -> Any:
    """Has an exchange send to this machine what it would send to the venue, by its own means."""
    fetch = made.fetch
    made.fetch = lambda url, *rest: fetch(venue.front + url, *rest)
    return made


def attached(kind: str, venue: Venue, client: Client, credential: str = "hyperliquid") -> Any:
    made = directed(KINDS[kind](), venue)
    know_markets(made)
    attach(made, credential, client=client)
    return made


def do(made: Any, ask: Callable[[Any], Any]) -> Any:
    """Asks, in whichever of the two ways this exchange is asked."""

    async def run() -> Any:
        try:
            return await asked()
        finally:
            await made.close()

    async def asked() -> Any:
        answer = ask(made)
        answer = answer[-1] if isinstance(answer, tuple) else answer
        return await answer if inspect.isawaitable(answer) else answer

    return asyncio.run(run()) if inspect.iscoroutinefunction(made.close) else asyncio.run(asked())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ASKED)
def test_is_taken_for_the_wallet(wallets: Room, venue: Venue, kind: str, name: str) -> None:
    with wallets.client() as client:
        do(attached(kind, venue, client), ASKED[name])
    (taken,) = venue.taken
    assert taken.url == MAINNET
    assert signer(taken.body, "a") == ADDRESS


def test_asks_for_every_kind_of_action() -> None:
    """The list above has orders, changes, cancellations, transfers, withdrawals, and rights."""
    assert {name.split()[0] for name in ASKED} >= {"order", "modify", "cancel", "withdraw", "transfer", "twap", "builder"}


def test_is_another_wallet_by_another_key_or_another_text(wallets: Room, venue: Venue) -> None:
    """The control: an address comes out of every signature, but not this one."""
    with wallets.client() as client:
        for name in ("order limit", "withdraw"):
            do(attached("sync", venue, client, "hyperliquid-other"), ASKED[name])
            do(attached("sync", venue, client), ASKED[name])
    foreign, order, foreign_withdrawal, withdrawal = (taken.body for taken in venue.taken)
    assert signer(foreign, "a") == signer(foreign_withdrawal, "a") == CREDENTIALS["hyperliquid-other"].key_id
    assert signer(order, "a") == signer(withdrawal, "a") == ADDRESS
    # For the other network.
    assert signer(order, "b") != ADDRESS
    changed = deepcopy(order)
    changed["action"]["orders"][0]["s"] = "0.002"
    assert signer(changed, "a") != ADDRESS
    changed = deepcopy(withdrawal)
    changed["action"]["amount"] = "1005"
    assert signer(changed, "a") != ADDRESS


def test_gives_rising_nonces_to_two_bots_of_one_wallet(wallets: Room, venue: Venue) -> None:
    with wallets.client() as client:
        bots = [attached("sync", venue, client) for _ in range(2)]
        # Its own clock says nothing.
        bots[1].milliseconds = lambda: 1
        for number in range(10):
            do(bots[number % 2], ASKED["cancel"])
    nonces = [taken.body["nonce"] for taken in venue.taken]
    assert nonces == sorted(set(nonces)) and len(nonces) == 10


def test_signs_what_goes_over_a_socket(wallets: Room, venue: Venue) -> None:
    calls: dict[str, Callable[[Any], Any]] = {
        "order": lambda made: made.create_order_ws(BTC, "limit", "buy", 0.001, 61234),
        "batchModify": lambda made: made.edit_order_ws("91490942", BTC, "limit", "buy", 0.002, 61000),
        "cancel": lambda made: made.cancel_order_ws("91490942", BTC),
    }
    with wallets.client() as client:
        for kind, call in calls.items():
            made, sent = attached("pro", venue, client), []

            async def watch(_url: str, _hash: Any, message: Any = None, *_rest: Any) -> Any:
                sent.append(json.loads(made.json(message)))
                return {"response": {"data": {"statuses": []}}}

            made.watch = watch
            do(made, call)
            (message,) = sent
            payload = message["request"]["payload"]
            assert message["request"]["type"] == "action" and payload["action"]["type"] == kind
            assert signer(payload, "a") == ADDRESS
    assert venue.taken == []


@pytest.mark.parametrize("kind", KINDS)
def test_holds_no_key(wallets: Room, venue: Venue, kind: str) -> None:
    with wallets.client() as client:
        made = attached(kind, venue, client)
        assert made.walletAddress == ADDRESS
        key = CREDENTIALS["hyperliquid"].secret.removeprefix("0x")
        assert not any(key in str(value) for value in vars(made).values())
        assert int(made.privateKey, 16) == 0
        # Nothing else comes out of it, as a permit for a token would be.
        for sign in (made.sign_hash, made.sign_message, made.ecdsa):
            with pytest.raises(Invalid):
                sign("0x" + "17" * 32, made.privateKey)
        do(made, lambda _: None)
        # Who acts for another account says so.
        other = KINDS[kind]({"walletAddress": OTHER})
        attach(other, "hyperliquid", client=client)
        assert other.walletAddress == OTHER
        do(other, lambda _: None)


def test_refuses_the_other_network(wallets: Room, venue: Venue) -> None:
    with wallets.client() as client:
        for credential, sandbox in (("hyperliquid", True), ("testnet", False)):
            made = attached("sync", venue, client, credential)
            made.set_sandbox_mode(sandbox)
            for name in ("order limit", "withdraw"):
                with pytest.raises(Invalid, match="signs for https://api.hyperliquid"):
                    do(made, ASKED[name])
        assert venue.taken == []
        made = attached("sync", venue, client, "testnet")
        made.set_sandbox_mode(True)
        for name in ("order limit", "withdraw"):
            do(made, ASKED[name])
    assert [signer(taken.body, "b") for taken in venue.taken] == [ADDRESS, ADDRESS]
    assert {taken.url for taken in venue.taken} == {f"{TESTNET}/exchange"}


def test_refuses_an_exchange_or_a_credential_of_another_venue(wallets: Room) -> None:
    with wallets.client() as client:
        with pytest.raises(Invalid, match="a credential of hyperliquid, and the exchange is okx"):
            attach(ccxt.okx(), "hyperliquid", client=client)
        with pytest.raises(Invalid, match="a credential of binance, and the exchange is hyperliquid"):
            attach(ccxt.hyperliquid(), "binance-main", client=client)


def test_trades_without_the_rights_that_ccxt_asks_for(venue: Venue) -> None:
    """ccxt wants a fee for its makers, and a referrer: without a grant for `admin` it goes on without both."""
    with conftest.installed() as room:
        room.installation.enroll(CREDENTIALS["hyperliquid"], allow="trade,cancel")
        with room.client() as client:
            made = directed(KINDS["sync"](), venue)
            asks = made.initialize_client
            know_markets(made)
            made.initialize_client = asks
            attach(made, "hyperliquid", client=client)
            made.create_order(BTC, "limit", "buy", 0.001, 61234)
            with pytest.raises(Denied):
                made.withdraw("USDC", 1, OTHER)
    (order,) = venue.taken
    assert order.body["action"]["type"] == "order" and "builder" not in order.body["action"]
    assert signer(order.body, "a") == ADDRESS


def test_recovers_typed_actions_by_their_own_types() -> None:
    """All that ccxt signs field by field is known to the venue of these tests."""
    builders = {name for name in dir(ccxt.hyperliquid) if name.startswith("build_") and name.endswith("_sig")}
    assert builders == set(TYPED.values())
