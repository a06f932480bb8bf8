"""The account and token methods of AccessService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from registry_grpc.auth.authorization import scope_of_principal
from registry_grpc.domain.access_names import Scope, ServiceAccountName, TokenName, place_of
from registry_grpc.domain.errors import PolicyError
from registry_grpc.services.codec.access import account_changes, account_to_wire, token_to_wire
from registry_grpc.services.codec.times import optional_time_from_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.usecases.access.tokens import token_not_found
from registry_grpc.v1 import access_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.domain.identity import Token, TokenText
    from registry_grpc.services.context import CallContext
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases.access import accounts, tokens

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountVerbs:
    """The use cases of service accounts and tokens."""

    create: accounts.CreateServiceAccount
    get: accounts.GetServiceAccount
    list: accounts.ListServiceAccounts
    update: accounts.UpdateServiceAccount
    delete: accounts.DeleteServiceAccount
    issue: tokens.IssueToken
    list_tokens: tokens.ListTokens
    revoke: tokens.RevokeToken
    new_text: Callable[[], TokenText]


class AccountMethods:
    """Service accounts and tokens."""

    def __init__(self, edge: Edge, pages: Pages, accounts: AccountVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._accounts = accounts

    async def CreateServiceAccount(
        self, request: access_pb2.CreateServiceAccountRequest, context: Context
    ) -> access_pb2.ServiceAccount:
        name = ServiceAccountName(Scope.parse(request.parent).project, request.service_account_id)
        taken = fields_to_create(request.service_account)
        _require_certificates(taken)
        fields = account_changes(request.service_account, taken)
        return await self._edge.mutate(request, lambda call: self._accounts.create(call, name, fields), account_to_wire)

    async def GetServiceAccount(
        self, request: access_pb2.GetServiceAccountRequest, context: Context
    ) -> access_pb2.ServiceAccount:
        name = ServiceAccountName.parse(request.name)
        return account_to_wire(await self._edge.read(lambda: self._accounts.get(name)))

    async def ListServiceAccounts(
        self, request: access_pb2.ListServiceAccountsRequest, context: Context
    ) -> access_pb2.ListServiceAccountsResponse:
        project = Scope.parse(request.parent).project
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._accounts.list(project, after=after, limit=page.limit))
        accounts, token = page.close(found, lambda account: (account.name.id,), account_to_wire)
        return access_pb2.ListServiceAccountsResponse(
            service_accounts=accounts,
            next_page_token=token,
        )

    async def UpdateServiceAccount(
        self, request: access_pb2.UpdateServiceAccountRequest, context: Context
    ) -> access_pb2.ServiceAccount:
        name = ServiceAccountName.parse(request.service_account.name, "service_account.name")
        taken = fields_to_update(request.service_account, request.update_mask)
        _require_certificates(taken)
        changes = account_changes(request.service_account, taken)
        return await self._edge.mutate(
            request,
            lambda call: self._accounts.update(call, name, request.service_account.etag, changes),
            account_to_wire,
        )

    async def DeleteServiceAccount(
        self, request: access_pb2.DeleteServiceAccountRequest, context: Context
    ) -> access_pb2.ServiceAccount:
        name = ServiceAccountName.parse(request.name)
        return await self._edge.mutate(
            request, lambda call: self._accounts.delete(call, name, request.etag), account_to_wire
        )

    async def IssueToken(
        self, request: access_pb2.IssueTokenRequest, context: Context
    ) -> access_pb2.IssueTokenResponse:
        end = optional_time_from_wire(request, "expire_time")
        text = self._accounts.new_text()
        return await self._edge.mutate(
            request,
            lambda call: self._accounts.issue(call, text, request.principal, request.description, end),
            lambda token: access_pb2.IssueTokenResponse(token=token_to_wire(token)),
            secret=access_pb2.IssueTokenResponse(secret=str(text)).SerializeToString(),
        )

    async def ListTokens(
        self, request: access_pb2.ListTokensRequest, context: Context
    ) -> access_pb2.ListTokensResponse:
        principal = request.principal or call_context().principal.name
        page = self._pages.open(request)
        after = None if page.after is None else (_EPOCH + int(page.after[0]) * _MICROSECOND, str(page.after[1]))
        found = await self._edge.read(lambda: self._accounts.list_tokens(principal, after=after, limit=page.limit))
        tokens, token = page.close(found, _token_key, token_to_wire)
        return access_pb2.ListTokensResponse(tokens=tokens, next_page_token=token)

    async def RevokeToken(self, request: access_pb2.RevokeTokenRequest, context: Context) -> access_pb2.Token:
        name, caller = TokenName.parse(request.name), call_context()
        return await self._edge.mutate(
            request,
            lambda call: self._accounts.revoke(call, name, lambda whose: _require_token(caller, name, whose)),
            token_to_wire,
        )


def _require_certificates(fields: frozenset[str]) -> None:
    """Whoever names an account in certificates decides who may be it.

    Raises: PERMISSION_MISSING.
    """
    if "certificate_names" in fields:
        call_context().require("serviceAccounts.setCertificateNames")


def _require_token(caller: CallContext, name: TokenName, principal: str) -> None:
    """Refuse a token of somebody else, as an absent one where the caller has no business.

    Raises: TOKEN_NOT_FOUND, PERMISSION_MISSING.
    """
    if principal == caller.principal.name:
        return
    scope = scope_of_principal(principal)
    project, _ = place_of(scope)
    rights = caller.rights
    if rights.find("tokens.revoke", project) is not None:
        return
    if rights.reaches(project):
        raise rights.refusal("tokens.revoke", project, scope)
    raise PolicyError.as_if(token_not_found(name))


def _token_key(token: Token) -> tuple[int, str]:
    return (token.create_time - _EPOCH) // _MICROSECOND, token.id
