# SPDX-License-Identifier: Apache-2.0
"""Rosenblatt's perceptron learns AND, OR and NOT, and cannot learn XOR.

After each sample ``w += (t - y) x`` with y = 1 where ``w x + b >= 0``, else 0 (Rosenblatt 1958). If
a unit vector separates the classes by a margin g and inputs are no longer than R, there are at most
``(R / g)^2`` corrections (Novikoff 1962). From weights of 0 with a rate of 1 all weights stay whole
numbers, so that a run either ends or comes back to weights that it had before; as nothing is
random, it then goes round for ever. That is what happens on XOR, and it proves that no number of
epochs will do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gradsmith import nn
from gradsmith.nn import init
from gradsmith.nn.utils import parameters_to_vector
from gradsmith.ops.creation import ones, tensor
from gradsmith.ops.joining import cat
from gradsmith.optim import PerceptronRule
from gradsmith.recipes.neurons.truth_tables import plot_gates, table
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

GATES = ("AND", "OR", "NOT", "XOR")
# Weights and bias that separate the classes, for the bound.
SEPARATORS = {"AND": (1.0, 1.0, -1.5), "OR": (1.0, 1.0, -0.5), "NOT": (-1.0, 0.5)}


@dataclass
class Course:
    """What happened: weights and bias after each sample, errors of each epoch.

    ``cycle`` is the number of epochs after which the weights repeat, 0 for a run that ended.
    """

    layer: nn.Linear
    states: list[tuple[float, ...]] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    cycle: int = 0


def learn(inputs: Tensor, outputs: Tensor) -> Course:
    """Train until an epoch has no error, or begins with weights that an earlier one began with."""
    layer = init.initialize(nn.Linear(inputs.shape[1], 1), {"*": "zeros"})
    course = Course(layer)
    rule = PerceptronRule(layer.parameters())

    def state() -> tuple[float, ...]:
        return tuple(parameters_to_vector(layer.parameters()).tolist())

    def correct(row: int) -> int:
        part = slice(row, row + 1)
        errors: int = rule.step(lambda: (layer(inputs[part]), outputs[part]))
        course.states.append(state())
        return errors

    starts = [state()]
    while True:
        course.errors.append(sum(correct(row) for row in range(len(inputs))))
        if course.errors[-1] == 0:
            return course
        if state() in starts:
            course.cycle = len(starts) - starts.index(state())
            return course
        starts.append(state())


def most_corrections(inputs: Tensor, outputs: Tensor, separator: tuple[float, ...]) -> float:
    """Return Novikoff's bound ``(R / g)^2`` for weights and bias that separate the classes."""
    extended = cat([inputs, ones(len(inputs), 1)], 1)
    direction = tensor(separator)
    signs = outputs[:, 0] * 2 - 1
    margin = (signs * (extended @ direction)).min() / direction.norm()
    return float(extended.square().sum(1).max() / margin**2)


def _plot_errors(courses: dict[str, Course]) -> object:
    ax = canvas.new_axes()
    for gate, course in courses.items():
        ax.plot(range(1, len(course.errors) + 1), course.errors, marker="o", label=gate)
    ax.set_xlabel("epoch")
    ax.set_ylabel("errors")
    ax.legend()
    return ax.figure


def main(run: Run) -> None:
    """Learn the four gates."""
    courses = {gate: learn(*table(gate)) for gate in GATES}
    for gate, separator in SEPARATORS.items():
        course, bound = courses[gate], most_corrections(*table(gate), separator)
        run.figure(f"{gate}: errors at the end", course.errors[-1], at_most=0)
        run.figure(f"{gate}: corrections", sum(course.errors), at_most=bound)
    endless = courses["XOR"]
    run.figure("XOR: epochs until weights repeat", endless.cycle, at_least=1)
    run.figure("XOR: fewest errors of an epoch", min(endless.errors), at_least=1)
    round_ = endless.states[-4 * endless.cycle :]
    names = ["first weight", "second weight", "bias"]
    run.table("XOR: the weights go round", names, [[*each] for each in round_])
    run.picture("errors", _plot_errors(courses), "XOR is never without errors.")
    learnt = {gate: (gate, courses[gate].layer) for gate in ("AND", "OR")}
    run.picture("learnt", plot_gates(learnt), "A line separates the classes.")
    turns = {f"step {number + 1}": ("XOR", _neuron(each)) for number, each in enumerate(round_[:4])}
    run.picture("xor", plot_gates(turns), "Each correction of XOR undoes another one.")
    run.model(courses["AND"].layer, (1, 2))


def _neuron(state: tuple[float, ...]) -> nn.Linear:
    layer = nn.Linear(len(state) - 1, 1)
    layer.load_state_dict({"weight": tensor([state[:-1]]), "bias": tensor(state[-1:])})
    return layer
