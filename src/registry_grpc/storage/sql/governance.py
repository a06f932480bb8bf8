"""Policies and promotion requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Text, bindparam, delete, func, null, select, tuple_, type_coerce, union_all, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.promotion import RequestState
from registry_grpc.storage.sql.tables import policy
from registry_grpc.storage.sql.tables import promotion_request as request

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.governance_names import PolicyName, PromotionRequestName
    from registry_grpc.domain.policies import Policy
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.storage.sql.session import Record, Session

_OF_PROJECT = policy.c.project == bindparam("in_project")
_POLICY = _OF_PROJECT & (policy.c.id == bindparam("with_id"))
_PRESENT = select(policy.c.body).where(_OF_PROJECT, policy.c.present)
_GET = select(policy.c.body).where(_POLICY, policy.c.present)
_VERSION = select(policy.c.body).where(_POLICY, policy.c.policy_version == bindparam("number"))
_NEWEST = select(func.max(policy.c.policy_version).label("number")).where(_POLICY)
_LIST = _PRESENT.where(policy.c.id > bindparam("after")).order_by(policy.c.id).limit(bindparam("limit"))
_VERSIONS = (
    select(policy.c.body)
    .where(_POLICY, policy.c.policy_version < bindparam("before"))
    .order_by(policy.c.policy_version.desc())
    .limit(bindparam("limit"))
)
_COUNT = select(func.count().label("many")).where(_OF_PROJECT, policy.c.present)
_INSERT = insert_or_skip(policy).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_REPLACE = update(policy).where(_POLICY, policy.c.policy_version == bindparam("number"))
_OUTDATE = update(policy).where(_POLICY, policy.c.present).values(present=False)
_DELETE_ALL = delete(policy).where(_OF_PROJECT)

_NAMED = (
    (request.c.project == bindparam("in_project"))
    & (request.c.model == bindparam("in_model"))
    & (request.c.number == bindparam("with_number"))
)
_REQUEST = select(request.c.body).where(_NAMED)
_NUMBER = select(func.max(request.c.number).label("number")).where(request.c.model_uid == bindparam("of_model"))
_ORDER = (request.c.create_time, request.c.uid)
_OPEN = request.c.state == RequestState.PENDING
_FAR = 1 << 62
_NEWEST_FIRST = (
    select(request.c.body)
    .where(request.c.project == bindparam("in_project"))
    .order_by(request.c.create_time.desc(), request.c.uid.desc())
    .limit(bindparam("limit"))
)
_FOR_STAGE = (request.c.model_uid == bindparam("of_model"), request.c.stage == bindparam("of_stage"), _OPEN)
_OPEN_OF = select(request.c.body).where(*_FOR_STAGE).order_by(request.c.number)
_EXPIRED = (
    select(request.c.body)
    .where(_OPEN, request.c.expire_time <= bindparam("now"))
    .order_by(request.c.expire_time)
    .limit(bindparam("limit"))
)
_REQUEST_INSERT = insert_or_skip(request).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_REQUEST_UPDATE = update(request).where(_NAMED)
_DELETE_REQUESTS = delete(request).where(request.c.project == bindparam("in_project"))
_DELETE_OF_MODELS = _DELETE_REQUESTS.where(request.c.model_uid.in_(bindparam("models", expanding=True)))
# One statement: every promotion asks both.
_STANDING = union_all(
    select(policy.c.body.label("policy"), null().cast(Text).label("request")).where(_OF_PROJECT, policy.c.present),
    select(null().cast(Text), request.c.body).where(*_FOR_STAGE),
).subquery()
_STANDING_BOTH = select(
    type_coerce(_STANDING.c.policy, policy.c.body.type), type_coerce(_STANDING.c.request, request.c.body.type)
)


class Policies:
    """Implements `ports.governance.Policies`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: PolicyName) -> Policy | None:
        """See the port."""
        return _policy(self._session.one(_GET, _key(name)))

    def version(self, name: PolicyName, number: int) -> Policy | None:
        """See the port."""
        return _policy(self._session.one(_VERSION, {**_key(name), "number": number}))

    def newest(self, name: PolicyName) -> int:
        """See the port."""
        row = self._session.one(_NEWEST, _key(name))
        return int(row.number or 0) if row else 0

    def list(self, project: str, *, after: str, limit: int) -> Sequence[Policy]:
        """See the port."""
        return [row.body for row in self._session.all(_LIST, {"in_project": project, "after": after, "limit": limit})]

    def standing(self, project: str, model_uid: str, stage: str) -> Sequence[Policy | PromotionRequest]:
        """See the port."""
        values = {"in_project": project, "of_model": model_uid, "of_stage": stage}
        rows = self._session.all(_STANDING_BOTH, values)
        policies = [found for found, _ in rows if found is not None]
        requests = [found for _, found in rows if found is not None]
        policies.sort(key=lambda one: one.name.policy)
        return policies + sorted(requests, key=lambda one: one.name.number)

    def versions(self, name: PolicyName, *, before: int, limit: int) -> Sequence[Policy]:
        """See the port."""
        values = {**_key(name), "before": before or _FAR, "limit": limit}
        return [row.body for row in self._session.all(_VERSIONS, values)]

    def count(self, project: str) -> int:
        """See the port."""
        row = self._session.one(_COUNT, {"in_project": project})
        return int(row.many) if row else 0

    def put(self, one: Policy) -> None:
        """See the port."""
        self._session.stamp(_OUTDATE, _key(one.name))
        values = {
            "project": one.name.project,
            "id": one.name.policy,
            "policy_version": one.policy_version,
            "present": True,
            "body": one,
            "revision": one.revision,
        }
        if self._session.stamp(_INSERT, values) != 1:
            raise RegistryError(
                Reason.RESOURCE_EXISTS, f"{one.name} exists already; choose another id", resource=one.name
            )

    def retire(self, one: Policy) -> None:
        """See the port."""
        values = {"number": one.policy_version, "present": False, "body": one, "revision": one.revision}
        self._session.replace(_REPLACE, {**_key(one.name), **values})

    def delete_all(self, project: str) -> Sequence[Policy]:
        """See the port."""
        gone = [row.body for row in self._session.all(_PRESENT.order_by(policy.c.id), {"in_project": project})]
        self._session.stamp(_DELETE_ALL, {"in_project": project})
        return gone


class PromotionRequests:
    """Implements `ports.governance.PromotionRequests`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: PromotionRequestName) -> PromotionRequest | None:
        """See the port."""
        return _request(self._session.one(_REQUEST, _request_key(name)))

    def next_number(self, model_uid: str) -> int:
        """See the port."""
        row = self._session.one(_NUMBER, {"of_model": model_uid})
        return (int(row.number or 0) if row else 0) + 1

    def list(
        self, project: str, model: str, *, before: tuple[datetime, str] | None, limit: int, open_only: bool | None
    ) -> Sequence[PromotionRequest]:
        """See the port."""
        statement = _NEWEST_FIRST
        values: dict[str, object] = {"in_project": project, "limit": limit}
        if model:
            statement, values["in_model"] = statement.where(request.c.model == bindparam("in_model")), model
        if open_only is not None:
            statement = statement.where(_OPEN if open_only else ~_OPEN)
        if before is not None:
            time, uid = before
            last = tuple_(bindparam("time", type_=request.c.create_time.type), bindparam("uid"))
            statement = statement.where(tuple_(*_ORDER) < last)
            values |= {"time": time, "uid": uid}
        return [row.body for row in self._session.all(statement, values)]

    def open_of(self, model_uid: str, stage: str) -> Sequence[PromotionRequest]:
        """See the port."""
        return [row.body for row in self._session.all(_OPEN_OF, {"of_model": model_uid, "of_stage": stage})]

    def expired(self, limit: int) -> Sequence[PromotionRequest]:
        """See the port."""
        return [row.body for row in self._session.all(_EXPIRED, {"now": self._session.now, "limit": limit})]

    def insert(self, one: PromotionRequest) -> None:
        """See the port."""
        self._session.stamp(_REQUEST_INSERT, _values(one))

    def update(self, one: PromotionRequest) -> None:
        """See the port."""
        self._session.replace(_REQUEST_UPDATE, {**_request_key(one.name), **_values(one)})

    def delete_of(self, project: str, model_uids: Collection[str] | None) -> None:
        """See the port."""
        if model_uids is None:
            self._session.stamp(_DELETE_REQUESTS, {"in_project": project})
        else:
            self._session.stamp(_DELETE_OF_MODELS, {"in_project": project, "models": sorted(model_uids)})


def _policy(row: Record | None) -> Policy | None:
    return cast("Policy", row.body) if row else None


def _request(row: Record | None) -> PromotionRequest | None:
    return cast("PromotionRequest", row.body) if row else None


def _key(name: PolicyName) -> dict[str, Any]:
    return {"in_project": name.project, "with_id": name.policy}


def _request_key(name: PromotionRequestName) -> dict[str, Any]:
    return {"in_project": name.project, "in_model": name.model, "with_number": name.number}


def _values(one: PromotionRequest) -> dict[str, Any]:
    # Whether something is missing is found anew at each reading; the row knows no more than that it is open.
    kept = RequestState.PENDING if one.open else one.state
    return {
        "project": one.name.project,
        "model": one.name.model,
        "number": one.name.number,
        "uid": one.uid,
        "model_uid": one.model_uid,
        "stage": one.stage,
        "state": kept,
        "body": one,
        "create_time": one.create_time,
        "expire_time": one.expire_time,
        "revision": one.revision,
    }
