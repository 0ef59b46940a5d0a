# SPDX-License-Identifier: Apache-2.0
"""Gradient descent with a table of each sample's last gradient: SAG and SAGA."""

from __future__ import annotations

from typing import Any

from gradsmith.optim.composed import ComposedOptimizer
from gradsmith.optim.optimizer import Closure, Params
from gradsmith.optim.options import check_count
from gradsmith.tensor import Tensor


class _TableOptimizer(ComposedOptimizer):
    """Base: ``step(index=i)`` takes ``.grad`` as the gradient of sample (or batch) ``i``."""

    def __init__(
        self,
        params: Params,
        num_samples: int,
        lr: float = 1e-2,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        """Take parameters and options.

        Args:
            params: tensors or groups.
            num_samples: number of rows of the table: one for each sample, or for each batch of a
                fixed division into batches. The memory is that many copies of the parameters.
            lr: the rate.
            weight_decay: L2 penalty.
            maximize: climb instead.

        Raises:
            TypeError: an option is no number.
            ValueError: one is out of range.
        """
        defaults = {
            "lr": lr,
            "num_samples": num_samples,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        self._index = 0
        super().__init__(params, defaults)

    def _check_options(self, group: dict[str, Any]) -> None:
        super()._check_options(group)
        check_count(self._name, "num_samples", group["num_samples"])

    def _state_shape(self, group: dict[str, Any], param: Tensor, name: str) -> tuple[int, ...]:
        samples = int(group["num_samples"])
        return {"table": (samples, *param.shape), "visited": (samples,)}.get(name, param.shape)

    def step(self, closure: Closure | None = None, *, index: int | None = None) -> Any:
        """Update the parameters by the gradient of one sample or batch.

        Args:
            closure: computes the loss of that sample anew and returns it.
            index: the number of the sample, 0 to ``num_samples - 1``.

        Returns:
            What the closure returned, or None.

        Raises:
            TypeError: the index is missing or no int.
            IndexError: it is out of range.
        """
        if isinstance(index, bool) or not isinstance(index, int):
            kind = "missing" if index is None else f"a {type(index).__name__}"
            raise TypeError(f"{self._name}: index is {kind}, expected an int, as in step(index=3)")
        samples = min(group["num_samples"] for group in self.param_groups)
        if not 0 <= index < samples:
            raise IndexError(f"{self._name}: index is {index}, expected 0 <= index < {samples}")
        self._index = index
        return super().step(closure)

    def _replaced(self, entry: dict[str, Any], grad: Tensor) -> Tensor:
        """Put the gradient into the table and the sum; return how much the row changed."""
        row = entry["table"][self._index]
        change: Tensor = grad - row
        row.copy_(grad)
        entry["sum"].add_(change)
        return change


def _with_decay(group: dict[str, Any], param: Tensor, direction: Tensor) -> Tensor:
    decay = group["weight_decay"]
    return direction if decay == 0 else direction.add(param, alpha=decay)


class SAG(_TableOptimizer):
    """Stochastic average gradient (Schmidt, Le Roux and Bach 2013).

    Steps along the mean of the last gradients of the samples seen so far:
    ``w -= lr (mean + weight_decay w)``. State: ``step``, ``table``, ``sum``, ``visited``.

    Example:
        >>> import gradsmith as gs
        >>> w = gs.zeros(1, requires_grad=True)
        >>> optimizer = gs.optim.SAG([w], num_samples=2, lr=0.25)
        >>> for index in [0, 1] * 20:
        ...     optimizer.zero_grad()
        ...     ((w - [1.0, 3.0][index]) ** 2).sum().backward()
        ...     optimizer.step(index=index)
        >>> round(w.item(), 3)
        2.0
    """

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("table", "sum", "visited")

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        self._replaced(entry, grad)
        entry["visited"][self._index] = 1.0
        seen = float(entry["visited"].sum())
        param.sub_(_with_decay(group, param, entry["sum"] / seen) * group["lr"])


class SAGA(_TableOptimizer):
    """SAGA (Defazio, Bach and Lacoste-Julien 2014): SAG without its bias.

    ``w -= lr (g - table[i] + mean(table) + weight_decay w)`` with a table of zeros at first. State:
    ``step``, ``table``, ``sum``. The interface is that of `SAG`.
    """

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("table", "sum")

    def _move(
        self, group: dict[str, Any], param: Tensor, grad: Tensor, entry: dict[str, Any]
    ) -> None:
        mean = entry["sum"] / group["num_samples"]
        direction = self._replaced(entry, grad) + mean
        param.sub_(_with_decay(group, param, direction) * group["lr"])
