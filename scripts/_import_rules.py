"""An import-linter contract for rooms that come one by one."""

from grimp import ImportGraph
from importlinter import ContractCheck
from importlinter.contracts.forbidden import ForbiddenContract


class ForbiddenRooms(ForbiddenContract):
    """As `forbidden`, except that a room of ours that does not exist yet is left out of the rule.

    Source and forbidden modules are plain names; expressions are not understood.
    """

    type_name = "forbidden_rooms"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 -- the signature it overrides
        """Return the outcome for the rooms that exist."""

        def exists(module: object) -> bool:
            name = str(module)
            return not name.startswith(f"{self.session_options['root_packages'][0]}.") or name in graph.modules

        self.source_modules = {module for module in self.source_modules if exists(module)}
        self.forbidden_modules = {module for module in self.forbidden_modules if exists(module)}
        return super().check(graph, verbose)
