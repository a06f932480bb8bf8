"""P11: production changes when what the policies in force demand is there, and only then.

Any sequence of requests, decisions, changes of policies and rights, freezes, moves and yanks, over a real store,
against a plain account of the rules that shares no line with the program.
"""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry_grpc.domain.promotion import Decision
from registry_grpc.domain.resources import VersionState
from registry_grpc.storage.sql import SqlStore
from tests.promises.governance.place import ADMIN, OWNER, Place, approvals, reason_of

MAKERS = ("user:ada", "user:bob")
PEOPLE = (*MAKERS, "user:cem", "user:dee")
POLICIES = ("first", "second")
AT, PERSONS = st.integers(0, 11), st.sampled_from(PEOPLE)
SELDOM = st.integers(0, 5).map(lambda each: each == 5)


@dataclass
class Rules:
    version: int
    count: int
    owner: bool
    fast: bool
    there: bool = True


@dataclass
class Known:
    maker: str
    owner: str
    uploader: str = ""
    stage: str = "staging"
    state: str = "ready"


@dataclass
class Asked:
    name: object
    number: int
    opener: str
    auto: bool
    open: bool = True
    end: str = ""
    said: dict = field(default_factory=dict)
    """Person → (yes or no, policies in force then, holder then)."""


class Account:
    """What happened, and what follows from it."""

    def __init__(self):
        self.versions, self.policies, self.requests = {}, {}, []
        self.approvers, self.frozen, self.holder, self.been = set(PEOPLE), False, 0, set()

    def in_force(self):
        return tuple(sorted((name, each.version) for name, each in self.policies.items() if each.there))

    def request_for(self, number):
        return next((each for each in self.requests if each.open and each.number == number), None)

    def yes(self, request):
        """People whose yes counts now."""
        version = self.versions[request.number]
        own = {request.opener, version.maker, version.uploader}
        now = (self.in_force(), self.holder)
        return {
            who
            for who, (said, *about) in request.said.items()
            if said and tuple(about) == now and who in self.approvers and who not in own
        }

    def no(self, request):
        return {who for who, (said, *_) in request.said.items() if not said and who in self.approvers}

    def demanded(self, number, *, rollback=False):
        """Why the version may not come to production now; empty when it may."""
        version, request = self.versions[number], self.request_for(number)
        if version.state == "yanked":
            return "VERSION_STATE"
        if self.frozen:
            return "STAGE_FROZEN"
        force = [each for each in self.policies.values() if each.there]
        asked = [each for each in force if not (rollback and each.fast)]
        if any(each.owner for each in asked) and not version.owner:
            return "POLICY_VIOLATION"
        if force and not asked:
            return ""
        if request is not None and self.no(request):
            return "APPROVAL_REQUIRED"
        wanted = max((each.count for each in asked), default=0)
        return "APPROVAL_REQUIRED" if wanted > (len(self.yes(request)) if request else 0) else ""

    def moved(self, number, *, outside=False):
        """`outside` the requests: by breaking glass or on a fast path."""
        for request in self.requests:
            if request.open:
                request.open = False
                request.end = "committed" if request.number == number and not outside else "superseded"
        if self.holder:
            self.versions[self.holder].stage = "archived"
        self.versions[number].stage, self.holder = "production", number
        self.been.add(number)

    def state(self, request):
        if not request.open:
            return request.end
        if self.no(request):
            return "rejected"
        force = [each for each in self.policies.values() if each.there]
        lacks = any(each.owner for each in force) and not self.versions[request.number].owner
        wanted = max((each.count for each in force), default=0)
        return "pending" if lacks or wanted > len(self.yes(request)) else "approved"


class Governance(RuleBasedStateMachine):
    store = None

    @initialize()
    def begin(self):
        self.place, self.account = Place(self.store), Account()
        self.bindings = {who: self.place.bind("approver", who) for who in PEOPLE}
        self.place.bind("deployer", MAKERS[0])
        for maker in (ADMIN, *MAKERS):
            self.make(maker, "", ADMIN)
        self.policies_change(POLICIES[0], 1, owner=False, fast=False)
        for number in (1, 2):
            self.ask(number - 1, PEOPLE[number], auto=False)

    def number(self, at):
        return at % len(self.account.versions) + 1

    def expect(self, reason, act):
        assert reason_of(act) == reason
        return not reason

    @precondition(lambda self: len(self.account.versions) < 5)
    @rule(maker=PERSONS, uploader=st.sampled_from(("", *PEOPLE)), owner=st.sampled_from(("", "team")))
    def make(self, maker, uploader, owner):
        contributors = (uploader,) if uploader else ()
        number = self.place.ready(maker, owner=owner, contributors=contributors)
        self.account.versions[number] = Known(maker, owner, uploader)

    @rule(name=st.sampled_from(POLICIES), count=st.integers(0, 2), owner=SELDOM, fast=st.booleans())
    def policies_change(self, name, count, owner, fast):
        wanted = [*([approvals(count)] if count else []), *([OWNER] if owner or not count else [])]
        known = self.account.policies.get(name)
        if known and known.there:
            self.place.change_policy(name, rules=tuple(wanted), fast_rollback=fast)
        else:
            self.place.policy(name, *wanted, fast_rollback=fast)
        version = known.version + 1 if known else 1
        self.account.policies[name] = Rules(version, count, owner or not count, fast)

    @rule(name=st.sampled_from(POLICIES))
    def policy_goes(self, name):
        known = self.account.policies.get(name)
        if self.expect("" if known and known.there else "POLICY_NOT_FOUND", lambda: self.place.delete_policy(name)):
            known.there = False

    @rule(at=AT, opener=PERSONS, auto=st.booleans())
    def ask(self, at, opener, auto):
        number = self.number(at)
        known = self.account.versions[number]
        if known.state == "yanked" or known.stage == "production":
            return
        reason = "RESOURCE_EXISTS" if self.account.request_for(number) else ""
        made = []
        act = lambda: made.append(self.place.ask(number, opener, auto_commit=auto))  # noqa: E731 - to be refused
        if self.expect(reason, act):
            self.account.requests.append(Asked(made[0].name, number, opener, auto))

    def open_one(self, at):
        found = [each for each in self.account.requests if each.open]
        return found[at % len(found)] if found else None

    @rule(at=AT, no=SELDOM)
    def everybody_decides(self, at, no):
        for who in PEOPLE:
            self.decide(at, who, no=no and who == PEOPLE[2])

    @rule(at=AT, who=PERSONS, no=SELDOM)
    def decide(self, at, who, no):
        yes, request = not no, self.open_one(at)
        if request is None or who not in self.account.approvers:
            return  # whoever has not the right never comes this far
        account, version = self.account, self.account.versions[request.number]
        own = who in {request.opener, version.maker, version.uploader}
        reason = "VERSION_STATE" if version.state == "yanked" else "SELF_APPROVAL" if own and yes else ""
        decision = Decision.APPROVED if yes else Decision.REJECTED
        if not self.expect(reason, lambda: self.place.decide(request.name, who, decision)):
            return
        again = who in (account.yes(request) if yes else account.no(request))
        request.said[who] = (yes, account.in_force(), account.holder)
        free = request.auto and request.opener == MAKERS[0] and version.stage == "staging"
        if yes and not again and free and not account.demanded(request.number):
            account.moved(request.number)

    @rule(at=AT, who=PERSONS)
    def comment(self, at, who):
        if request := self.open_one(at):
            self.place.comment(request.name, who)

    @rule(at=AT, really=SELDOM)
    def withdraw(self, at, really):
        if really and (request := self.open_one(at)):
            self.place.withdraw(request.name, request.opener)
            request.open, request.end = False, "withdrawn"

    @rule(who=PERSONS)
    def revoke_or_give_back(self, who):
        if who in self.account.approvers:
            self.place.unbind(self.bindings[who])
            self.account.approvers.discard(who)
        else:
            self.bindings[who] = self.place.bind("approver", who)
            self.account.approvers.add(who)

    @rule(frozen=SELDOM)
    def freeze(self, frozen):
        self.place.freeze(frozen=frozen)
        self.account.frozen = frozen

    @rule(at=AT, broken=SELDOM)
    def promote(self, at, broken):
        account, number = self.account, self.number(at)
        known = account.versions[number]
        again = account.holder == number
        reason = account.demanded(number)
        if again:
            reason = ""
        elif known.state == "yanked":
            reason = "VERSION_STATE"
        elif known.stage != "staging":
            reason = "STATE_TRANSITION"
        elif broken:
            reason = ""
        condition = {"break_glass": True, "justification": "fire"} if broken else {}
        if self.expect(reason, lambda: self.place.promote(number, **condition)) and not again:
            account.moved(number, outside=broken)

    @rule(at=AT)
    def commit(self, at):
        request = self.open_one(at)
        if request is None:
            return
        known = self.account.versions[request.number]
        reason = self.account.demanded(request.number)
        if known.state != "yanked" and known.stage != "staging":
            reason = "STATE_TRANSITION"
        if self.expect(reason, lambda: self.place.commit(request.name)):
            self.account.moved(request.number)

    @precondition(lambda self: self.account.been - {self.account.holder})
    @rule(at=AT)
    def roll_back(self, at):
        account = self.account
        candidates = sorted(account.been - {account.holder})
        number = candidates[at % len(candidates)]
        reason = account.demanded(number, rollback=True)
        if self.expect(reason, lambda: self.place.rollback(number)):
            force = [each for each in account.policies.values() if each.there]
            account.moved(number, outside=bool(force) and all(each.fast for each in force))

    @rule()
    def all_to_staging(self):
        for number, known in self.account.versions.items():
            if known.stage == "archived" and known.state != "yanked":
                self.place.promote(number, "staging")
                known.stage = "staging"

    @precondition(lambda self: self.account.holder)
    @rule()
    def vacate(self):
        reason = "STAGE_FROZEN" if self.account.frozen else ""
        if self.expect(reason, self.place.vacate):
            self.account.versions[self.account.holder].stage = "archived"
            self.account.holder = 0

    @rule(at=AT, really=SELDOM)
    def yank_or_reinstate(self, at, really):
        number = self.number(at)
        known = self.account.versions[number]
        if known.state == "yanked":
            self.place.set_state(number, VersionState.READY)
            known.state = "ready"
        elif really:
            reason = "VERSION_IN_USE" if known.stage == "production" else ""
            if self.expect(reason, lambda: self.place.set_state(number, VersionState.YANKED)):
                known.state = "yanked"

    @invariant()
    def production_is_what_was_allowed(self):
        assert self.place.holder() == self.account.holder

    @invariant()
    def requests_say_how_far_they_are(self):
        for request in self.account.requests[-2:]:
            seen = self.place.request(request.name)
            assert str(seen.state) == self.account.state(request), request
            counted = {
                each.principal for each in seen.approvals if not each.void_reason and each.decision == "approved"
            }
            assert not request.open or counted == self.account.yes(request)

    @invariant()
    def what_is_explained_is_what_would_happen(self):
        for number, known in itertools.islice(self.account.versions.items(), 2):
            if known.stage == "staging":
                assert self.place.evaluate(number).allowed is (not self.account.demanded(number)), number


@pytest.mark.timeout(600)
@pytest.mark.promise("P11", "machine")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_production_changes_only_as_the_policies_in_force_allow(engine, tmp_path, request):
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    store = SqlStore(url if engine == "sqlite" else request.getfixturevalue("postgres_url"), auto_upgrade=True)
    try:
        Governance.store = store
        Governance.TestCase.settings = settings(
            max_examples=25 if engine == "sqlite" else 8,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        Governance.TestCase("runTest").runTest()
    finally:
        store.close()
