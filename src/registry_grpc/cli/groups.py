"""Groups of commands one of which need not be named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class ShowsByDefault(TyperGroup):
    """`mreg lineage NODE` is `mreg lineage show NODE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 -- the signature it overrides
        """The command that is named, or `show`."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- the signature it overrides
        """Options before what is to be shown are those of `show`."""
        if args and args[0].startswith("-") and args[0] not in {"-h", "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)
