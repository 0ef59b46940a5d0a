# SPDX-License-Identifier: Apache-2.0
"""A factor on the loss that keeps small gradients from underflowing (Micikevicius et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.ops.elementwise_compare import isfinite
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import check_count, check_number
from gradsmith.tensor import Tensor


class _Stage(Enum):
    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Multiplies losses by a scale, divides gradients by it, and skips steps that overflowed.

    The scale falls when a gradient is infinite or NaN, and grows after ``growth_interval`` steps
    without one. A skipped step leaves no trace: neither parameters nor state nor counts change.
    float16 needs it; bfloat16 has float32's range and rarely does.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Linear(2, 1)
        >>> optimizer = gs.optim.SGD(model.parameters(), lr=0.1)
        >>> scaler = gs.amp.GradScaler()
        >>> with gs.amp.autocast():
        ...     loss = model(gs.ones(3, 2)).square().mean()
        >>> scaler.scale(loss).backward()
        >>> scaler.step(optimizer)
        >>> scaler.update()
    """

    def __init__(
        self,
        device: str = "cpu",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        """Take the first scale and how it changes.

        Args:
            device: accepted as PyTorch's; tensors of any device are scaled.
            init_scale: the first scale.
            growth_factor: by which it grows, above 1.
            backoff_factor: by which it falls, below 1.
            growth_interval: steps without an overflow before it grows.
            enabled: whether to do anything; else `scale` returns what it gets and `step` steps.

        Raises:
            TypeError: an option has another type.
            ValueError: one is out of range.
        """
        if not isinstance(enabled, bool):
            kind = type(enabled).__name__
            raise TypeError(f"GradScaler: enabled is a {kind}, expected a bool")
        self._enabled = enabled
        self._set_scale(init_scale)
        self.set_growth_factor(growth_factor)
        self.set_backoff_factor(backoff_factor)
        self.set_growth_interval(growth_interval)
        self._growth_tracker = 0
        # By id of the optimiser, since the last update: how far it is, and whether it overflowed.
        self._stages: dict[int, tuple[_Stage, bool]] = {}

    def _set_scale(self, scale: float) -> None:
        check_number("GradScaler", "scale", scale)
        if not scale > 0:
            raise ValueError(f"GradScaler: scale is {scale}, expected a number above 0")
        self._scale = float(scale)

    def scale(self, outputs: Any) -> Any:
        """Return a tensor, or each of a list or tuple, times the scale.

        Raises:
            TypeError: it is something else.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = [self.scale(each) for each in outputs]
            return tuple(scaled) if isinstance(outputs, tuple) else scaled
        kind = type(outputs).__name__
        raise TypeError(f"GradScaler: scale got a {kind}, expected tensors")

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimiser's parameters by the scale, for clipping.

        Raises:
            RuntimeError: that was done, or the step taken, since the last `update`.
        """
        if not self._enabled:
            return
        stage, _ = self._stages.get(id(optimizer), (_Stage.READY, False))
        if stage is _Stage.UNSCALED:
            raise RuntimeError(
                "GradScaler: unscale_ was called for this optimizer already since the last update()"
            )
        if stage is _Stage.STEPPED:
            raise RuntimeError("GradScaler: unscale_ is called after step(), expected before it")
        overflowed = False
        with no_grad():
            for group in optimizer.param_groups:
                for param in group["params"]:
                    if param.grad is None:
                        continue
                    overflowed = overflowed or not bool(isfinite(param.grad).all())
                    param.grad.mul_(1 / self._scale)
        self._stages[id(optimizer)] = (_Stage.UNSCALED, overflowed)

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Unscale the gradients if need be, and take the step unless one of them overflowed.

        Args:
            optimizer: whose step to take.
            *args: what its ``step`` takes.
            **kwargs: likewise, but for a closure.

        Returns:
            What the step returned; None if it was skipped.

        Raises:
            RuntimeError: the step was taken since the last `update`, or a closure is given.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if args or kwargs.get("closure") is not None:
            raise RuntimeError("GradScaler: step takes no closure, whose loss would not be scaled")
        stage, overflowed = self._stages.get(id(optimizer), (_Stage.READY, False))
        if stage is _Stage.STEPPED:
            raise RuntimeError(
                "GradScaler: step was called for this optimizer already since the last update()"
            )
        if stage is _Stage.READY:
            self.unscale_(optimizer)
            overflowed = self._stages[id(optimizer)][1]
        result = None if overflowed else optimizer.step(**kwargs)
        self._stages[id(optimizer)] = (_Stage.STEPPED, overflowed)
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Change the scale after the steps of all optimisers, or set it to ``new_scale``.

        Raises:
            RuntimeError: no gradients were unscaled since the last one.
            ValueError: the new scale is not positive.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._set_scale(float(new_scale))
        elif not self._stages:
            raise RuntimeError("GradScaler: update is called without a step() before")
        elif any(overflowed for _, overflowed in self._stages.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._growth_tracker = 0
                grown = self._scale * self._growth_factor
                self._scale = grown if math.isfinite(grown) else self._scale
        self._stages.clear()

    def get_scale(self) -> float:
        """Return the scale; 1 if not enabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """Return by how much the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set by how much the scale grows, above 1 (else ValueError)."""
        check_number("GradScaler", "growth_factor", new_factor)
        if not new_factor > 1:
            raise ValueError(f"GradScaler: growth_factor is {new_factor}, expected above 1")
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """Return by how much the scale falls."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set by how much the scale falls, between 0 and 1 (else ValueError)."""
        check_number("GradScaler", "backoff_factor", new_factor)
        if not 0 < new_factor < 1:
            raise ValueError(
                f"GradScaler: backoff_factor is {new_factor}, expected between 0 and 1"
            )
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """Return after how many steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many steps the scale grows, at least 1 (else ValueError)."""
        check_count("GradScaler", "growth_interval", new_interval)
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Return whether it does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and how it changes; nothing if not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: entries are missing, as from a scaler that was not enabled.
        """
        if not self._enabled:
            return
        missing = set(self.state_dict()) - set(state_dict)
        if missing:
            raise ValueError(f"GradScaler: the state lacks {sorted(missing)}")
        self._set_scale(state_dict["scale"])
        self.set_growth_factor(state_dict["growth_factor"])
        self.set_backoff_factor(state_dict["backoff_factor"])
        self.set_growth_interval(state_dict["growth_interval"])
        self._growth_tracker = state_dict["_growth_tracker"]
