# SPDX-License-Identifier: Apache-2.0
"""Cases of losses that are composed of other functions."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.cases import Case


def composed(
    name: str,
    call: Any,
    reference: Any,
    make: Any,
    differentiable: bool = True,
    **options: Any,
) -> Case:
    """Return the Case of a loss with options that the definition takes too."""
    return Case(
        "-".join([name, *(str(each) for each in options.values())]),
        partial(call, **options),
        partial(reference, **options),
        make,
        tolerance="transcendental",
        depth=15,
        differentiable=differentiable,
    )
