"""Completion scripts for shells."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

VARIABLE = "_MREG_COMPLETE"


class Shell(StrEnum):
    """Shells a script is made for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Shell to complete in.")]) -> None:
    """Print a completion script: `eval "$(mreg completion bash)"`."""
    # Where these names lie has changed between releases of typer; here both old and new ones have them.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    print(get_completion_script(prog_name="mreg", complete_var=VARIABLE, shell=shell.value))


def prepare_completion() -> None:
    """Load what answers a shell, when it is a shell that asks."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
