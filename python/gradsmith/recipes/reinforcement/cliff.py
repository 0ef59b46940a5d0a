# SPDX-License-Identifier: Apache-2.0
"""Q-learning and SARSA walk along a cliff: the best way against the safe way.

Both learn ``Q(s, a) += rate (r + gamma Q(s', a') - Q(s, a))`` from steps alone. SARSA takes for a'
the action that it will take, exploring ones included (Rummery and Niranjan 1994), Q-learning the
best one (Watkins 1989). So Q-learning learns the shortest way, along the edge, and falls off when
it explores; SARSA learns a way further off and earns more while it learns (Sutton and Barto,
"Reinforcement Learning", example 6.6).
"""

from __future__ import annotations

import numpy as np

from gradsmith import viz
from gradsmith.backend import Array
from gradsmith.recipes.reinforcement.worlds import MOVES
from gradsmith.recipes.run import Run

OPTIONS = {"rate": 0.5, "epsilon": 0.1}
ROWS, COLUMNS = 4, 12
START, GOAL = (3, 0), (3, 11)
CLIFF = np.zeros((ROWS, COLUMNS), bool)
CLIFF[-1, 1:-1] = True
Cell = tuple[int, int]
LIMIT = 2000  # steps of an episode


def step(cell: Cell, action: int) -> tuple[Cell, float]:
    """Return the next cell and the reward: -1, or -100 and the start after a fall."""
    row = min(max(cell[0] + MOVES[action][0], 0), ROWS - 1)
    column = min(max(cell[1] + MOVES[action][1], 0), COLUMNS - 1)
    if CLIFF[row, column]:
        return START, -100.0
    return (row, column), -1.0


class Learner:
    """A table of values (rows, columns, 4) and an epsilon-greedy policy by it."""

    def __init__(self, rate: float, epsilon: float, seed: int) -> None:
        self.values = np.zeros((ROWS, COLUMNS, 4))
        self._rate, self._epsilon = rate, epsilon
        self._random = np.random.default_rng(seed)

    def act(self, cell: Cell) -> int:
        """Return a random action with probability epsilon, else the best one."""
        if self._random.uniform() < self._epsilon:
            return int(self._random.integers(4))
        return int(self.values[cell].argmax())

    def episode(self, off_policy: bool) -> float:
        """Walk from start to goal or for 2000 steps; return the sum of rewards."""
        cell, total, left = START, 0.0, LIMIT
        action = self.act(cell)
        while cell != GOAL and left:
            after, reward = step(cell, action)
            next_action = self.act(after)
            believed = self.values[after].max() if off_policy else self.values[after][next_action]
            error = reward + believed - self.values[cell][action]
            self.values[cell][action] += self._rate * error
            cell, action, total, left = after, next_action, total + reward, left - 1
        return total

    def best_way(self) -> list[Cell]:
        """Return the cells that the best actions lead through, at most 50."""
        cells = [START]
        while cells[-1] != GOAL and len(cells) < 50:
            cells.append(step(cells[-1], int(self.values[cells[-1]].argmax()))[0])
        return cells


def main(run: Run) -> None:
    """Learn many times over, and compare means."""
    learners, episodes = run.choose((50, 500), (8, 300))
    rewards: dict[str, Array] = {}
    for name, off_policy in (("Q-learning", True), ("SARSA", False)):
        courses, tables = [], []
        for number in run.progress(range(learners), name):
            learner = Learner(run.option("rate"), run.option("epsilon"), run.seed + number)
            courses.append([learner.episode(off_policy) for _ in range(episodes)])
            tables.append(learner.values)
        rewards[name] = np.mean(courses, axis=0)
        learner.values = np.mean(tables, axis=0)
        way = learner.best_way()
        edge = sum(row == ROWS - 2 for row, _ in way)
        if off_policy:
            run.figure("steps of Q-learning's best way", len(way) - 1, at_least=13, at_most=13)
        run.figure(f"cells beside the cliff on {name}'s best way", edge)
        picture = viz.plot_value_grid(learner.values.max(axis=2), _arrows(learner, way), CLIFF)
        run.picture(name.lower(), picture, f"Mean values that {name} learnt, and their best way.")
    late = {name: float(course[-100:].mean()) for name, course in rewards.items()}
    run.figure("reward of Q-learning in the last 100 episodes", late["Q-learning"])
    run.figure("reward of SARSA in the last 100 episodes", late["SARSA"], at_least=-35, quick=-40)
    gain = late["SARSA"] - late["Q-learning"]
    run.figure("what SARSA earns more", gain, at_least=10, quick=5)
    run.history.update({name: course.tolist() for name, course in rewards.items()})
    smooth = {
        name: np.convolve(course, np.ones(10) / 10, mode="valid").clip(-100)
        for name, course in rewards.items()
    }
    picture = viz.plot_curves(smooth, xlabel="episode", ylabel="reward, mean of 10")
    run.picture("rewards", picture, "While they learn: SARSA falls off less often.")


def _arrows(learner: Learner, way: list[Cell]) -> Array:
    actions = np.full((ROWS, COLUMNS), -1)
    for cell in way[:-1]:
        actions[cell] = learner.values[cell].argmax()
    return actions
