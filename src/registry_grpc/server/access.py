"""AccessService and the use cases in it: a part of the composition root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.server.ids import new_token_text
from registry_grpc.services.access import AccessServicer, AccessVerbs
from registry_grpc.services.accounts import AccountVerbs
from registry_grpc.usecases.access import accounts, bindings, roles, tokens

if TYPE_CHECKING:
    from registry_grpc.auth.view import AccessView
    from registry_grpc.ports.clock import Ids
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.pages import Pages


def access_servicer(edge: Edge, pages: Pages, view: AccessView, ids: Ids) -> AccessServicer:
    """The servicer; `view` is what calls are judged by."""
    store = edge.store
    return AccessServicer(
        edge,
        pages,
        view,
        AccessVerbs(
            create_role=roles.CreateRole(store, ids),
            get_role=roles.GetRole(store),
            list_roles=roles.ListRoles(store),
            update_role=roles.UpdateRole(store),
            delete_role=roles.DeleteRole(store),
            create_binding=bindings.CreateRoleBinding(store, ids),
            get_binding=bindings.GetRoleBinding(store),
            list_bindings=bindings.ListRoleBindings(store),
            update_binding=bindings.UpdateRoleBinding(store),
            delete_binding=bindings.DeleteRoleBinding(store),
        ),
        AccountVerbs(
            create=accounts.CreateServiceAccount(store, ids),
            get=accounts.GetServiceAccount(store),
            list=accounts.ListServiceAccounts(store),
            update=accounts.UpdateServiceAccount(store),
            delete=accounts.DeleteServiceAccount(store),
            issue=tokens.IssueToken(store),
            list_tokens=tokens.ListTokens(store),
            revoke=tokens.RevokeToken(store),
            new_text=new_token_text,
        ),
    )
