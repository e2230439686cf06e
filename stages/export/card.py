"""The model card of an exported folder: that of its training, with test scores and the code that loads this folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.classifier.saving import CARD
from stages.export.training_card import AS_TRAINED, DATA, LOADING, SCORED, model_index, score_table
from stages.export.usage import fenced, peft_code, plain_code
from stages.presentation.markdown import document, parse_document, plain, table
from stages.project.errors import UserError
from stages.project.files import content_hash, read_json
from stages.project.paths import METRICS, PROVENANCE

MARK = "exported_from"  # the key of the front matter by which an export knows a folder that it may replace
MODULE = "bottleneck_adapter"
FORMS = {
    "full": "This folder loads with transformers alone.",
    "lora": "LoRA's update is folded into the weights, W + (alpha / r) B A, so this folder loads with transformers alone and is "
    "as fast as the base model.",
    "adapter": "A nonlinearity stands inside the adapter, so no weight of the base model can absorb it: transformers alone "
    f"cannot load this folder. It needs PEFT and the adapter's class, which lies here as `{MODULE}.py` (code that you run: "
    "read it first, it is short); the base model's weights lie in `base/`.",
}


@dataclass(frozen=True)
class TestScores:
    """What `evaluate` measured: metrics/{method}.json, level of its intervals, and rows of the test set if they are known."""

    __test__ = False  # no test class, whatever pytest makes of the name
    metrics: dict[str, float]
    confidence: float
    rows: int | None


def read_test_scores(folder: Path) -> TestScores | None:
    """Return the test scores of the model in `folder` (models/{method}), or None if there are none of these very weights.

    metrics/{method}.json does not say of which weights it speaks; metrics/provenance/evaluate.json has the hash of the folder
    that was measured.
    """
    try:
        inputs = read_json(PROVENANCE / "evaluate.json")["inputs"]
        if inputs[folder.as_posix()] != content_hash(folder):
            return None
        metrics, confidence = read_json(METRICS / f"{folder.name}.json"), float(inputs["parameter evaluate.confidence"])
        rows = read_json(METRICS / "data.json").get("test_rows")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return TestScores(metrics, confidence, rows)


def exported_card(folder: Path, test: TestScores | None) -> str:
    """Return the model card for what the checkpoint `folder` (models/{method}) is exported as.

    Raises:
        UserError: the checkpoint has no model card, or another one than the train stages write.
    """
    method = folder.name
    try:
        front, title, sections = parse_document((folder / CARD).read_text(encoding="utf-8"))
        data = front["model-index"][0]["results"][0]["dataset"]["name"]
        if not {DATA, SCORED, LOADING} <= set(sections):
            raise ValueError(f"its sections are {', '.join(sections)}")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"{folder / CARD}: no model card of a training ({type(error).__name__}: {error}); it is written with the weights: "
            f"`dvc repro train_{method}` writes both"
        ) from None
    if method != "adapter":
        front |= {"library_name": "transformers", "base_model_relation": "finetune"}
    front[MARK] = folder.as_posix()
    sections[""] += f" {FORMS[method]}"
    sections[LOADING] = f"From the folder that this one lies in:\n\n{fenced(loading_code(method))}\n\n{AS_TRAINED}"
    if test:
        front["model-index"] = model_index(method, data, "test", test.metrics)
        sections[SCORED] += f"\n\n{test_section(test)}"
    else:
        sections[SCORED] += "\n\nNo scores on the test set: these weights were not measured (`dvc repro evaluate` does it)."
    return document(front, title, sections)


def loading_code(method: str) -> str:
    if method != "adapter":
        return plain_code(method)
    first = f'import sys\n\nsys.path.insert(0, "adapter")\nimport {MODULE}  # makes PEFT know the adapter\n'
    return peft_code("adapter", "adapter/base", first)


def test_section(test: TestScores) -> str:
    """Scores on the test set with the interval of macro F1, and macro F1 on the transfer sets."""
    metrics = test.metrics
    of = f" of {test.rows:,} texts" if test.rows else ""
    text = score_table("the test set", metrics) + (
        f"\n\nThe test set{of} was used once, after training. Macro F1 lies between {metrics['f1_low']:.3f} and "
        f"{metrics['f1_high']:.3f} ({100 * test.confidence:g} % bootstrap interval)."
    )
    transfer = _transfer(metrics)
    if transfer:
        rows = [[plain(name), f"{value:.4f}"] for name, value in transfer.items()]
        text += "\n\nOn other kinds of text, none of which was in training:\n\n" + table(["texts", "macro F1"], rows)
    return text


def _transfer(metrics: Mapping[str, float]) -> dict[str, float]:
    names = (key.removeprefix("transfer_").removesuffix("_f1") for key in metrics if key.startswith("transfer_"))
    return {name: metrics[f"transfer_{name}_f1"] for name in names}
