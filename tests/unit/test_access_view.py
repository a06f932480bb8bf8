"""The view of who may do what: news in any order, snapshots, and who is told that something ended."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_grpc.auth.authorization import Authorizer, Target, targets_of
from registry_grpc.auth.permissions import RULES, MissingPermissionError, Need, Rule, Where
from registry_grpc.auth.view import AccessView, Snapshot
from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
from registry_grpc.domain.access_names import RoleBindingName, RoleName, ServiceAccountName
from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action, Event
from registry_grpc.domain.identity import Token
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.domain.resources import Model, Project
from registry_grpc.storage.sql.documents import RESOURCES
from registry_grpc.v1 import models_pb2, stages_pb2

TIME = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = {"create_time": TIME, "update_time": TIME}
ADA = Principal("user:ada", groups=("group:corp/ml",))


def binding(binding_id="b", *members, role="viewer", project="p", model="", revision=1):
    name = RoleBindingName(project, model, binding_id)
    members = members or ("user:ada",)
    return RoleBinding(uid=f"uid-{name}", name=name, role=RoleName(role), members=members, revision=revision, **TIMES)


def account(revision=1, **values):
    return ServiceAccount(uid="a", name=ServiceAccountName("p", "ci"), revision=revision, **TIMES, **values)


def event(after, revision, action=Action.UPDATED):
    return Event(revision=revision, index=0, action=action, after=after, actor="x", request_id="", time=TIME)


def snapshot(revision=1, roles=(), bindings=(), accounts=(), revoked=()):
    return Snapshot(revision, roles, bindings, accounts, revoked)


class Told:
    def __init__(self):
        self.tokens, self.principals = [], []

    def forget_token(self, token_id):
        self.tokens.append(token_id)

    def forget_principal(self, name):
        self.principals.append(name)


def sees(view, principal=ADA, permission="models.get", project="p"):
    return view.rights(principal).find(permission, project) is not None


def test_an_empty_view_gives_nothing():
    view = AccessView()
    assert not sees(view)
    assert not view.is_active("serviceAccount:p/ci")
    assert view.is_active("user:ada")
    assert view.by_certificate(["dns:x"]) is None


@pytest.mark.parametrize("member", ["user:ada", "group:corp/ml", "authenticated"])
def test_a_member_has_what_its_binding_gives_until_it_is_removed(member):
    view = AccessView()
    view.apply([event(binding("b", member), 5, Action.CREATED)])
    assert sees(view)
    assert [str(each.name) for each in view.bindings(ADA)] == ["projects/p/roleBindings/b"]
    before = view.version
    view.apply([event(binding("b", member), 6, Action.DELETED)])
    assert not sees(view)
    assert view.version > before
    assert view.bindings(ADA) == []


def test_news_in_any_order_and_any_number_of_times_end_the_same():
    mine = Role(uid="r", name=RoleName("mine"), permissions=("models.get",), create_time=TIME, update_time=TIME)
    news = [
        event(replace(mine, revision=2), 2, Action.CREATED),
        event(binding("b", role="mine", revision=3), 3, Action.CREATED),
        event(replace(mine, permissions=("models.list",), revision=4), 4),
        event(binding("c", "user:bob", revision=5), 5, Action.CREATED),
        event(binding("c", "user:bob", "user:ada", revision=6), 6),
        event(binding("c", "user:bob", revision=7), 7, Action.DELETED),
        event(binding("c", "user:eve", revision=8), 8, Action.CREATED),
    ]
    for seed in range(20):
        view, shuffled = AccessView(), [*news, *news]
        random.Random(seed).shuffle(shuffled)
        for one in shuffled:
            view.apply([one])
        assert view.rights(ADA).find("models.list", "p")
        assert not sees(view)
        assert not sees(view, Principal("user:bob"))
        assert sees(view, Principal("user:eve"))


def test_a_snapshot_replaces_what_is_older_and_leaves_what_is_younger():
    view = AccessView()
    view.apply([event(binding("old", revision=1), 1), event(binding("young", "user:bob", revision=9), 9)])
    view.load(snapshot(5, bindings=[binding("new", "user:eve", revision=4)]))
    assert not sees(view)
    assert sees(view, Principal("user:eve"))
    assert sees(view, Principal("user:bob"))
    version = view.version
    view.load(snapshot(6, bindings=[binding("new", "user:eve", revision=4), binding("young", "user:bob", revision=9)]))
    assert view.version == version, "nothing new: what was decided stands"
    assert view.rights(ADA).find("roles.get") is None
    assert view.rights(Principal("user:eve")).find("versions.get", "p")


def test_an_account_is_active_until_it_is_disabled_or_deleted_and_known_by_its_certificate():
    view, told = AccessView(), Told()
    view.tell(told)
    view.apply([event(account(certificate_names=("dns:a", "uri:spiffe://x")), 2, Action.CREATED)])
    assert view.is_active("serviceAccount:p/ci")
    assert view.by_certificate(["dns:no", "uri:spiffe://x"]) == "serviceAccount:p/ci"
    view.apply([event(account(certificate_names=("dns:b",)), 3)])
    assert (view.by_certificate(["dns:a"]), view.by_certificate(["dns:b"])) == (None, "serviceAccount:p/ci")
    assert told.principals == []
    view.apply([event(account(disabled=True), 4)])
    assert not view.is_active("serviceAccount:p/ci")
    view.apply([event(account(), 5)])
    assert view.is_active("serviceAccount:p/ci")
    view.apply([event(account(delete_time=TIME), 6, Action.DELETED)])
    assert not view.is_active("serviceAccount:p/ci")
    assert told.principals == ["serviceAccount:p/ci"] * 2


def test_the_end_of_a_token_is_told_and_what_was_decided_is_decided_again():
    view, told = AccessView(), Told()
    view.tell(told)
    token = Token(id="t" * 12, principal="user:ada", create_time=TIME)
    version = view.version
    view.apply([event(token, 2, Action.CREATED)])
    assert (told.tokens, view.version) == ([], version)
    view.apply([event(replace(token, revoke_time=TIME), 3, Action.DELETED)])
    assert told.tokens == [token.id]
    assert view.version > version
    view.load(snapshot(4, revoked=[replace(token, id="u" * 12, revoke_time=TIME)]))
    assert told.tokens == [token.id, "u" * 12]


def test_what_lived_in_something_purged_is_gone():
    view = AccessView()
    for one in (binding("b"), binding("m", "user:bob", model="m"), binding("n", "user:eve", model="n"), account()):
        view.apply([event(one, 2, Action.CREATED)])
    model = Model(uid="m", name=ModelName("p", "m"), **TIMES)
    view.apply([event(model, 3, Action.DELETED)])
    assert view.bindings(Principal("user:bob"))
    view.apply([event(model, 4, Action.PURGED)])
    assert not view.bindings(Principal("user:bob"))
    assert view.bindings(Principal("user:eve"))
    view.apply([event(Project(uid="p", name=ProjectName("p"), **TIMES), 5, Action.PURGED)])
    assert not view.bindings(ADA)
    assert not view.bindings(Principal("user:eve"))
    assert not view.is_active("serviceAccount:p/ci")


def test_events_of_tokens_carry_no_hash():
    _, codec = RESOURCES["token"]
    text = codec.encode(Token(id="t" * 12, secret_hash=b"\xff" * 32, principal="user:ada", create_time=TIME))
    assert "hash" not in text
    assert codec.decode(text).secret_hash == b""


def test_a_row_of_the_table_must_fit_its_request(monkeypatch):
    path = "/registry_grpc.v1.ModelService/GetModel"
    descriptor = models_pb2.GetModelRequest.DESCRIPTOR
    assert targets_of(path, descriptor)(models_pb2.GetModelRequest(name="n"))[0].resource == "n"
    for wrong in ("nam", "name[]", "name.more", "names[].name"):
        rules = {**RULES, path: Rule((Need("models.get", Where.RESOURCE, wrong),))}
        monkeypatch.setattr("registry_grpc.auth.authorization.RULES", rules)
        with pytest.raises(MissingPermissionError, match="GetModel"):
            targets_of(path, descriptor)
    with pytest.raises(MissingPermissionError, match="no permission"):
        targets_of("/x.Y/Z", descriptor)
    for text in ("models.get", "models.get beside name", "models.get on a b"):
        with pytest.raises(ValueError, match=r".+"):
            Need.parse(text)


def test_every_name_of_a_list_is_judged():
    path = "/registry_grpc.v1.StageService/BatchResolve"
    request = stages_pb2.BatchResolveRequest(
        parent="projects/p", requests=[{"name": "projects/p/models/m"}, {"name": "projects/q/models/m"}]
    )
    targets = targets_of(path, stages_pb2.BatchResolveRequest.DESCRIPTOR)(request)
    assert [target.resource for target in targets] == ["projects/p", "projects/p/models/m", "projects/q/models/m"]
    view = AccessView()
    view.load(snapshot(bindings=[binding()]))
    authorizer = Authorizer(view)
    authorizer.judge(ADA, targets[:2])
    with pytest.raises(RegistryError) as caught:
        authorizer.judge(ADA, targets)
    assert caught.value.reason is Reason.PROJECT_NOT_FOUND


def test_a_stream_that_names_nothing_is_refused_before_anything_is_looked_at():
    with pytest.raises(RegistryError) as caught:
        Authorizer(AccessView()).judge(ADA, [Target(Need("uploads.write", Where.WITHIN, "name"), "")])
    assert caught.value.reason is Reason.INVALID_RESOURCE_NAME
