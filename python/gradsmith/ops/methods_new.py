# SPDX-License-Identifier: Apache-2.0
"""The methods that make new tensors with the dtype and on the device of another."""

from __future__ import annotations

from typing import Any

from gradsmith.ops import creation
from gradsmith.tensor import Tensor


def _place(self: Tensor, dtype: Any, device: Any) -> dict[str, Any]:
    return {
        "dtype": self.dtype if dtype is None else dtype,
        "device": self.device if device is None else device,
    }


def _creator(name: str) -> Any:
    create = getattr(creation, name)

    def method(
        self: Tensor,
        *size: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        options = {"requires_grad": requires_grad, **_place(self, dtype, device)}
        return create(*size, **options)  # type: ignore[no-any-return]

    method.__name__ = f"new_{name}"
    method.__doc__ = f"As `{name}`, with dtype and device of this tensor by default."
    return method


def _new_full(
    self: Tensor,
    size: Any,
    fill_value: float,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """As `full`, with dtype and device of this tensor by default."""
    place = _place(self, dtype, device)
    return creation.full(size, fill_value, requires_grad=requires_grad, **place)


def _new_tensor(
    self: Tensor, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """As `tensor`, with dtype and device of this tensor by default."""
    return creation.tensor(data, requires_grad=requires_grad, **_place(self, dtype, device))


METHODS: dict[str, Any] = {
    "new_zeros": _creator("zeros"),
    "new_ones": _creator("ones"),
    "new_empty": _creator("empty"),
    "new_full": _new_full,
    "new_tensor": _new_tensor,
}
