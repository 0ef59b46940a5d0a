# SPDX-License-Identifier: Apache-2.0
"""Metrics of acting: regret of bandits, reward of episodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.metrics.base import Metric, RatioMetric, check_same_shape, to_array


class Regret(Metric):
    """How much more the best actions would have earned, added up over all steps."""

    def __init__(self, name: str = "regret") -> None:
        """Start at 0."""
        super().__init__(name)

    def reset(self) -> None:
        """Forget all steps."""
        self.total = 0.0

    def update(self, output: Any, target: Any) -> None:
        """Take in the (expected) rewards of the actions taken, and those of the best ones.

        Raises:
            ValueError: the shapes differ.
        """
        rewards, best = to_array(output), to_array(target)
        check_same_shape(self.name, rewards, best)
        self.total += float(np.subtract(best, rewards, dtype=np.float64).sum())

    def result(self) -> float:
        """Return the sum over all steps since `reset`."""
        return self.total


class EpisodeReward(RatioMetric):
    """The mean over finished episodes of the sum of their rewards.

    Environments may run side by side; unfinished episodes go on with the next `update`.
    """

    def __init__(self, name: str = "episode_reward") -> None:
        """Start with no episode."""
        super().__init__(name)

    def reset(self) -> None:
        """Forget all episodes, unfinished ones too."""
        super().reset()
        self.running = np.zeros(0)

    def update(self, output: Any, target: Any) -> None:
        """Take in a step: the rewards of all environments (E) or (), and which are done.

        Raises:
            ValueError: the shapes differ, or from those of the last step.
        """
        rewards, done = to_array(output), to_array(target)
        check_same_shape(self.name, rewards, done)
        rewards, done = rewards.reshape(-1).astype(np.float64), done.reshape(-1).astype(bool)
        if self.running.size and self.running.shape != rewards.shape:
            raise ValueError(
                f"{self.name}: got {rewards.size} environments, before {self.running.size}"
            )
        rewards = rewards + self.running if self.running.size else rewards
        self.total += float(rewards[done].sum())
        self.count += int(done.sum())
        self.running = np.where(done, 0.0, rewards)
