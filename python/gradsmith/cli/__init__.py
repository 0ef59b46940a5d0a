# SPDX-License-Identifier: Apache-2.0
"""The command line: ``gradsmith demo | list | run RECIPE | show DIR | info | summary MODEL |
inspect FILE | playground``.

Results go to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from gradsmith.cli import recipes
from gradsmith.cli.kinds import count, seed_number

_EXAMPLES = """examples:
  gradsmith demo --epochs 18 --seed 1   train LeNet-5 on scanned digits
  gradsmith list                        show the recipes by group
  gradsmith run lenet5 --quick          train one, with figures, pictures and a report
  gradsmith show runs/lenet5            open the report of a run
  gradsmith info                        show compiler, instruction set, threads, CUDA
  gradsmith summary lenet5              show the layers of a model
  gradsmith inspect weights.safetensors show names, shapes and sizes in a file
  gradsmith playground                  watch a network learn in the browser
"""


def _demo(options: argparse.Namespace) -> int:
    from gradsmith.recipes import digits_lenet

    epochs = digits_lenet.EPOCHS if options.epochs is None else options.epochs
    verbose = 0 if options.quiet else "auto"
    return digits_lenet.main(epochs, options.seed, options.device, verbose, options.digits)


def _info(options: argparse.Namespace) -> int:
    import gradsmith

    gradsmith.show_config()
    return 0


def _summary(options: argparse.Namespace) -> int:
    from gradsmith import models, train

    size = models.model_input_size(options.model)
    train.summary(models.get_model(options.model), (1, *size))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from gradsmith.cli.inspect_file import describe

    print(describe(options.file))
    return 0


def _playground(options: argparse.Namespace) -> int:
    from gradsmith import viz

    viz.playground(options.port, open_browser=not options.no_browser)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradsmith",
        description="Deep learning on kernels written by hand.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str, example: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  gradsmith {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        return command

    demo = add("demo", _demo, "train LeNet-5 on scanned digits", "demo --epochs 18 --seed 1")
    demo.add_argument("--epochs", type=count, help="passes over the training digits")
    demo.add_argument("--seed", type=seed_number, default=0, help="fixes weights and orders (0)")
    demo.add_argument("--device", default="cpu", help="where to train (cpu)")
    demo.add_argument("--digits", type=count, help="take so many of each split only")
    demo.add_argument("--quiet", action="store_true", help="no progress")
    recipes.add_commands(add)
    add("info", _info, "show compiler, instruction set, threads and CUDA", "info")
    summary = add("summary", _summary, "show the layers of a model", "summary lenet5")
    summary.add_argument("model", metavar="MODEL", help="name of a model")
    inspect = add(
        "inspect",
        _inspect,
        "show names, dtypes and shapes in a safetensors file, without loading it",
        "inspect weights.safetensors",
    )
    inspect.add_argument("file", metavar="FILE", help="a .safetensors file")
    text = "serve a page on this machine where networks learn 2-D problems"
    playground = add("playground", _playground, text, "playground --port 8000")
    playground.add_argument("--port", type=count, default=8000, help="where to listen (8000)")
    playground.add_argument("--no-browser", action="store_true", help="do not open the page")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; argparse exits with 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("gradsmith: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of `gradsmith inspect FILE | head` left; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, RuntimeError, OSError, MemoryError, ImportError) as error:
        print(f"gradsmith: {error}", file=sys.stderr)
        return 1
