"""The palette, read off the style sheet and measured: contrast, and what is left of it for the colour blind."""

import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

# Full deficiency: Machado, Oliveira and Fernandes (2009), on linear RGB.
SIGHT = {
    "all colours": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# OKLab: Ottosson (2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
SERIES = [f"c{i}" for i in range(7)]
APART = 0.10  # a fifth of the way from black to mid-grey; five times what is just noticeable


def schemes() -> dict[str, dict[str, str]]:
    """The custom properties of both schemes."""
    text = (files("benchmarks.leaderboard.page") / "assets" / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks[:2])
    return {"light": light, "dark": {**light, **dark}}


def linear(colour: str) -> np.ndarray:
    """[3] linear RGB of #rrggbb."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Ratio of WCAG 2, 1 to 21."""
    light = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(each))) + 0.05 for each in (one, other))
    return light[1] / light[0]


def seen(colour: str, sight: np.ndarray) -> np.ndarray:
    """[3] OKLab of a colour as that sight has it."""
    return TO_LAB @ np.cbrt(TO_CONES @ np.clip(sight @ linear(colour), 0.0, 1.0))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_stand_out_from_their_ground(scheme: str) -> None:
    """4.5 for text, 3 for curves (WCAG 2.2, AA), on the page and on a drawer."""
    colours = schemes()[scheme]
    for ground in ("ground", "raised"):
        for name in ("ink", "soft", "link", "good", "bad"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for name in SERIES:
            assert contrast(colours[name], colours[ground]) >= 3.0, (name, ground)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_series_colours_stay_apart(scheme: str, sight: str) -> None:
    """Any two of the seven, for every kind of sight."""
    colours = schemes()[scheme]
    for one, other in itertools.combinations(SERIES, 2):
        away = np.linalg.norm(seen(colours[one], SIGHT[sight]) - seen(colours[other], SIGHT[sight]))
        assert away >= APART, (one, other, away)


def test_measures_know_the_extremes() -> None:
    """Black on white is 21 to 1; red and green meet in deuteranopia."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    red, green = (seen(colour, SIGHT["deuteranopia"]) for colour in ("#a06000", "#6c7a00"))
    assert (
        np.linalg.norm(red - green) < 0.05 < np.linalg.norm(seen("#a06000", np.eye(3)) - seen("#6c7a00", np.eye(3)))
    )
