# SPDX-License-Identifier: Apache-2.0
"""A cart with a pole and a pendulum, many of each side by side, as arrays of their states.

Rules, limits and rewards are those that gymnasium calls ``CartPole-v1`` and ``Pendulum-v1``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import gradsmith as gs
from gradsmith.backend import Array
from gradsmith.tensor import wrap


class Environment:
    """Base: ``count`` episodes at once; one that is over begins anew with the next step."""

    limit: int  # steps after which an episode is cut off

    def __init__(self, count: int = 1) -> None:
        """Start all episodes, with numbers of the library's generator."""
        self.count = count
        self.reset()

    def reset(self) -> Array:
        """Start all episodes and return what is observed, float32 (count, D)."""
        self.state = self._starts(self.count)
        self.steps = np.zeros(self.count, np.int64)
        return self.observed()

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array]:
        """Take a step in each; return what is observed then, rewards, and who ended or was cut.

        Where an episode is over, `observed` is already the next one's start.
        """
        self.state, rewards, ended = self._moved(np.asarray(actions))
        self.steps += 1
        seen, cut = self.observed(), self.steps >= self.limit
        over = ended | cut
        if over.any():
            self.state[over] = self._starts(int(over.sum()))
            self.steps[over] = 0
        return seen, rewards.astype(np.float32), ended, cut & ~ended

    def observed(self) -> Array:
        """Return what is seen of the states, float32 (count, D)."""
        raise NotImplementedError

    def _starts(self, count: int) -> Array:
        raise NotImplementedError

    def _moved(self, actions: Array) -> tuple[Array, Array, Array]:
        """Return the next states, the rewards, and which episodes ended."""
        raise NotImplementedError

    def frame(self) -> Array:
        """Return a picture of the first one, uint8 (H, W)."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return states and steps."""
        return {"state": wrap(self.state.copy()), "steps": wrap(self.steps.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.state, self.steps = (state[name].numpy().copy() for name in ("state", "steps"))


def _between(low: float, high: float, *shape: int) -> Array:
    return gs.rand(*shape, dtype=gs.float64).numpy() * (high - low) + low


def _with_line(picture: Array, start: tuple[float, float], end: tuple[float, float]) -> Array:
    for share in np.linspace(0, 1, 80):
        row, column = (round(a + share * (b - a)) for a, b in zip(start, end, strict=True))
        picture[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
    return picture


class CartPole(Environment):
    """A cart that is pushed left (0) or right (1) so that its pole does not fall.

    Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning
    control problems", 1983. Observed are place, speed, angle and angular speed. Each step earns 1;
    the end comes beyond 2.4 m or 12 degrees.
    """

    limit = 500

    def observed(self) -> Array:
        """Return the states."""
        seen: Array = self.state.astype(np.float32)
        return seen

    def _starts(self, count: int) -> Array:
        return _between(-0.05, 0.05, count, 4)

    def _moved(self, actions: Array) -> tuple[Array, Array, Array]:
        x, speed, angle, turning = self.state.T
        mass, pole_mass, length, gravity, tick = 1.1, 0.1, 0.5, 9.8, 0.02
        force = np.where(actions == 1, 10.0, -10.0)
        sine, cosine = np.sin(angle), np.cos(angle)
        pushed = (force + pole_mass * length * turning**2 * sine) / mass
        fall = (gravity * sine - cosine * pushed) / (
            length * (4 / 3 - pole_mass * cosine**2 / mass)
        )
        pull = pushed - pole_mass * length * fall * cosine / mass
        columns = (x + tick * speed, speed + tick * pull, angle + tick * turning)
        state = np.stack([*columns, turning + tick * fall], axis=1)
        ended = (abs(state[:, 0]) > 2.4) | (abs(state[:, 2]) > 12 * math.pi / 180)
        return state, np.ones(self.count), ended

    def frame(self) -> Array:
        """Return the first cart and its pole."""
        picture = np.full((80, 200), 255, np.uint8)
        x, _, angle, _ = self.state[0]
        middle = 100 + 36 * x
        picture[64:66] = 160
        picture[56:66, max(int(middle) - 14, 0) : int(middle) + 15] = 90
        top = (56 - 45 * math.cos(angle), middle + 45 * math.sin(angle))
        return _with_line(picture, (56, middle), top)


class Pendulum(Environment):
    """A pendulum that a weak motor, -2 to 2, is to swing up and hold there.

    Observed are cosine and sine of its angle from upright, and its angular speed; a step costs
    ``angle^2 + 0.1 speed^2 + 0.001 torque^2``, over 200 steps.
    """

    limit = 200
    torque = 2.0

    def observed(self) -> Array:
        """Return cosine, sine and speed."""
        angle, speed = self.state.T
        return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)

    def _starts(self, count: int) -> Array:
        return np.asarray(_between(-1, 1, count, 2) * np.array([math.pi, 1.0]))

    def _moved(self, actions: Array) -> tuple[Array, Array, Array]:
        angle, speed = self.state.T
        torque = np.clip(actions.reshape(-1), -self.torque, self.torque)
        wrapped = (angle + math.pi) % (2 * math.pi) - math.pi
        costs = wrapped**2 + 0.1 * speed**2 + 0.001 * torque**2
        speed = np.clip(speed + 0.05 * (15 * np.sin(angle) + 3 * torque), -8, 8)
        state = np.stack([angle + 0.05 * speed, speed], axis=1)
        return state, -costs, np.zeros(self.count, bool)

    def frame(self) -> Array:
        """Return the first pendulum."""
        angle = self.state[0, 0]
        top = (50 - 40 * math.cos(angle), 50 + 40 * math.sin(angle))
        return _with_line(np.full((100, 100), 255, np.uint8), (50, 50), top)


Act = Callable[[Array], Array]


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


def film(environment: Environment, act: Act, steps: int = 100) -> list[Array]:
    """Return pictures of every other step of an episode."""
    seen, frames = environment.reset(), []
    for number in range(steps):
        if number % 2 == 0:
            frames.append(environment.frame())
        environment.step(act(seen))
        seen = environment.observed()
    return frames
