# SPDX-License-Identifier: Apache-2.0
"""A deep Q-network balances a pole.

The network gives the value of each action; its goal is ``r + gamma max_a Q'(s', a)``. Two things
make that stable (Mnih et al., "Human-level control through deep reinforcement learning", 2015): it
learns from steps drawn out of a memory, and Q' is a slowly following copy of the network. With
``double=true`` the network chooses the next action and the copy says what it is worth, which takes
away the bias of the maximum (van Hasselt, Guez and Silver 2016).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

import gradsmith as gs
from gradsmith import models
from gradsmith.data import ReplayBuffer
from gradsmith.nn import Module
from gradsmith.nn import functional as F
from gradsmith.nn.utils import clip_grad_norm_
from gradsmith.optim import Adam
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.reinforcement.acting import EPISODES, best_action, tell_cart_pole
from gradsmith.recipes.reinforcement.environments import (
    CART_POLE,
    Environment,
    episode_rewards,
)
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"double": False, "gamma": 0.99}
STEPS, BATCH = 500, 64  # per round, and per draw from the memory
LEAST, FALL = 0.02, 1500.0  # exploration falls exponentially from 1


def next_values(model: Module, target: Module, then: Tensor, double: bool) -> Tensor:
    """Return what the states that came next are worth (B,)."""
    with gs.no_grad():
        worth: Tensor = target(then)
        if not double:
            return worth.amax(dim=1)
        return worth.gather(1, model(then).argmax(dim=1, keepdim=True))[:, 0]


class Agent:
    """A network, its slow copy, its memory, and the best network so far."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.model = models.mlp([4, 128, 128, 2]).to(run.device)
        self.target = EMA(self.model, decay=0.99)
        self.optimizer = Adam(self.model.parameters(), lr=5e-4)
        self.memory = ReplayBuffer(20_000, seed=run.seed)
        self.environment = Environment(CART_POLE)
        self.best = copy.deepcopy(self.model)

    def parts(self) -> dict[str, Any]:
        """Return what a run that resumes needs."""
        names = ("model", "target", "optimizer", "memory", "environment", "best")
        return {name: getattr(self, name) for name in names}

    def play(self, taken: int) -> float:
        """Take a step, remember it, and learn from others; return the reward."""
        seen = self.environment.observed()
        explore = LEAST + (1 - LEAST) * math.exp(-taken / FALL)
        if gs.rand(1).item() < explore:
            actions = gs.randint(2, (1,)).numpy()
        else:
            actions = best_action(self.run, self.model)(seen)
        then, rewards, ended, _ = self.environment.step(actions)
        self.memory.add(seen[0], actions[0], rewards[0], then[0], ended[0])
        if len(self.memory) >= 2 * BATCH:
            self.learn()
        return float(rewards[0])

    def learn(self) -> None:
        """Move towards the goals of a batch."""
        drawn = (each.to(self.run.device) for each in self.memory.sample(BATCH))
        seen, actions, rewards, then, ended = drawn
        values = self.model(seen).gather(1, actions[:, None])[:, 0]
        worth = next_values(self.model, self.target, then, self.run.option("double"))
        self.optimizer.zero_grad()
        # Not Huber's loss: the few steps that end an episode would be outvoted, and values explode.
        F.td_loss(values, rewards, worth, ended, self.run.option("gamma")).backward()
        clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.target.update_parameters(self.model)

    def mean_reward(self) -> float:
        """Return the mean reward of 20 episodes without exploration."""
        games = Environment(CART_POLE, EPISODES)
        return float(episode_rewards(games, best_action(self.run, self.model)).mean())


def main(run: Run) -> None:
    """Play, learn, keep the best, and show."""
    agent = Agent(run)
    for number in run.rounds(run.epochs(full=20, quick=3), agent.parts(), "round"):
        for step in range(STEPS):
            agent.play(number * STEPS + step)
        mean = agent.mean_reward()
        if mean >= max(run.history.get("reward", [0.0])):
            agent.best.load_state_dict(agent.model.state_dict())
        run.log(reward=mean)
    run.figure("mean reward over all rounds", float(np.mean(run.history["reward"])))
    tell_cart_pole(run, best_action(run, agent.best), at_least=195, quick=80)
    run.model(agent.best, (1, 4))
