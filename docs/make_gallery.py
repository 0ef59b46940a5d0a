# SPDX-License-Identifier: Apache-2.0
"""Makes docs/gallery: full runs of the recipes, their pictures made small, one page per group.

python docs/make_gallery.py                          all recipes; folders in build/gallery
python docs/make_gallery.py --runs DIR lenet5 vae    two of them, run folders in DIR
python docs/make_gallery.py --collect                run nothing: take what folders hold

A folder with a finished full run of the recipe as it is now is taken as it stands. Exits with 1 if
a recipe has no result, a figure was missed, or a result is of an earlier state of its recipe.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gallery_pages import missed, pages
from thumbnails import thumbnail

from gradsmith.recipes.catalogue import RECIPES, Entry, find
from gradsmith.recipes.run import STATE
from gradsmith.recipes.sources import fingerprint

GALLERY = Path(__file__).resolve().parent / "gallery"
RESULTS, PICTURES = GALLERY / "results.json", GALLERY / "pictures"
PICTURES_PER_RECIPE = 2
LAST_CHOICE = ["confusion", "curves"]  # every training has them
KEPT = ("figures", "seconds", "machine", "source")


def full_run(entry: Entry, folder: Path) -> dict[str, Any] | None:
    """Return what a folder says of a finished full run of the recipe, None if it holds none."""
    try:
        state = json.loads((folder / STATE).read_text())
    except (OSError, ValueError):
        return None
    wanted = {"recipe": entry.name, "epochs": None, "seed": 0, "device": "cpu", "quick": False}
    wanted["options"] = entry.load()[1]
    settings = state.get("settings", {})
    same = all(settings.get(name) == value for name, value in wanted.items())
    return state if same and state["finished"] and "source" in state else None


def is_current(entry: Entry, state: dict[str, Any] | None) -> bool:
    """Return whether a run or a result is there and is one of the recipe as it is now."""
    return state is not None and state["source"] == fingerprint(entry.module)


def run(entry: Entry, folder: Path) -> None:
    """Make a full run."""
    print(f"running {entry.name}", flush=True)
    command = [sys.executable, "-m", "gradsmith", "run", entry.name, "--out", str(folder)]
    subprocess.run(command, env={**os.environ, "MPLBACKEND": "Agg"}, check=False)


def result(name: str, state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the gallery keeps of a run, and make its pictures small."""
    chosen = sorted(state["pictures"], key=_rank)[:PICTURES_PER_RECIPE]
    pictures = [
        {
            "file": thumbnail(folder / each["file"], PICTURES / f"{name}-{number}").name,
            "caption": each["caption"] or Path(each["file"]).stem,
        }
        for number, each in enumerate(chosen, 1)
    ]
    kept = {key: state[key] for key in KEPT}
    reached = all(figure["reached"] for figure in state["figures"])
    return {"reached": reached, "seed": state["settings"]["seed"], **kept, "pictures": pictures}


def _rank(picture: dict[str, str]) -> int:
    stem = Path(picture["file"]).stem
    return LAST_CHOICE.index(stem) + 1 if stem in LAST_CHOICE else 0


def write(results: dict[str, Any]) -> None:
    """Write results and pages, and remove pictures that no page shows."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for name, text in pages(results).items():
        (GALLERY / name).write_text(text)
    shown = {each["file"] for result in results.values() for each in result["pictures"]}
    for path in PICTURES.iterdir():
        if path.name not in shown:
            path.unlink()


def problems(results: dict[str, Any]) -> list[str]:
    """Return what is wrong with the results, in words."""
    found = []
    for entry in RECIPES:
        if entry.name not in results:
            found.append(f"{entry.name}: has no result")
        elif not is_current(entry, results[entry.name]):
            found.append(f"{entry.name}: the result is of an earlier state of the recipe")
    return found + missed(results)


def main() -> int:
    """Run what has to be run and write the gallery; return the exit status."""
    parser = argparse.ArgumentParser(description="make the gallery of the documentation")
    parser.add_argument("names", nargs="*", help="recipes (all)")
    parser.add_argument("--runs", type=Path, default=Path("build/gallery"), help="run folders")
    parser.add_argument("--collect", action="store_true", help="run nothing")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for entry in [find(name) for name in options.names] or RECIPES:
        folder = options.runs / entry.name
        if not is_current(entry, full_run(entry, folder)) and not options.collect:
            run(entry, folder)
        state = full_run(entry, folder)
        if is_current(entry, state) or (state and not is_current(entry, kept.get(entry.name))):
            kept[entry.name] = result(entry.name, state, folder)
    results = {entry.name: kept[entry.name] for entry in RECIPES if entry.name in kept}
    write(results)
    found = problems(results)
    print("\n".join(found) or "every expected figure was reached")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
