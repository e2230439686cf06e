"""Write the results of the evaluation: metric files, classification reports, confusion matrices and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from stages.evaluate.calibration import reliability_bins
from stages.evaluate.class_figures import confusion_figure, f1_by_class_figure
from stages.evaluate.figures import learning_curves_figure, tradeoff_figure
from stages.evaluate.reliability import COLUMNS, reliability_figure
from stages.evaluate.results import Predicted, Setting, baseline_scores, headline, method_details
from stages.evaluate.tables import WIDTH, confusion_text, positive_class_text, report_text, summary_text
from stages.evaluate.warning import warning_text
from stages.presentation.figures import save_figure
from stages.presentation.titles import METHOD_LABELS
from stages.project.files import write_csv, write_json, write_text
from stages.project.paths import CONFUSION, DETAILS, METRICS, PLOTS, REPORTS

_TRADEOFF = ("trainable_parameters", "f1", "f1_low", "f1_high")


def write_evaluation(
    test: Predicted,
    transfer: Mapping[str, Predicted],
    setting: Setting,
    training: Mapping[str, Mapping[str, float]],
    checkpoint_bytes: Mapping[str, int],
    curves: Mapping[str, pd.DataFrame],
) -> str:
    """Write all results of the methods in `test.by_method` and return the text to print.

    Args:
        training: per method, what training recorded (metrics/training/{method}.json).
        checkpoint_bytes: per method, the size of its weights on disk.
        curves: per method, its learning curve with columns epoch, f1 and train_loss.
    """
    details, matrices = {}, []
    for method, predictions in test.by_method.items():
        details[method] = method_details(method, test, transfer, setting, training[method], checkpoint_bytes[method])
        write_json(DETAILS / f"{method}.json", details[method])
        write_json(METRICS / f"{method}.json", headline(details[method]))
        write_text(REPORTS / f"{method}.txt", report_text(method, test.labels, predictions, setting.class_names))
        matrices.append(_write_confusion(method, test.labels, predictions, setting.class_names))
    baselines = {name: baseline_scores(test.labels, baseline, setting) for name, baseline in setting.baselines.items()}
    write_json(METRICS / "baseline.json", baselines)
    _write_figures(details, np.bincount(test.labels, minlength=len(setting.class_names)), setting, curves)
    _write_reliability(test, setting)
    confidence = setting.bootstrap.confidence
    first, last = warning_text(details, baselines, confidence, WIDTH), summary_text(details, baselines, confidence)
    return "\n\n".join(filter(None, [first, *matrices, positive_class_text(details), last]))


def _write_figures(
    details: Mapping[str, Mapping[str, Any]], of_class: np.ndarray, setting: Setting, curves: Mapping[str, pd.DataFrame]
) -> None:
    """Write what compares the methods; `of_class` is the number of test texts of each class, (K,)."""
    rows = [[method, *(d[key] for key in _TRADEOFF)] for method, d in details.items()]
    write_csv(PLOTS / "tradeoff.csv", ["method", *_TRADEOFF], rows)
    save_figure(tradeoff_figure(details, setting.bootstrap.confidence), PLOTS / "tradeoff.png")
    f1 = {method: np.array(list(d["f1_by_class"].values())) for method, d in details.items()}
    save_figure(f1_by_class_figure(f1, of_class, setting.class_names), PLOTS / "f1_by_class.png")
    best_epochs = {method: d["best_epoch"] for method, d in details.items()}
    save_figure(learning_curves_figure(curves, best_epochs), PLOTS / "learning_curves.png")


def _write_reliability(test: Predicted, setting: Setting) -> None:
    """Write accuracy by confidence, as a table with a row per method and bin that has texts, and as a picture."""
    count = setting.calibration_bins
    bins = {
        method: reliability_bins(test.labels, p, count, setting.bootstrap.confidence) for method, p in test.probabilities.items()
    }
    rows = [[method, *(round(value, 6) for value in b)] for method, found in bins.items() for b in found]
    write_csv(PLOTS / "reliability.csv", COLUMNS, rows)
    save_figure(reliability_figure(bins, 1 / count), PLOTS / "reliability.png")


def _write_confusion(method: str, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str:
    """Write the confusion matrix as a figure and as one row per text, which DVC counts itself; return it as text."""
    pairs = zip(labels, predictions, strict=True)
    named = ((class_names[actual], class_names[predicted]) for actual, predicted in pairs)
    write_csv(CONFUSION / f"{method}.csv", ["actual", "predicted"], named)
    matrix = confusion_matrix(labels, predictions, labels=np.arange(len(class_names)))
    title = f"{METHOD_LABELS[method]} on the test set"
    save_figure(confusion_figure(matrix, class_names, title), CONFUSION / f"{method}.png")
    return f"{title}\n{confusion_text(matrix, class_names)}"
