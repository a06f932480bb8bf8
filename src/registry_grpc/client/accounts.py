"""Callers that are programs: service accounts and their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.client.connection import Pages
from registry_grpc.client.metadata import message, timestamp
from registry_grpc.client.session import Session
from registry_grpc.v1 import access_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class AccountCalls(Session):
    """Service accounts and tokens. Every method raises RegistryError.

    An account is given as its resource name, its principal (`serviceAccount:{project}/{id}`, or `serviceAccount:{id}`
    for one of the registry), or its id alone for one in the project of this client.
    """

    def create_service_account(
        self,
        account: str,
        *,
        display_name: str = "",
        description: str = "",
        certificate_names: Iterable[str] = (),
    ) -> access_pb2.ServiceAccount:
        """The new account; it may do nothing until a role is bound to its `principal`."""
        parent, _, account_id = self.account_name(account).rpartition("serviceAccounts/")
        fields = access_pb2.ServiceAccount(
            display_name=display_name, description=description, certificate_names=certificate_names
        )
        request = access_pb2.CreateServiceAccountRequest(
            parent=parent.removesuffix("/"), service_account_id=account_id, service_account=fields
        )
        return self._connection.write(self._connection.stubs.access.CreateServiceAccount, request)

    def get_service_account(self, account: str) -> access_pb2.ServiceAccount:
        """One account."""
        request = access_pb2.GetServiceAccountRequest(name=self.account_name(account))
        return self._connection.read(self._connection.stubs.access.GetServiceAccount, request)

    def list_service_accounts(
        self, scope: str | None = None, *, page_size: int = 0
    ) -> Iterable[access_pb2.ServiceAccount]:
        """The accounts of exactly one project, or of the registry (`scope=""`), by id; fetched page by page."""
        parent = self.project_name() if scope is None else scope

        def fetch(token: str) -> access_pb2.ListServiceAccountsResponse:
            request = access_pb2.ListServiceAccountsRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.access.ListServiceAccounts, request)

        return Pages[access_pb2.ServiceAccount](fetch, "service_accounts")

    def update_service_account(self, account: str, *, etag: str = "", **fields: Any) -> access_pb2.ServiceAccount:  # noqa: ANN401 -- checked by field
        """The changed account; `fields` are display_name, description, disabled, certificate_names."""
        changed = message(access_pb2.ServiceAccount, fields, "service_account")
        changed.name = self.account_name(account)
        changed.etag = etag
        mask = FieldMask(paths=sorted(fields))
        request = access_pb2.UpdateServiceAccountRequest(service_account=changed, update_mask=mask)
        return self._connection.write(self._connection.stubs.access.UpdateServiceAccount, request)

    def delete_service_account(self, account: str, *, etag: str = "") -> access_pb2.ServiceAccount:
        """The account that was, for good; its tokens are revoked."""
        request = access_pb2.DeleteServiceAccountRequest(name=self.account_name(account), etag=etag)
        return self._connection.write(self._connection.stubs.access.DeleteServiceAccount, request)

    def issue_token(
        self, principal: str, *, description: str = "", expire_time: datetime | None = None
    ) -> access_pb2.IssueTokenResponse:
        """A new token; its `secret` is in this answer and nowhere else. It ends after 90 days unless said otherwise.

        `principal` is `serviceAccount:…`, `user:{name}`, or an account in any form of this class.

        Raises: InvalidArgument for an `expire_time` without a time zone.
        """
        request = access_pb2.IssueTokenRequest(principal=self._principal(principal), description=description)
        if expire_time is not None:
            request.expire_time.CopyFrom(timestamp(expire_time, "expire_time"))
        issued = self._connection.write(self._connection.stubs.access.IssueToken, request)
        if issued.secret:
            return issued
        # The answer that had it was lost and this is the one to a retry: nobody has that token's text any more.
        self.revoke_token(issued.token.name)
        request.request_id = ""
        return self._connection.write(self._connection.stubs.access.IssueToken, request)

    def list_tokens(self, principal: str = "", *, page_size: int = 0) -> Iterable[access_pb2.Token]:
        """Tokens of a principal, newest first, never their text; the caller's own when none is given."""
        wanted = self._principal(principal) if principal else ""

        def fetch(token: str) -> access_pb2.ListTokensResponse:
            request = access_pb2.ListTokensRequest(principal=wanted, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.access.ListTokens, request)

        return Pages[access_pb2.Token](fetch, "tokens")

    def revoke_token(self, token: str) -> access_pb2.Token:
        """The revoked token, given as `tokens/{id}` or its id; it opens nothing from 30 s later on, at the latest."""
        request = access_pb2.RevokeTokenRequest(name=token if token.startswith("tokens/") else f"tokens/{token}")
        return self._connection.write(self._connection.stubs.access.RevokeToken, request)

    def account_name(self, account: str) -> str:
        """Resource name of a service account in any form of this class."""
        if "serviceAccounts/" in account:
            return account
        if account.startswith("serviceAccount:"):
            project, slash, account_id = account.removeprefix("serviceAccount:").rpartition("/")
            return f"projects/{project}/serviceAccounts/{account_id}" if slash else f"serviceAccounts/{account_id}"
        return f"{self.project_name()}/serviceAccounts/{account}"

    def _principal(self, text: str) -> str:
        if text.startswith(("user:", "serviceAccount:")):
            return text
        before, _, account_id = self.account_name(text).rpartition("serviceAccounts/")
        project = before.removeprefix("projects/")
        return f"serviceAccount:{project}{account_id}"
