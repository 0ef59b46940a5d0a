# SPDX-License-Identifier: Apache-2.0
"""Handles that take a hook away again."""

from __future__ import annotations

from typing import Any


class HookHandle:
    """Removes a hook again: ``handle.remove()``."""

    def __init__(self, hooks: list[Any], entry: Any) -> None:
        """Refer to ``entry`` in the list ``hooks``."""
        self._hooks: list[Any] | None = hooks
        self._entry = entry

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless."""
        if self._hooks is not None:
            self._hooks.remove(self._entry)
            self._hooks = None
