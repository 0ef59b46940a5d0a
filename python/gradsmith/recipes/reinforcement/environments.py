# SPDX-License-Identifier: Apache-2.0
"""Environments of gymnasium, many episodes of one side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradsmith as gs
from gradsmith.backend import Array
from gradsmith.tensor import wrap

CART_POLE, PENDULUM = "CartPole-v1", "Pendulum-v1"

Act = Callable[[Array], Array]


def _make(name: str) -> Any:
    try:
        import gymnasium
    except ImportError:
        raise ImportError(
            f"{name} comes with gymnasium: pip install 'gradsmith[rl]' brings it"
        ) from None
    return gymnasium.make(name)


class Environment:
    """``count`` episodes at once; one that is over begins anew with the next step.

    Each episode begins with a seed from the library's generator, so that it is given by that seed
    and the actions taken.
    """

    def __init__(self, name: str, count: int = 1) -> None:
        """Start all episodes (ImportError without gymnasium)."""
        self.count = count
        self._games = [_make(name) for _ in range(count)]
        self.reset()

    def reset(self) -> Array:
        """Start all episodes and return what is observed, float32 (count, D)."""
        self._seeds = [0] * self.count
        self._taken: list[list[Array]] = [[] for _ in range(self.count)]
        self._seen = np.stack([self._started(number) for number in range(self.count)])
        return self._seen

    def _started(self, number: int) -> Array:
        self._seeds[number] = int(gs.randint(2**31 - 1, (1,)).item())
        self._taken[number] = []
        return np.asarray(self._games[number].reset(seed=self._seeds[number])[0])

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array]:
        """Take a step in each; return what is observed then, rewards, and who ended or was cut.

        Where an episode is over, `observed` is already the next one's start.
        """
        steps = []
        for game, taken, action in zip(self._games, self._taken, actions, strict=True):
            seen, reward, ended, cut, _ = game.step(action)
            taken.append(action)
            steps.append((seen, np.float32(reward), ended, cut and not ended))
        then, rewards, ended, cut = (np.array(column) for column in zip(*steps, strict=True))
        self._seen = then.copy()
        for number in np.flatnonzero(ended | cut).tolist():
            self._seen[number] = self._started(number)
        return then, rewards, ended, cut

    def observed(self) -> Array:
        """Return what is seen now, float32 (count, D)."""
        return self._seen

    def state_dict(self) -> dict[str, Any]:
        """Return seed and actions of the episodes."""
        taken = {
            str(number): wrap(np.array(each)) for number, each in enumerate(self._taken) if each
        }
        return {"seeds": self._seeds.copy(), "taken": taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Play the episodes of `state_dict` up to where they were."""
        self._seeds = list(state["seeds"])
        seen = []
        for number, (game, seed) in enumerate(zip(self._games, self._seeds, strict=True)):
            last = game.reset(seed=seed)[0]
            actions = state["taken"].get(str(number))
            self._taken[number] = [] if actions is None else list(actions.numpy())
            for action in self._taken[number]:
                last = game.step(action)[0]
            seen.append(last)
        self._seen = np.stack(seen)


def episode_rewards(environment: Environment, act: Act) -> Array:
    """Return the sum of rewards (count,) of one episode of each, from its start."""
    seen = environment.reset()
    totals, alive = np.zeros(environment.count), np.ones(environment.count, bool)
    while alive.any():
        _, rewards, ended, cut = environment.step(act(seen))
        totals += rewards * alive
        alive &= ~(ended | cut)
        seen = environment.observed()
    return totals
