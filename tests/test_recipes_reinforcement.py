# SPDX-License-Identifier: Apache-2.0
"""Plans equal published and closed values; worlds move as their papers say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cli
from gradsmith.recipes.reinforcement import (
    actor_critic,
    bandits,
    cliff,
    ddpg,
    dqn,
    drawings,
    grid_world,
    maze,
    planning,
    reinforce,
)
from gradsmith.recipes.reinforcement.environments import (
    CART_POLE,
    PENDULUM,
    Environment,
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


def test_planning_ends_where_values_do_not() -> None:
    cells = GridWorld(grid_world.ROWS, grid_world.ENDS, step=0.1, slip=0.2)
    with pytest.raises(ValueError, match="200 sweeps did not end it"):
        planning.value_iteration(cells.transitions, cells.rewards, 1.0, sweeps=200)


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
    assert cliff.Learner(rate=0.0, epsilon=0.0, seed=0).episode(off_policy=True) == -cliff.LIMIT
    learner = cliff.Learner(rate=0.5, epsilon=0.0, seed=0)
    for _ in range(300):
        last = learner.episode(off_policy=True)
    assert last == -13.0
    assert len(learner.best_way()) == 14


@pytest.mark.parametrize(
    ("name", "seen", "actions"), [(CART_POLE, 4, [1, 0, 1]), (PENDULUM, 3, [[0.5], [-2.0], [9.0]])]
)
def test_episodes_move_as_those_of_gymnasium(name: str, seen: int, actions: list[Any]) -> None:
    gs.manual_seed(4)
    environment = Environment(name, 3)
    games = [gymnasium.make(name) for _ in range(3)]
    taken = np.array(actions, np.float32 if name == PENDULUM else np.int64)
    gs.manual_seed(4)
    seeds = [int(gs.randint(2**31 - 1, (1,)).item()) for _ in games]
    starts = [game.reset(seed=seed)[0] for game, seed in zip(games, seeds, strict=True)]
    np.testing.assert_array_equal(environment.observed(), starts)
    assert environment.observed().shape == (3, seen)
    assert len({tuple(start) for start in starts}) == 3
    for _ in range(5):
        then, rewards, ended, cut = environment.step(taken)
        expected = [game.step(action) for game, action in zip(games, taken, strict=True)]
        np.testing.assert_array_equal(then, [each[0] for each in expected])
        np.testing.assert_allclose(rewards, [each[1] for each in expected], rtol=1e-6)
        assert rewards.dtype == np.float32
        assert not (ended | cut).any()


def test_an_episode_that_is_over_begins_anew() -> None:
    gs.manual_seed(0)
    environment = Environment(CART_POLE, 2)
    for _ in range(20):
        then, rewards, ended, cut = environment.step(np.array([1, 1]))
        if ended[0]:
            break
    assert rewards[0] == 1.0
    assert abs(then[0, 2]) > 12 * np.pi / 180
    assert abs(environment.observed()[0]).max() <= 0.05
    assert not cut.any()


def test_the_pendulum_is_cut_off_after_200_steps() -> None:
    environment = Environment(PENDULUM)
    for number in range(1, 201):
        _, _, ended, cut = environment.step(np.zeros((1, 1), np.float32))
        assert not ended[0]
        assert cut[0] == (number == 200)
    assert gymnasium.make(PENDULUM).action_space.high == [ddpg.TORQUE]


@pytest.mark.parametrize(("name", "action"), [(CART_POLE, 1), (PENDULUM, np.ones(1, np.float32))])
def test_environment_goes_on_from_its_state(name: str, action: Any, tmp_path: Path) -> None:
    first, second = Environment(name, 3), Environment(name, 3)
    gs.save(first.state_dict(), tmp_path / "start.safetensors")
    actions = np.stack([action] * 3)
    for _ in range(12):
        first.step(actions)
    gs.save(first.state_dict(), tmp_path / "later.safetensors")
    second.load_state_dict(gs.load(tmp_path / "later.safetensors"))
    np.testing.assert_array_equal(first.observed(), second.observed())
    np.testing.assert_array_equal(first.step(actions)[0], second.step(actions)[0])
    second.load_state_dict(gs.load(tmp_path / "start.safetensors"))
    assert not np.array_equal(first.observed(), second.observed())


def test_environments_ask_for_gymnasium(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"CartPole-v1 .* pip install 'gradsmith\[rl\]'"):
        Environment(CART_POLE)
    assert cli.main(["run", "ddpg", "--quick", "--out", str(tmp_path / "run")]) == 1
    assert "pip install 'gradsmith[rl]'" in capsys.readouterr().err


def test_episode_rewards_count_the_first_episode_only() -> None:
    gs.manual_seed(0)
    found = episode_rewards(Environment(CART_POLE, 5), lambda seen: np.ones(len(seen), np.int64))
    assert ((found >= 8) & (found <= 11)).all()


def test_drawings_show_cart_pole_and_pendulum() -> None:
    upright = drawings.draw_cart_pole(np.zeros(4))
    assert (upright == upright[:, ::-1]).mean() > 0.97
    right = drawings.draw_cart_pole(np.array([1.0, 0, 0.2, 0]))
    assert right[:, :120].min() >= 190  # the line it stands on
    assert right[:, 120:].min() < 60
    up, down = (drawings.draw_pendulum(np.array([cosine, 0.0, 0])) for cosine in (1.0, -1.0))
    assert up[20, 60].tolist() == down[100, 60].tolist() != [255, 255, 255]
    assert up[100, 60].tolist() == [255, 255, 255]
    frames = drawings.film(CART_POLE, lambda seen: np.ones(1, np.int64))
    assert len(frames) in (3, 4)
    assert frames[0].shape == (90, 240, 3)


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
