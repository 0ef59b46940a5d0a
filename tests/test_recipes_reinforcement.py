# SPDX-License-Identifier: Apache-2.0
"""Plans equal published and closed values; worlds move as their papers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.recipes.reinforcement import (
    actor_critic,
    bandits,
    cliff,
    dqn,
    grid_world,
    maze,
    planning,
    reinforce,
)
from gradsmith.recipes.reinforcement.environments import (
    CartPole,
    Environment,
    Pendulum,
    episode_rewards,
)
from gradsmith.recipes.reinforcement.worlds import DOWN, LEFT, RIGHT, UP, GridWorld
from gradsmith.recipes.run import Run, Settings

# Russell and Norvig, "Artificial Intelligence: a modern approach", figure 17.3.
UTILITIES = [
    [0.812, 0.868, 0.918, 1.000],
    [0.762, 0.000, 0.660, -1.000],
    [0.705, 0.655, 0.611, 0.388],
]


def world(slip: float = 0.2) -> GridWorld:
    return GridWorld(grid_world.ROWS, grid_world.ENDS, -0.04, slip)


def test_grid_world_has_the_published_values() -> None:
    cells = world()
    known = cells.transitions, cells.rewards, 1.0
    values, changes = planning.value_iteration(*known)
    iterated, policy, _ = planning.policy_iteration(*known)
    np.testing.assert_allclose(cells.on_grid(values), UTILITIES, atol=6e-4)
    np.testing.assert_allclose(iterated.numpy(), values.numpy(), atol=1e-10)
    assert changes[-1] <= 1e-12
    # Long way round: left and up from beside the wall, left from below -1.
    shown = [[RIGHT, RIGHT, RIGHT, -1], [UP, -1, UP, -1], [UP, LEFT, LEFT, LEFT]]
    assert cells.shown(policy).tolist() == shown
    np.testing.assert_array_equal(planning.greedy(cells.transitions, values)[:3], [RIGHT] * 3)


def test_moves_slip_to_both_sides_and_stop_at_walls() -> None:
    cells = world()
    chances = cells.transitions.numpy()
    assert cells.start == 7
    np.testing.assert_allclose(chances[UP, 7, [4, 7, 8]], [0.8, 0.1, 0.1])
    np.testing.assert_allclose(chances[DOWN, 7, [7, 8]], [0.9, 0.1])
    np.testing.assert_allclose(chances.sum(axis=2)[:, ~cells.terminal], 1.0)
    np.testing.assert_array_equal(chances[:, cells.terminal], 0.0)
    assert cells.walls.sum() == 1


def test_walk_follows_the_policy() -> None:
    cells = world(slip=0.0)
    policy = planning.policy_iteration(cells.transitions, cells.rewards, 0.9)[1]
    walk = cells.walk(policy, np.random.default_rng(0))
    assert len(walk) == 6
    assert cells.cells[walk[-1]] == (0, 3)


def test_maze_is_connected_and_its_values_are_distances() -> None:
    rows = maze.maze(4, seed=3)
    assert [len(row) for row in rows] == [9] * 9
    cells = GridWorld(rows, {maze.EXIT: 1.0}, step=0.0, slip=0.0)
    far = maze.distances(cells)
    assert min(far) == 0
    assert cells.cells[far.index(0)] == (7, 7)
    assert len(cells.cells) >= 4 * 4 + 4 * 4 - 1
    values, _ = planning.value_iteration(cells.transitions, cells.rewards, 0.9)
    np.testing.assert_allclose(values.numpy(), 0.9 ** np.array(far), atol=1e-12)


def test_bandit_rules_choose_as_defined() -> None:
    wins, pulls = np.array([[5.0, 1.0, 0.0]]), np.array([[10.0, 1.0, 0.0]])
    random = np.random.default_rng(0)
    assert bandits.epsilon_greedy(0.0)(wins, pulls, 11, random).tolist() == [1]
    assert bandits.ucb(wins, pulls, 11, random).tolist() == [2]
    tried = np.array([[10.0, 100.0, 100.0]])
    assert bandits.ucb(np.array([[5.0, 55.0, 50.0]]), tried, 210, random).tolist() == [0]
    sure = np.array([[900.0, 100.0]])
    assert bandits.thompson(sure, np.array([[1000.0, 1000.0]]), 0, random).tolist() == [0]
    equal = bandits.play(bandits.ucb, np.full((3, 2), 0.5), 20, seed=0)
    np.testing.assert_array_equal(equal, 0.0)


def test_cliff_falls_and_ends() -> None:
    assert cliff.step((3, 0), RIGHT) == ((3, 0), -100.0)
    assert cliff.step((2, 5), DOWN) == ((3, 0), -100.0)
    assert cliff.step((2, 11), DOWN) == (cliff.GOAL, -1.0)
    assert cliff.step((0, 0), UP) == ((0, 0), -1.0)
    learner = cliff.Learner(rate=0.5, epsilon=0.0, seed=0)
    for _ in range(300):
        last = learner.episode(off_policy=True)
    assert last == -13.0
    assert len(learner.best_way()) == 14


def test_cart_pole_moves_by_its_equations() -> None:
    environment = CartPole(2)
    environment.state = np.zeros((2, 4))
    seen, rewards, ended, cut = environment.step([1, 0])
    # From rest: pushed = 10 / 1.1, fall = -pushed / (4/6 - 0.05/1.1), pull = pushed - fall / 22.
    pushed = 10 / 1.1
    fall = -pushed / (0.5 * (4 / 3 - 0.1 / 1.1))
    pull = pushed - 0.05 * fall / 1.1
    expected = np.array([0.0, 0.02 * pull, 0.0, 0.02 * fall])
    np.testing.assert_allclose(seen, [expected, -expected], rtol=1e-6)
    np.testing.assert_allclose(expected, [0, 0.19512195, 0, -0.29268293], atol=1e-8)
    assert rewards.tolist() == [1.0, 1.0]
    assert not ended.any()
    assert not cut.any()


@pytest.mark.parametrize(
    ("state", "over"),
    [([2.39, 1.0, 0, 0], True), ([0, 0, 0.2, 1.0], True), ([2.3, 0, 0, 0], False)],
)
def test_cart_pole_ends_beyond_its_limits(state: list[float], over: bool) -> None:
    environment = CartPole()
    environment.state = np.array([state])
    seen, _, ended, cut = environment.step([1])
    assert ended.tolist() == [over]
    assert not cut[0]
    if over:
        assert abs(environment.observed()).max() <= 0.05
        assert abs(seen).max() > 0.05


def test_pendulum_moves_by_its_equations() -> None:
    environment = Pendulum()
    environment.state = np.array([[np.pi / 2, 1.0]])
    seen, rewards, ended, cut = environment.step([[5.0]])
    speed = 1.0 + 0.05 * (15.0 + 3 * 2.0)
    angle = np.pi / 2 + 0.05 * speed
    np.testing.assert_allclose(seen, [[np.cos(angle), np.sin(angle), speed]], rtol=1e-6)
    np.testing.assert_allclose(rewards, [-(np.pi**2 / 4 + 0.1 + 0.004)], rtol=1e-6)
    assert not ended[0]
    for _ in range(Pendulum.limit - 1):
        assert not cut[0]
        _, _, ended, cut = environment.step([0.0])
    assert cut[0]


@pytest.mark.parametrize("kind", [CartPole, Pendulum])
def test_environment_goes_on_from_its_state(kind: type[Environment]) -> None:
    first, second = kind(3), kind(3)
    first.step([1, 0, 1])
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(first.step([1, 1, 0])[0], second.step([1, 1, 0])[0])
    assert first.frame().dtype == np.uint8
    assert first.frame().min() == 0


def test_episode_rewards_count_the_first_episode_only() -> None:
    gs.manual_seed(0)
    found = episode_rewards(CartPole(5), lambda seen: np.ones(len(seen)))
    assert ((found >= 8) & (found <= 11)).all()


def test_returns_are_discounted_sums() -> None:
    rewards = np.array([[1.0], [2.0], [4.0]])
    np.testing.assert_allclose(reinforce.rewards_to_go(rewards, 0.5), [[3.0], [4.0], [4.0]])
    over = np.array([[False], [True], [False]])
    after = np.array([[9.0], [0.0], [8.0]])
    found = actor_critic.closed_returns(rewards, over, after, 0.5)
    np.testing.assert_allclose(found, [[2.0], [2.0], [8.0]])


def test_double_networks_ask_the_copy_for_the_choice_of_the_network() -> None:
    def model(x: gs.Tensor) -> gs.Tensor:
        return gs.tensor([[1.0, 2.0]])

    def target(x: gs.Tensor) -> gs.Tensor:
        return gs.tensor([[7.0, 5.0]])

    then = gs.zeros(1, 4)
    assert dqn.next_values(model, target, then, double=False).tolist() == [7.0]
    assert dqn.next_values(model, target, then, double=True).tolist() == [5.0]


def test_agent_can_be_resumed(tmp_path: Path) -> None:
    run = Run(Settings("dqn", options=dict(dqn.OPTIONS)), tmp_path)
    agent, other = dqn.Agent(run), dqn.Agent(run)
    for step in range(200):
        agent.play(step)
    for name, part in other.parts().items():
        part.load_state_dict(agent.parts()[name].state_dict())
    gs.manual_seed(5)
    agent.play(200)
    gs.manual_seed(5)
    other.play(200)
    for mine, theirs in zip(agent.model.parameters(), other.model.parameters(), strict=True):
        np.testing.assert_array_equal(mine.detach().numpy(), theirs.detach().numpy())
