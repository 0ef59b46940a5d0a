# SPDX-License-Identifier: Apache-2.0
"""What the recipes of neurons compute themselves, against answers known by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.recipes.neurons import competition, gates, perceptron, rbf_network
from gradsmith.recipes.neurons.competitive import purity
from gradsmith.recipes.neurons.hopfield_memory import overlap
from gradsmith.recipes.neurons.truth_tables import TABLES, table


@pytest.mark.parametrize("name", TABLES)
def test_gates_compute_what_their_names_say(name: str) -> None:
    by_name = {
        "NOT": lambda a: not a,
        "AND": lambda a, b: a and b,
        "OR": lambda a, b: a or b,
        "NAND": lambda a, b: not (a and b),
        "NOR": lambda a, b: not (a or b),
        "XOR": lambda a, b: a != b,
        "XNOR": lambda a, b: a == b,
    }
    inputs, outputs = table(name)
    expected = [[float(bool(by_name[name](*row)))] for row in inputs.tolist()]
    assert outputs.tolist() == expected
    assert gates.gate(name)(inputs).tolist() == expected


def test_an_inhibitory_input_stops_a_neuron() -> None:
    neuron = gates.Layer([[1, 1, -1]], [1])
    inputs = gs.tensor(list(itertools.product((0.0, 1.0), repeat=3)))
    expected = [float(not c and a + b >= 1) for a, b, c in inputs.tolist()]
    assert neuron(inputs)[:, 0].tolist() == expected


def test_gates_add() -> None:
    a, b = gs.tensor([0, 3, 6, 7]), gs.tensor([0, 5, 1, 7])
    sums = gates.add(gates.bits_of(a, 3), gates.bits_of(b, 3))
    assert sums.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1]]


def test_perceptron_ends_on_and_and_goes_round_on_xor() -> None:
    course = perceptron.learn(*table("AND"))
    assert course.cycle == 0
    assert course.errors[-1] == 0
    assert (course.layer(table("AND")[0]) >= 0).float().tolist() == table("AND")[1].tolist()
    endless = perceptron.learn(*table("XOR"))
    assert endless.cycle > 0
    # One more round from the last state gives the same states.
    round_ = 4 * endless.cycle
    assert endless.states[-1] == endless.states[-1 - round_]


def test_bound_of_corrections() -> None:
    # AND: the longest input is (1, 1, 1), the margin of (1, 1, -1.5) is 0.5 / sqrt(4.25).
    bound = perceptron.most_corrections(*table("AND"), perceptron.SEPARATORS["AND"])
    assert bound == pytest.approx(3 * 4.25 / 0.25)


def test_spread_samples_are_far_apart() -> None:
    x = gs.tensor([[0.0], [0.1], [5.0], [5.1], [-4.0]])
    assert sorted(competition.spread_samples(x, 3)[:, 0].tolist()) == pytest.approx([-4, 0.1, 5.1])


def test_purity_counts_the_commonest_class_of_each_unit() -> None:
    winners = gs.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert purity(winners, gs.tensor([0, 0, 1, 1, 1])) == pytest.approx(4 / 5)


def test_widths_are_mean_distances_to_two_neighbours() -> None:
    widths = rbf_network.neighbour_widths(gs.tensor([[0.0], [1.0], [3.0], [10.0]]))
    np.testing.assert_allclose(widths.numpy(), [2, 1.5, 2.5, 8], rtol=1e-5)


def test_output_weights_solve_the_normal_equations() -> None:
    x = gs.randn(30, 2)
    target = gs.randn(30, 1)
    model = rbf_network.network(gs.randn(4, 2), gs.ones(4))
    rbf_network.solve_output(model, x, target)
    residual = target - model(x)
    hidden = model[0](x)
    np.testing.assert_allclose((hidden.T @ residual).detach().numpy(), 0, atol=1e-4)
    assert residual.sum().item() == pytest.approx(0, abs=1e-4)


def test_overlap() -> None:
    patterns = gs.tensor([[1.0, -1.0, 1.0, 1.0]])
    assert overlap(patterns, patterns) == 1
    assert overlap(gs.tensor([[1.0, 1.0, 1.0, 1.0]]), patterns) == 0.5


class TestHopfield:
    def test_weights_of_one_pattern(self) -> None:
        memory = gs.models.hopfield(3)
        memory.store(gs.tensor([[1.0, -1.0, 1.0]]))
        expected = np.array([[0, -1, 1], [-1, 0, -1], [1, -1, 0]]) / 3
        np.testing.assert_allclose(memory.weight.numpy(), expected, rtol=1e-6)

    def test_completes_and_its_energy_falls(self) -> None:
        pattern = gs.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]])
        memory = gs.models.hopfield(6)
        memory.store(pattern)
        start = gs.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, 1.0]])
        found = memory(start)
        assert found.tolist() == pattern.tolist()
        assert start.tolist()[0][-1] == 1
        # s W s / 2 with W = p p' / 6 - I / 6: (6^2 - 6) / 12.
        assert memory.energy(found).item() == pytest.approx(-2.5)
        assert memory.energy(start).item() == pytest.approx(-(16 - 6) / 12)

    def test_projection_holds_what_hebb_loses(self) -> None:
        patterns = gs.tensor(
            [[1.0, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, -1], [1, 1, 1, 1, 1, 1, -1, 1]]
        )
        memory = gs.models.hopfield(8)
        memory.store(patterns)
        assert memory(patterns).tolist() != patterns.tolist()
        memory.store(patterns, "projection")
        weight = np.linalg.pinv(patterns.numpy()) @ patterns.numpy()
        np.fill_diagonal(weight, 0)
        np.testing.assert_allclose(memory.weight.numpy(), weight, atol=1e-5)

    def test_refusals(self) -> None:
        with pytest.raises(ValueError, match="units is 0"):
            gs.models.hopfield(0)
        memory = gs.models.hopfield(3)
        with pytest.raises(ValueError, match="rule is 'oja'"):
            memory.store(gs.ones(1, 3), "oja")
        with pytest.raises(ValueError, match=r"shape \(1, 4\), expected \(P, 3\)"):
            memory.store(gs.ones(1, 4))


class TestSelfOrganizingMap:
    def chart(self) -> gs.models.SelfOrganizingMap:
        chart = gs.models.self_organizing_map(1, 1, 3)
        return competition.start_at(chart, gs.tensor([[0.0], [1.0], [2.0]]))

    def test_neighbours_move_less(self) -> None:
        chart = self.chart()
        chart.update(gs.tensor([3.0]), lr=0.5, radius=1.0)
        shares = np.exp([-2.0, -0.5, 0.0])
        expected = np.array([0.0, 1, 2]) + 0.5 * shares * (3 - np.array([0.0, 1, 2]))
        np.testing.assert_allclose(chart.weight.numpy()[:, 0], expected, rtol=1e-6)

    def test_a_batch_goes_to_its_weighted_mean(self) -> None:
        chart = self.chart()
        chart.update(gs.tensor([[2.0], [3.0], [4.0]]), lr=1.0, radius=1e-3)
        assert chart.weight[:, 0].tolist() == [0, 1, 3]

    def test_errors(self) -> None:
        chart = self.chart()
        x = gs.tensor([[0.25], [2.5]])
        assert chart.quantization_error(x) == pytest.approx(0.375)
        assert chart.topographic_error(x) == 0
        competition.start_at(chart, gs.tensor([[0.0], [4.0], [1.0]]))
        assert chart.topographic_error(x) == 0.5

    def test_places_and_winners(self) -> None:
        chart = gs.models.self_organizing_map(2, 2, 3)
        assert chart.places.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
        assert chart(chart.weight).argmax(1).tolist() == list(range(6))
        assert isinstance(chart, nn.Competitive)
