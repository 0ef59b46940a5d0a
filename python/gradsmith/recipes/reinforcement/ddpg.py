# SPDX-License-Identifier: Apache-2.0
"""DDPG swings a pendulum up: Q-learning where actions are numbers.

A critic learns ``Q(s, a)`` towards ``r + gamma Q'(s', m'(s'))``; an actor m(s) climbs it, by
``gradient = mean grad_a Q(s, a) grad m(s)``; Q' and m' are slowly following copies, and noise on
the actions explores (Lillicrap et al., "Continuous control with deep reinforcement learning",
2016).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import gradsmith as gs
from gradsmith import models, nn, viz
from gradsmith.backend import Array
from gradsmith.data import ReplayBuffer
from gradsmith.nn import functional as F
from gradsmith.optim import Adam
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.reinforcement.acting import EPISODES, on, tell
from gradsmith.recipes.reinforcement.environments import (
    PENDULUM,
    Act,
    Environment,
    episode_rewards,
)
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"gamma": 0.98, "noise": 0.2}
STEPS, BATCH, WARM_UP = 250, 128, 500
TORQUE = 2.0  # the motor's range is -2 to 2


def small_at_the_end(net: nn.Sequential) -> nn.Sequential:
    """Draw the last layer within 0.003, as the paper does: tanh must not begin at its limits."""
    last = net[-1]
    for each in (last.weight, last.bias):
        nn.init.uniform_(each, -3e-3, 3e-3)
    return net


class Actor(nn.Module):
    """Observations (N, 3) -> torques (N, 1) within the motor's range."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_at_the_end(models.mlp([3, 128, 128, 1]))

    def forward(self, seen: Tensor) -> Tensor:
        """Return the torques."""
        torques: Tensor = self.net(seen).tanh() * TORQUE
        return torques


class Critic(nn.Module):
    """Observations (N, 3) and torques (N, 1) -> values (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_at_the_end(models.mlp([4, 128, 128, 1]))

    def forward(self, seen: Tensor, torques: Tensor) -> Tensor:
        """Return the values."""
        values: Tensor = self.net(gs.cat([seen, torques], dim=1))[:, 0]
        return values


class Agent:
    """Actor and critic, their slow copies, and a memory."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.actor, self.critic = Actor().to(run.device), Critic().to(run.device)
        self.slow_actor, self.slow_critic = EMA(self.actor, 0.99), EMA(self.critic, 0.99)
        self.actor_optimizer = Adam(self.actor.parameters(), lr=1e-3)
        self.critic_optimizer = Adam(self.critic.parameters(), lr=2e-3)
        self.memory = ReplayBuffer(50_000, seed=run.seed)
        self.environment = Environment(PENDULUM)
        self.best = copy.deepcopy(self.actor)

    def parts(self) -> dict[str, Any]:
        """Return what a run that resumes needs."""
        return {name: each for name, each in vars(self).items() if name != "run"}

    def act(self, actor: nn.Module) -> Act:
        """Return how an actor acts, without noise."""

        def torques(seen: Array) -> Array:
            with gs.no_grad():
                return np.asarray(actor(on(self.run, seen)).cpu().numpy())

        return torques

    def play(self, taken: int) -> None:
        """Take a step, at random at first, remember it, and learn from others."""
        seen = self.environment.observed()
        if taken < WARM_UP:
            torques = (gs.rand(1, 1).numpy() * 2 - 1) * TORQUE
        else:
            noise = gs.randn(1, 1).numpy() * self.run.option("noise") * TORQUE
            torques = np.clip(self.act(self.actor)(seen) + noise, -TORQUE, TORQUE)
        then, rewards, ended, _ = self.environment.step(torques)
        self.memory.add(seen[0], torques[0], rewards[0], then[0], ended[0])
        if taken >= WARM_UP:
            self.learn()

    def learn(self) -> None:
        """Move critic and actor by a batch."""
        drawn = (each.to(self.run.device) for each in self.memory.sample(BATCH))
        seen, torques, rewards, then, ended = drawn
        with gs.no_grad():
            worth = self.slow_critic(then, self.slow_actor(then))
        values = self.critic(seen, torques)
        self.critic_optimizer.zero_grad()
        F.td_loss(values, rewards / 10, worth, ended, self.run.option("gamma")).backward()
        self.critic_optimizer.step()
        self.actor_optimizer.zero_grad()
        (-self.critic(seen, self.actor(seen)).mean()).backward()
        self.actor_optimizer.step()
        self.slow_actor.update_parameters(self.actor)
        self.slow_critic.update_parameters(self.critic)


def main(run: Run) -> None:
    """Play, learn, keep the best, and show."""
    agent = Agent(run)
    for number in run.rounds(run.epochs(full=40, quick=10), agent.parts(), "round"):
        for step in range(STEPS):
            agent.play(number * STEPS + step)
        mean = float(episode_rewards(Environment(PENDULUM, 10), agent.act(agent.actor)).mean())
        if mean >= max(run.history.get("reward", [-np.inf])):
            agent.best.load_state_dict(agent.actor.state_dict())
        run.log(reward=mean)
    games = Environment(PENDULUM, EPISODES)
    chance = episode_rewards(games, lambda seen: (gs.rand(len(seen), 1).numpy() * 2 - 1) * TORQUE)
    mean = tell(run, agent.act(agent.best), PENDULUM, at_least=-400, quick=-800)
    run.figure("mean reward of random torques", float(chance.mean()))
    run.figure("improvement over that", mean - float(chance.mean()), at_least=800, quick=400)
    picture = viz.plot_curves({"reward": run.history["reward"]}, xlabel="round", ylabel="reward")
    run.picture("rewards", picture, "Mean reward of 10 episodes without noise.")
    run.model(agent.best, (1, 3))
