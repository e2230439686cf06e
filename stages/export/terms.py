"""What base model and data are called in a model card, and on which terms they may be used."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.presentation.markdown import front_matter, plain
from stages.project.schema import Params

EMBEDDED_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
EMBEDDED_DATA = "Film-review sentences rated by human judges (Hutto and Gilbert, VADER, ICWSM 2014)"


@dataclass(frozen=True)
class BaseFacts:
    """What the model card beside a base model's weights says; None where it says nothing.

    Attributes:
        license: identifier, or "other" with `license_extra`.
        license_extra: license_name and license_link, as far as they are there.
    """

    license: str | None = None
    license_extra: tuple[tuple[str, str], ...] = ()


def read_front_matter(card: Path) -> dict[str, Any]:
    """Return the front matter of a model card, {} if there is no card or none that can be read.

    `ModelCard.load` would warn of a card without one and raises many kinds of errors for a damaged one.
    """
    try:
        return front_matter(card.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return {}


def read_base_facts(folder: Path) -> BaseFacts:
    """Return the licence from the front matter of README.md in the base model's folder, if it is there."""
    front = read_front_matter(folder / "README.md")
    license = front.get("license")
    if not (isinstance(license, str) and re.fullmatch(r"[\w.+-]+", license)):
        license = None
    extra = ((key, front[key]) for key in ("license_name", "license_link") if isinstance(front.get(key), str))
    return BaseFacts(license, tuple(extra) if license == "other" else ())


def base_name(params: Params) -> str:
    """The base model's name on the Hub; of a folder of the user's its last part only, since the rest names a machine."""
    model = params.model
    local = Path(model.local.path).name or "local-model"
    return {"package": EMBEDDED_MODEL, "hub": model.hub.name, "local": local}[model.source]


def data_name(params: Params) -> str:
    data = params.data
    own = Path(data.csv.path).name or "own-texts"
    return {"package": "vader-movie-reviews", "hub": data.hub.name, "csv": own}[data.source]


def language(params: Params) -> str | None:
    """The language of the texts, which only the embedded data tell: that of the base model is not theirs."""
    return "en" if params.data.source == "package" else None


def data_source(params: Params) -> str:
    data = params.data
    if data.source == "package":
        return f"{EMBEDDED_DATA}; those rated nearer to 0 than {data.neutral_margin:g} are left out."
    if data.source == "hub":
        return f"The data set {plain(data.hub.name)} of the Hugging Face Hub, revision {data.hub.revision}."
    return f"The file or folder {plain(data_name(params))}, provided by whoever trained the model."


def licence(params: Params, base: BaseFacts) -> str:
    """Terms of base model and data, both of which bind whoever passes the weights on."""
    model = (
        f"`{base.license}`, as its own card says"
        if base.license
        else "not known here: before you pass these weights on, check the licence where the base model came from"
    )
    data = {
        "package": "MIT; cite Hutto and Gilbert (2014)",
        "hub": "see the data set's card on the Hub, and whether it allows what you intend",
        "csv": "not known here: check who wrote the texts and what they agreed to",
    }
    return f"- base model {plain(base_name(params))}: {model}\n- data: {data[params.data.source]}"
