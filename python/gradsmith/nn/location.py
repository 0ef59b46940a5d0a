# SPDX-License-Identifier: Apache-2.0
"""Naming the module that an error comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradsmith.nn.module_tree import join_path

if TYPE_CHECKING:
    from gradsmith.nn.module import Module


def locate(error: Exception, module: Module) -> None:
    """Write the path of the module that failed before the message of its error.

    Every module on the way up calls this: the innermost puts its label, the others find the module
    that came before them below themselves and prepend its path. The exception object stays the
    same, so its class, traceback and attributes do too.
    """
    found = error.__dict__.get("module_path")
    if found is None:
        if len(error.args) != 1 or not isinstance(error.args[0], str):
            return
        label = module._label()
        text = error.args[0].removeprefix(f"{type(module).__name__.lower()}: ")
        path = ""
    else:
        path, label, text, inner = found
        names = [name for name, each in module.named_modules() if each is inner]
        if names and names[0]:
            path = join_path(names[0], path) if path else names[0]
    error.__dict__["module_path"] = (path, label, text, module)
    error.args = (f"{path} ({label}): {text}" if path else f"{label}: {text}",)
