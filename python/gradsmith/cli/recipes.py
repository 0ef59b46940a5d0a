# SPDX-License-Identifier: Apache-2.0
"""The commands around recipes: ``gradsmith list``, ``run`` and ``show``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradsmith.cli.kinds import count, seed_number

Add = Callable[..., argparse.ArgumentParser]


def _list(options: argparse.Namespace) -> int:
    from gradsmith.recipes.catalogue import RECIPES

    width = max(len(entry.name) for entry in RECIPES)
    group = ""
    for entry in RECIPES:
        if entry.group != group:
            print(entry.group if not group else f"\n{entry.group}")
            group = entry.group
        print(f"  {entry.name:<{width}}  {entry.summary}")
    return 0


def _typed(name: str, text: str, default: Any) -> Any:
    """Return an option's text as the type of its default."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"option {name} is {text!r}, expected true or false")
        return text.lower() == "true"
    try:
        return type(default)(text)
    except ValueError:
        kind = type(default).__name__
        raise ValueError(f"option {name} is {text!r}, expected a {kind}") from None


def _own_options(recipe: str, given: list[str], known: dict[str, Any]) -> dict[str, Any]:
    chosen = dict(known)
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or name not in known:
            raise ValueError(
                f"recipe {recipe!r} has no option {each!r}, expected NAME=VALUE with one of "
                f"{', '.join(known) or 'none'}"
            )
        chosen[name] = _typed(name, text, known[name])
    return chosen


def _run(options: argparse.Namespace) -> int:
    from gradsmith.recipes.catalogue import find
    from gradsmith.recipes.run import Run, Settings, load_settings
    from gradsmith.recipes.sources import fingerprint
    from gradsmith.viz import canvas

    canvas.pyplot()  # every recipe draws: better to hear that it is missing before the training
    if options.resume is not None:
        folder = Path(options.resume)
        settings = load_settings(folder)
        if options.recipe not in (None, settings.recipe):
            raise ValueError(f"{folder} holds a run of {settings.recipe!r}, not {options.recipe!r}")
        settings = dataclasses.replace(settings, epochs=options.epochs or settings.epochs)
        entry = find(settings.recipe)
        function, known = entry.load()
        if settings.options.keys() != known.keys():
            raise ValueError(f"{folder} holds a run of another version of {settings.recipe!r}")
    else:
        if options.recipe is None:
            raise ValueError("expected the name of a recipe, or --resume DIR")
        entry = find(options.recipe)
        function, known = entry.load()
        if options.data == "standard" and entry.standard is None:
            raise ValueError(f"recipe {options.recipe!r} knows no standard set; leave --data out")
        folder = Path(options.out or f"runs/{options.recipe}")
        _check_free(folder)
        settings = Settings(
            **{name: getattr(options, name) for name in ("recipe", "epochs", "seed", "device")},
            **{name: getattr(options, name) for name in ("data", "quick")},
            options=_own_options(options.recipe, options.set, known),
        )
    about = sys.modules[function.__module__].__doc__ or ""
    told = {"source": fingerprint(entry.module), "about": about}
    return _finish(function, Run(settings, folder, options.resume is not None, **told))


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds something other than a run."""
    from gradsmith.recipes.run import load_settings

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        load_settings(folder)


def _finish(function: Callable[[Any], None], run: Any) -> int:
    run.write(finished=False)
    try:
        function(run)
    except KeyboardInterrupt:
        run.write(finished=False)
        print(f"stopped; gradsmith run --resume {run.folder} goes on", file=sys.stderr)
        raise
    run.write(finished=True)
    print(f"report: {run.folder / 'report.html'}")
    if run.missed:
        print(f"missed: {', '.join(run.missed)}", file=sys.stderr)
    return 1 if run.missed else 0


def _show(options: argparse.Namespace) -> int:
    from gradsmith.recipes.run import REPORT, load_settings

    folder = Path(options.folder)
    load_settings(folder)
    if not (folder / REPORT).is_file():
        raise ValueError(f"{folder} holds a run without a {REPORT}")
    address = (folder / REPORT).resolve().as_uri()
    print(address)
    if not options.no_browser:
        webbrowser.open(address)
    return 0


def add_commands(add: Add) -> None:
    """Add the commands to the parser."""
    add("list", _list, "show the recipes by group", "list")
    text = "train or run a system, with figures, pictures and a report"
    run = add("run", _run, text, "run lenet5 --quick")
    run.add_argument("recipe", metavar="RECIPE", nargs="?", help="a name of gradsmith list")
    run.add_argument("--epochs", type=count, help="instead of the recipe's own number")
    run.add_argument("--seed", type=seed_number, default=0, help="fixes all randomness (0)")
    run.add_argument("--device", default="cpu", help="where to train (cpu)")
    choices = ["auto", "standard", "offline"]
    run.add_argument("--data", choices=choices, default="auto", help="which data to take (auto)")
    run.add_argument("--quick", action="store_true", help="a short run with looser figures")
    run.add_argument("--out", metavar="DIR", help="where to write (runs/RECIPE)")
    run.add_argument("--resume", metavar="DIR", help="go on with the run of this folder")
    run.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="an option of the recipe"
    )
    show = add("show", _show, "open the report of a run", "show runs/lenet5")
    show.add_argument("folder", metavar="DIR", help="the folder of a run")
    show.add_argument("--no-browser", action="store_true", help="print the address only")
