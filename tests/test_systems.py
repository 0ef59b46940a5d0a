# SPDX-License-Identifier: Apache-2.0
"""Every system of docs/systems.txt is a recipe or an option of one, and every recipe is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib as mpl
import pytest

from gradsmith import cli
from gradsmith.recipes import catalogue
from tests import coverage

mpl.use("Agg")

RECIPE = re.compile(r"([\w-]+)(?:\[(\w+)=([\w-]+)\])?")
SYSTEMS = coverage.items(coverage.DOCS / "systems.txt")
NAMES = [name for system in SYSTEMS for name in system.provided_by]
OPTIONS = sorted({name for name in NAMES if "[" in name})


def parsed(name: str) -> tuple[str, str | None, str | None]:
    match = RECIPE.fullmatch(name)
    assert match is not None, f"{name} is no name of the list"
    return match[1], match[2], match[3]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: f"{system.section}: {system.name}")
def test_systems_are_recipes_or_options_of_one(system: coverage.Item) -> None:
    recipes = [parsed(name) for name in system.provided_by if not name.startswith("gs.")]
    assert recipes
    for recipe, option, _ in recipes:
        entry = catalogue.find(recipe)
        assert entry.group == system.section
        assert option is None or option in entry.load()[1]
    for name in system.provided_by:
        assert not name.startswith("gs.") or callable(coverage.look_up(name))


def test_every_recipe_is_a_system() -> None:
    listed = {parsed(name)[0] for name in NAMES if not name.startswith("gs.")}
    assert listed == {entry.name for entry in catalogue.RECIPES}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_run_and_other_values_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, option, value = parsed(name)
    default = catalogue.find(recipe).load()[1][str(option)]
    assert str(default).lower() != value, "the recipe does that anyway"
    folder = tmp_path / "run"
    arguments = ["run", recipe, "--quick", "--epochs", "1", "--out", str(folder), "--set"]
    cli.main([*arguments, f"{option}={value}"])
    assert json.loads((folder / "run.json").read_text())["finished"]
    assert cli.main([*arguments, f"{option}={value}!"]) == 1
    assert f"{value}!" in capsys.readouterr().err
