# SPDX-License-Identifier: Apache-2.0
"""Rates along a cosine (Loshchilov and Hutter 2016, SGDR)."""

from __future__ import annotations

import math

from gradsmith.optim.lr_scheduler.base import LRScheduler
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import check_count, check_number


class _CosineLR(LRScheduler):
    """Base: half a cosine from the initial rate to ``eta_min``."""

    eta_min: float

    def _cosine(self, share: float) -> list[float]:
        """Return the rates a share of half a cosine after the start."""
        height = (1 + math.cos(math.pi * share)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingLR(_CosineLR):
    """Lets the rate fall along half a cosine to ``eta_min`` in ``T_max`` steps, then rise again."""

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        """Take the length of the fall and the lowest rate.

        Raises:
            ValueError: ``T_max`` is below 1.
        """
        check_number("CosineAnnealingLR", "T_max", T_max, low=1)
        check_number("CosineAnnealingLR", "eta_min", eta_min)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return this step's rates from the present ones."""
        if self._is_initial:
            return self._present()
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        # At the bottom the present rate says nothing about the amplitude.
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            return [
                lr + (base - self.eta_min) * now / 2
                for lr, base in zip(self._present(), self.base_lrs, strict=True)
            ]
        return [self.eta_min + (lr - self.eta_min) * now / before for lr in self._present()]

    def _closed_form(self) -> list[float]:
        return self._cosine(self.last_epoch / self.T_max)


class CosineAnnealingWarmRestarts(_CosineLR):
    """Lets the rate fall along half a cosine, then jump back; each fall is longer than the last."""

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        """Take the length of the first fall, the factor of the lengths and the lowest rate.

        Raises:
            TypeError: a length is no int.
            ValueError: one is below 1.
        """
        check_count("CosineAnnealingWarmRestarts", "T_0", T_0)
        check_count("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        check_number("CosineAnnealingWarmRestarts", "eta_min", eta_min)
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates ``T_cur`` steps after the last restart."""
        return self._cosine(self.T_cur / self.T_i)

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or to ``epoch``, which may lie between two steps.

        Raises:
            ValueError: the epoch is negative.
        """
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = 0 if epoch is None else epoch
            check_number("CosineAnnealingWarmRestarts", "epoch", epoch)
            self._go_to(epoch)
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def _go_to(self, epoch: float) -> None:
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            # The falls before number n last T_0 (T_mult^n - 1) / (T_mult - 1) steps.
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
