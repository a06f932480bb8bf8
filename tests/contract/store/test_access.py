"""Roles, bindings, service accounts, tokens and refused calls on both engines."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from registry_grpc.domain.access import Condition, Role, RoleBinding, ServiceAccount
from registry_grpc.domain.access_names import REGISTRY, RoleBindingName, RoleName, Scope, ServiceAccountName
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Occurrence
from registry_grpc.domain.identity import Token
from tests.contract.store.builders import TIME, at_once, change

TIMES = {"create_time": TIME, "update_time": TIME}


def role(role_id="mine", **values):
    given = {"permissions": ("models.get",), "display_name": "Ä", "revision": 2} | values
    return Role(uid=f"uid-{role_id}", name=RoleName(role_id), **TIMES, **given)


def binding(binding_id="b", project="", model="", **values):
    name = RoleBindingName(project, model, binding_id)
    given = {"role": RoleName("viewer"), "members": ("user:ada",), "creator": "user:x", "revision": 2} | values
    return RoleBinding(uid=f"uid-{name}", name=name, **TIMES, **given)


def account(account_id="ci", project="", **values):
    name = ServiceAccountName(project, account_id)
    return ServiceAccount(uid=f"uid-{name}", name=name, creator="user:x", revision=2, **TIMES, **values)


def reason(work):
    with pytest.raises(RegistryError) as caught:
        work()
    return caught.value.reason


def put(store, *things):
    def work(unit, _):
        unit.access.lock()
        for one in things:
            kind = {Role: "roles", RoleBinding: "bindings", ServiceAccount: "accounts"}[type(one)]
            getattr(unit.access, kind).insert(one)

    change(store, work)


def test_roles_come_back_as_they_were(store):
    made = role(description="a\nb", permissions=("models.get", "models.list"))
    put(store, made, role("other"))
    assert store.read(lambda reader: reader.access.roles.get(made.name)) == made
    assert store.read(lambda reader: reader.access.roles.get(RoleName("none"))) is None
    listed = store.read(lambda reader: reader.access.roles.list(after="mine", limit=9))
    assert [one.name.role for one in listed] == ["other"]
    after = replace(made, permissions=(), revision=3)
    change(store, lambda unit, _: unit.access.roles.update(after))
    assert store.read(lambda reader: reader.access.roles.get(made.name)) == after
    assert reason(lambda: put(store, made)) is Reason.RESOURCE_EXISTS
    change(store, lambda unit, _: unit.access.roles.delete(made.name))
    assert store.read(lambda reader: reader.access.roles.get(made.name)) is None


def test_bindings_come_back_as_they_were_and_by_their_scope(store):
    condition = Condition(("staging",), {"promoted": "true"})
    one = binding("a", "p", members=("user:ada", "group:x/ü"), condition=condition, description="d")
    two, three, four = binding("b", "p"), binding("a", "p", "m"), binding("a", "q", role=RoleName("mine"))
    put(store, one, two, three, four)

    def read(work):
        return store.read(lambda reader: work(reader.access.bindings))

    assert read(lambda it: it.get(one.name)) == one
    assert read(lambda it: it.get(binding("z").name)) is None
    assert read(lambda it: it.list(Scope("p"), after="", limit=9)) == [one, two]
    assert read(lambda it: it.list(Scope("p"), after="a", limit=9)) == [two]
    assert read(lambda it: it.list(Scope("p"), after="", limit=1)) == [one]
    assert read(lambda it: it.list(Scope("p", "m"), after="", limit=9)) == [three]
    assert [each.name.id for each in read(lambda it: it.list(REGISTRY, after="", limit=9))] == ["admin"]
    assert read(lambda it: it.below(Scope("p"))) == [one, two, three]
    assert read(lambda it: it.below(Scope("p", "m"))) == [three]
    assert read(lambda it: it.of_role(RoleName("mine"), 9)) == [four]
    everything = read(lambda it: it.all(after=("", "", ""), limit=9))
    assert everything[1:] == [one, two, three, four]
    assert read(lambda it: it.all(after=("p", "", "b"), limit=9)) == [three, four]
    assert reason(lambda: put(store, one)) is Reason.RESOURCE_EXISTS
    after = replace(one, members=("user:bob",), condition=Condition(), revision=9)
    change(store, lambda unit, _: unit.access.bindings.update(after))
    assert read(lambda it: it.get(one.name)) == after
    change(store, lambda unit, _: unit.access.bindings.delete(one.name))
    assert read(lambda it: it.list(Scope("p"), after="", limit=9)) == [two]


def test_accounts_come_back_as_they_were_and_a_certificate_means_one(store):
    one = account(certificate_names=("dns:a", "uri:spiffe://b"), description="d", display_name="CI")
    two = account("ci", "p", disabled=True)
    put(store, one, two)

    def read(work):
        return store.read(lambda reader: work(reader.access.accounts))

    assert read(lambda it: it.get(one.name)) == one
    assert read(lambda it: it.get(two.name)) == two
    assert read(lambda it: it.list("", after="", limit=9)) == [one]
    assert read(lambda it: it.list("p", after="", limit=9)) == [two]
    assert read(lambda it: it.all(after=("", ""), limit=9)) == [one, two]
    assert read(lambda it: it.all(after=("", "ci"), limit=9)) == [two]
    assert read(lambda it: it.with_certificate(["dns:a", "dns:z"])) == [one]
    renamed = replace(one, certificate_names=("dns:c",), revision=3)
    change(store, lambda unit, _: unit.access.accounts.update(renamed))
    assert read(lambda it: it.with_certificate(["dns:a"])) == []
    gone = replace(renamed, delete_time=TIME, revision=4)
    change(store, lambda unit, _: unit.access.accounts.update(gone))
    assert read(lambda it: it.with_certificate(["dns:c"])) == []
    assert read(lambda it: it.list("", after="", limit=9)) == []
    assert read(lambda it: it.get(one.name)) == gone
    assert reason(lambda: put(store, one)) is Reason.RESOURCE_EXISTS
    change(store, lambda unit, _: unit.access.accounts.delete(one.name))
    assert read(lambda it: it.get(one.name)) is None


def test_tokens_of_a_principal_are_listed_newest_first_in_pages(store):
    tokens = [
        Token(
            id=f"{at:012}",
            secret_hash=b"\xff" * 32,
            principal="user:ada" if at else "user:bob",
            description="d",
            creator="user:x",
            create_time=TIME + timedelta(seconds=at // 2),
            expire_time=TIME,
            revision=at,
        )
        for at in range(6)
    ]
    store.write(lambda unit: [unit.tokens.insert(token) for token in tokens])

    def of(after=None, limit=9):
        return store.read(lambda reader: reader.tokens.of("user:ada", after=after, limit=limit))

    assert of() == tokens[:0:-1]
    first = of(limit=2)
    assert [*first, *of((first[-1].create_time, first[-1].id))] == of()
    assert store.read(lambda reader: reader.tokens.get(tokens[0].id)) == tokens[0]
    revoked = replace(tokens[3], revoke_time=TIME, revision=9)
    change(store, lambda unit, _: unit.tokens.update(revoked))
    assert store.read(lambda reader: reader.tokens.revoked_since(TIME)) == [revoked]
    assert store.read(lambda reader: reader.tokens.revoked_since(TIME + timedelta(seconds=1))) == []


def test_writers_of_access_come_one_after_the_other(store):
    """What one checks another one may not change before it is done: here, that there are fewer than five."""

    def work(number):
        def add(unit):
            unit.access.lock()
            if len(unit.access.bindings.list(Scope("p"), after="", limit=9)) >= 5:
                return
            unit.advance("tests")
            unit.access.bindings.insert(binding(f"b{number}", "p"))

        store.write(add)

    at_once(12, work)
    assert len(store.read(lambda reader: reader.access.bindings.list(Scope("p"), after="", limit=99))) == 5


def test_refused_calls_take_an_index_and_no_revision(store):
    denials = [
        Occurrence(
            actor="user:ada", method="M.x", resource=f"projects/{at}", request_id="r", outcome="PERMISSION_MISSING"
        )
        for at in range(3)
    ]
    head = store.read(lambda reader: reader.feed.head())

    def work(number):
        if number % 2:
            store.record_occurrences(denials)
        else:
            put(store, role(f"r{number}"))

    at_once(8, work)

    def rows(reader):
        query = "SELECT audit_index, revision, outcome, detail FROM audit ORDER BY audit_index"
        return reader.session.connection.execute(text(query)).all()

    found = store.read(rows)
    assert [row.audit_index for row in found] == list(range(1, len(found) + 1))
    refused = [row for row in found if row.outcome == "PERMISSION_MISSING"]
    assert len(refused) == 12
    assert {(row.revision, bytes(row.detail)) for row in refused} == {(0, b"")}
    assert store.read(lambda reader: reader.feed.head()) == head + 4
