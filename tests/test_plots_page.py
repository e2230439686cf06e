"""What `dvc plots show` draws: no plot is empty, each method has its colour, and the page needs nothing from elsewhere."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import matplotlib.image
import pytest
import vl_convert
import yaml
from dvc.config import Config
from dvc.render.match import match_defs_renderers
from dvc.repo import Repo

from stages.presentation.figures import METHOD_COLOURS, METHOD_MARKERS
from stages.project.schema import METHODS
from tests.imports import ROOT

PAGE = (ROOT / ".dvc/page.html").read_text()
TEMPLATES = sorted((ROOT / ".dvc/plots").glob("*.json"))
PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
DEFINED = {name: plot for entry in PLOTS if isinstance(entry, dict) for name, plot in entry.items()}
PICTURES = [entry for entry in PLOTS if isinstance(entry, str)]
SCRIPTS = {  # SHA-256 of build/NAME.min.js in the npm packages, without the last line break
    "vega": "ddeca357133f5ae39f7d4adfd610457da4843a86d4f1e458ad6e43588569ff43",
    "vega-lite": "4a81ce6586c93b9ecc924372b062fa36cc6b6b79f2b3e634b543169977073755",
    "vega-embed": "de5c050e4b34c8d6d391a5b33cd14c164254fa88e1b79b14a2c84a7e3991ef15",
}
MARKERS = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up"}  # matplotlib's names and Vega's
DVC = str(Path(sys.executable).with_name("dvc"))
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def rows(path: str) -> list[dict[str, str]]:
    with open(ROOT / path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def specifications() -> dict[str, dict]:
    """What DVC makes of the templates and the committed files: the Vega-Lite specification of each plot."""
    with Repo(str(ROOT)) as repo:
        found = match_defs_renderers(repo.plots.show(), templates_dir=repo.plots.templates_dir)
    found = [one for one in found if one.renderer.TYPE == "vega"]
    assert all(not one.source_errors and not one.definition_errors for one in found)
    return {one.renderer.name: one.renderer.get_filled_template() for one in found}


def draw(specification: dict) -> str:
    return vl_convert.vegalite_to_svg(specification, vl_version="5.21")


def count(svg: str, mark: str) -> int:
    return svg.count(f'aria-roledescription="{mark}"')


def texts(svg: str) -> list[str]:
    """The lines of text in a picture, in the order in which they are drawn."""
    return re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", svg)


@pytest.mark.parametrize("name", ["learning_curves_f1", "learning_curves_loss"])
def test_learning_curves_have_a_point_per_epoch_and_a_ring_per_method(specifications, name):
    svg = draw(specifications[name])
    assert count(svg, "line mark") == len(METHODS)
    assert count(svg, "point") == sum(len(rows(f"plots/learning_curves/{method}.csv")) for method in METHODS) + len(METHODS)


def test_confusion_matrices_say_how_many_texts_and_what_share(specifications):
    """Share: of the texts of the actual class, as in the PNG files."""
    svg = draw(specifications["confusion"])
    for method in METHODS:
        table = rows(f"plots/confusion/{method}.csv")
        actual = Counter(row["actual"] for row in table)
        cells = Counter((row["actual"], row["predicted"]) for row in table)
        assert len(actual) <= 7  # with more the cells have no room for shares
        for (of, _), number in cells.items():
            assert {f"{number:,}", f"{100 * number / actual[of]:.1f} %"} <= set(texts(svg))
    assert count(svg, "rect mark") == len(METHODS) * len(actual) ** 2


def test_a_class_that_is_never_predicted_keeps_its_column(specifications):
    specification = with_values(
        specifications["confusion"],
        [{"actual": name, "predicted": "no", "filename": "full.csv", "rev": "workspace"} for name in ("no", "no", "yes")],
    )
    shares = Counter(line for line in texts(draw(specification)) if line.endswith(" %"))
    assert shares == {"100.0 %": 2, "0.0 %": 2}


def with_values(specification: dict, values: list[dict]) -> dict:
    return {**specification, "data": {"values": values}}


def test_quality_has_an_interval_per_method_on_a_logarithmic_axis(specifications):
    svg = draw(specifications["tradeoff"])
    assert count(svg, "point") == count(svg, "errorbar") == len(METHODS)
    assert "for a log scale" in svg


def test_latency_has_an_interval_per_cell_but_those_of_full(specifications):
    cells = [row for row in rows("plots/latency.csv") if row["method"] != "full"]
    svg = draw(specifications["latency"])
    assert count(svg, "point") == len(cells)
    assert count(svg, "errorbar") == sum(bool(row["ratio_low"] and row["ratio_high"]) for row in cells)
    assert {f"batch size {row['batch_size']}" for row in cells} <= set(texts(svg))


@pytest.mark.parametrize("name", DEFINED)
def test_an_empty_plot_would_be_seen(specifications, name):
    """The counts above are 0 where there is nothing to draw, and the definitions name nothing that is not drawn."""
    svg = draw(with_values(specifications[name], []))
    assert [count(svg, mark) for mark in ("point", "rect mark", "line mark", "errorbar")] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", DEFINED)
def test_two_experiments_are_drawn_apart(specifications, name):
    """`dvc plots diff`: panels with the names of both, or solid and dashed lines with a key."""
    values = specifications[name]["data"]["values"]
    both = [{**row, "rev": revision} for revision in ("workspace", "HEAD") for row in values]
    svg = draw(with_values(specifications[name], both))
    drawn = texts(svg)
    assert drawn.index("workspace") < drawn.index("HEAD")
    one = draw(specifications[name])
    for mark in ("point", "rect mark", "line mark", "errorbar"):
        assert count(svg, mark) == 2 * count(one, mark)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_methods_look_as_in_the_png_files(template):
    scales = re.findall(r'"domain": (\["[^]]*\]),\s+"range": (\[[^]]*\])', re.sub(r"\s+", " ", template.read_text()))
    for domain, values in scales:
        for method, value in zip(json.loads(domain), json.loads(values), strict=True):
            assert value in (METHOD_COLOURS[method], MARKERS[METHOD_MARKERS[method]])
    assert scales or template.stem == "confusion_matrices"


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_on_the_page_is_there(picture):
    assert matplotlib.image.imread(ROOT / picture).std() > 0  # not one colour only


def test_every_template_is_used():
    assert {plot["template"] for plot in DEFINED.values()} == {template.stem for template in TEMPLATES}


def test_the_page_loads_nothing_from_elsewhere():
    assert Config(str(ROOT / ".dvc"))["plots"]["html_template"] == "page.html"
    scripts = dict(re.findall(r'<script id="([\w-]+)">(.*?)\n</script>', PAGE, re.DOTALL))
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in scripts.items()} == SCRIPTS
    own = re.sub(r'<script id="[\w-]+">.*?</script>', "", PAGE, flags=re.DOTALL)
    assert re.findall(r"src=|href=|@import|url\(|\{scripts\}", own) == []
    assert own.count("{plot_divs}") == 1


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no browser in PATH: Chromium or Chrome")
def test_a_browser_without_network_draws_every_plot(tmp_path, specifications):
    subprocess.run([DVC, "plots", "show", "--out", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", f"--user-data-dir={tmp_path}/profile"]
    blocked = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [BROWSER, *options, blocked, "--dump-dom", (tmp_path / "index.html").as_uri()]
    page = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert page.split("<body", 1)[1].count("<img") == len(PICTURES)
    divs = dict(re.findall(r'<div id="(\w+)"([^>]*)>', page.split("<body", 1)[1]))
    assert set(DEFINED) <= set(divs)
    assert not [name for name in divs if name.endswith(("_csv", "_json"))]  # drawn as part of the others
    assert "failed" not in "".join(divs.values())
    for mark in ("point", "rect mark", "line mark", "errorbar"):
        assert count(page, mark) == sum(count(draw(specifications[name]), mark) for name in DEFINED)
