# SPDX-License-Identifier: Apache-2.0
"""Reports looked at by a headless Chromium, Debian's, driven by selenium."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What a page fails to show: pictures without pixels, curves without an extent.
_UNSEEN = """
const empty = image => !image.complete || image.naturalWidth === 0;
const flat = line => { const b = line.getBBox(); return b.width === 0; };
return [...document.images].filter(empty).map(image => "picture " + image.alt).concat(
  [...document.querySelectorAll("svg")].filter(
    svg => svg.getBoundingClientRect().width === 0 ||
           ![...svg.querySelectorAll("polyline")].some(line => !flat(line))
  ).map(svg => "curve " + svg.getAttribute("aria-label")));
"""


def missing() -> str:
    """Return what the tests with a browser lack on this machine; an empty text if nothing."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed (pip install selenium)"
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {lacking[0]} (apt-get install chromium chromium-driver)" if lacking else ""


@contextmanager
def opened() -> Iterator[Any]:
    """Give a browser without a window, and close it at the end."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


def faults(driver: Any, page: Path) -> list[str]:
    """Return what is wrong with a page: messages of the console, and what cannot be seen."""
    driver.get(page.resolve().as_uri())
    told = [entry["message"] for entry in driver.get_log("browser")]
    return told + list(driver.execute_script(_UNSEEN))
