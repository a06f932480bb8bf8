"""Callers for tests of access: service accounts with a token, bound to what a test says."""

import itertools
from dataclasses import dataclass
from typing import Any

from registry_grpc.v1 import access_pb2
from tests.kit.catalogue import new_id
from tests.kit.server import Api, RegistryServer

_IDS = itertools.count(1)


@dataclass(frozen=True)
class Somebody:
    """A service account of the registry, with one token."""

    principal: str
    name: str
    token: access_pb2.Token
    secret: str

    def at(self, server: RegistryServer) -> Api:
        """As this caller, over a channel of its own."""
        return server.api(self.secret)


class Office:
    """Gives out accounts, tokens and bindings, as the administrator."""

    def __init__(self, server: RegistryServer) -> None:
        """Of one server."""
        self.server = server
        self.api = server.api()

    def somebody(self, parent: str = "") -> Somebody:
        """A new account that may do nothing."""
        request = access_pb2.CreateServiceAccountRequest(parent=parent, service_account_id=new_id("bot"))
        account = self.api.access.CreateServiceAccount(request)
        issued = self.issue(account.principal)
        return Somebody(account.principal, account.name, issued.token, issued.secret)

    def issue(self, principal: str, **fields: Any) -> access_pb2.IssueTokenResponse:
        """A new token."""
        return self.api.access.IssueToken(access_pb2.IssueTokenRequest(principal=principal, **fields))

    def bind(self, role: str, parent: str, *members: str, **fields: Any) -> access_pb2.RoleBinding:
        """A new binding."""
        binding = access_pb2.RoleBinding(role=f"roles/{role}", members=members, **fields)
        return self.api.access.CreateRoleBinding(
            access_pb2.CreateRoleBindingRequest(parent=parent, role_binding=binding)
        )

    def unbind(self, name: str) -> access_pb2.RoleBinding:
        """Remove a binding."""
        return self.api.access.DeleteRoleBinding(access_pb2.DeleteRoleBindingRequest(name=name))

    def bound(self, role: str, parent: str, **fields: Any) -> Somebody:
        """A new account with that role there."""
        who = self.somebody()
        self.bind(role, parent, who.principal, **fields)
        return who

    def close(self) -> None:
        """Close the channel."""
        self.api.close()
