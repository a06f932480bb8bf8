"""How often an issuer is asked for its keys, and what holds while it is away."""

import asyncio

import pytest

from registry_grpc.auth.documents import FetchError, is_trustworthy, read_file
from registry_grpc.auth.issuer_keys import DEFAULT_TTL_S, MAX_WAITING, RETRY_S, UNKNOWN_KEY_S, IssuerKeys, KeySource
from registry_grpc.auth.jwks import parse_keys
from registry_grpc.auth.jwt_text import parse_jwt
from registry_grpc.domain.errors import Reason, RegistryError
from tests.kit.jwts import DROPPED, Forger, jwks, rsa_key

FIRST, SECOND = rsa_key("first"), rsa_key("second")
URL = "https://issuer.example"


class World:
    """An issuer that counts, a clock that stands still, and what reads it."""

    def __init__(self, keep_s=3600.0):
        self.keys = [FIRST]
        self.max_age_s = None
        self.is_away = False
        self.reads = 0
        self.now = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.outcomes = []
        self.it = IssuerKeys("corp", self.read, self.run, self, keep_s=keep_s, clock=lambda: self.now)

    def read(self):
        self.reads += 1
        if self.is_away:
            raise FetchError("away")
        return parse_keys(jwks(*self.keys)), self.max_age_s

    async def run(self, function):
        await self.gate.wait()
        return function()

    def keys_fetched(self, *, ok):
        self.outcomes.append(ok)

    async def check(self, key=FIRST, **header):
        await self.it.check(parse_jwt(Forger(URL, "mreg", key).token(header)))

    async def refused(self, key=FIRST, reason=Reason.TOKEN_INVALID, **header):
        with pytest.raises(RegistryError) as caught:
            await self.check(key, **header)
        assert caught.value.reason is reason


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_keys_are_read_once_and_again_when_they_are_old_without_anybody_waiting():
    world = World()
    for _ in range(3):
        await world.check()
    assert world.reads == 1
    world.now += DEFAULT_TTL_S + 1
    world.gate.clear()
    await world.check()
    assert world.reads == 1, "nobody waits for the second read"
    world.gate.set()
    await settled()
    assert world.reads == 2
    await world.check()
    assert world.reads == 2


@pytest.mark.parametrize(("said_s", "kept_s"), [(0.0, 60.0), (300.0, 300.0), (1e9, 3600.0)])
async def test_the_issuers_word_on_how_long_keys_are_good_counts_within_limits(said_s, kept_s):
    world = World(keep_s=86_400)
    world.max_age_s = said_s
    await world.check()
    world.now += kept_s - 1
    await world.check()
    await settled()
    assert world.reads == 1
    world.now += 2
    await world.check()
    await settled()
    assert world.reads == 2


async def test_a_thousand_unknown_key_ids_at_once_are_one_read_and_none_for_half_a_minute():
    world = World()
    await world.check()
    world.now += UNKNOWN_KEY_S
    refusals = await asyncio.gather(*(world.check(kid=f"k{n}") for n in range(1000)), return_exceptions=True)
    assert all(each.reason is Reason.TOKEN_INVALID for each in refusals)
    assert world.reads == 2
    for second in range(int(UNKNOWN_KEY_S) - 1):
        world.now += 1
        await world.refused(kid=f"later{second}")
    assert world.reads == 2
    world.now += 1.5
    await world.refused(kid="much later")
    assert world.reads == 3


async def test_a_new_key_is_found_by_its_id_and_the_one_it_replaced_ends():
    world = World()
    await world.check()
    world.keys = [SECOND]
    world.now += UNKNOWN_KEY_S
    await world.check(SECOND)
    await world.refused(FIRST)
    assert world.reads == 2


async def test_a_new_key_is_found_for_tokens_without_an_id_too():
    world = World()
    await world.check(kid=DROPPED)
    world.keys = [SECOND]
    world.now += UNKNOWN_KEY_S
    await world.check(SECOND, kid=DROPPED)


async def test_a_false_signature_under_a_known_id_asks_nothing_of_the_issuer():
    world = World()
    await world.check()
    world.now += UNKNOWN_KEY_S
    await world.refused(SECOND, kid="first")
    assert world.reads == 1


async def test_an_issuer_that_is_away_keeps_its_users_until_the_keys_are_too_old():
    world = World(keep_s=3600)
    await world.check()
    world.is_away = True
    for _ in range(5):
        world.now += 700
        await world.check()
        await settled()
    world.now += 200
    await world.refused(reason=Reason.ISSUER_UNAVAILABLE)
    world.is_away = False
    world.now += RETRY_S
    await world.check()
    assert world.outcomes[0] is True
    assert world.outcomes[-1] is True
    assert False in world.outcomes


async def test_an_issuer_nobody_ever_reached_is_asked_now_and_then():
    world = World()
    world.is_away = True
    for _ in range(10):
        await world.refused(reason=Reason.ISSUER_UNAVAILABLE)
    assert world.reads == 1
    world.now += RETRY_S
    world.is_away = False
    await world.check()


async def test_only_so_many_strangers_wait_for_an_issuer_that_hangs():
    world = World()
    world.gate.clear()
    tasks = [asyncio.create_task(world.check()) for _ in range(MAX_WAITING + 50)]
    await settled()
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 50
    assert all(task.exception().reason is Reason.ISSUER_UNAVAILABLE for task in refused)
    world.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert world.reads == 1
    await world.check()


async def test_a_caller_who_goes_away_does_not_take_the_read_of_others_along():
    world = World()
    world.gate.clear()
    hasty, patient = asyncio.create_task(world.check()), asyncio.create_task(world.check())
    await settled()
    hasty.cancel()
    await settled()
    world.gate.set()
    await patient
    assert world.reads == 1


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("https://a.example/x", True),
        ("http://127.0.0.1:1/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://a.example/x", False),
        ("http://127.0.0.1.evil.example/x", False),
        ("http://localhost@evil.example/", False),
        ("https://user:pass@a.example/", False),
        ("file:///etc/passwd", False),
        ("ftp://a.example/", False),
        ("", False),
    ],
)
def test_keys_are_read_from_where_nobody_between_can_change_them(url, ok):
    assert is_trustworthy(url) is ok


def test_keys_may_stand_in_a_file(tmp_path):
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(FIRST))
    assert len(KeySource(issuer=URL, jwks_file=path).read()[0]) == 1
    path.write_bytes(b"x" * (300 * 1024))
    with pytest.raises(FetchError, match="over 262144 bytes"):
        KeySource(issuer=URL, jwks_file=path).read()
    with pytest.raises(FetchError, match=r"none\.json"):
        read_file(tmp_path / "none.json", 10)
