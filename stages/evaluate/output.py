"""Write the results of the evaluation: metric files, classification reports, confusion matrices and figures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from stages.evaluate.figures import confusion_figure, learning_curves_figure, tradeoff_figure
from stages.evaluate.intervals import Bootstrap
from stages.evaluate.results import Predicted, method_metrics
from stages.evaluate.tables import confusion_text, report_text, summary_text
from stages.presentation.figures import save_figure
from stages.presentation.titles import METHOD_LABELS
from stages.project.files import write_csv, write_json, write_text
from stages.project.paths import CONFUSION, METRICS, PLOTS, REPORTS

_TRADEOFF = ("trainable_parameters", "f1", "f1_low", "f1_high")


def write_evaluation(
    test: Predicted,
    transfer: Mapping[str, Predicted],
    class_names: Sequence[str],
    bootstrap: Bootstrap,
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
    metrics, shown = {}, []
    for method, predictions in test.by_method.items():
        metrics[method] = method_metrics(
            method, test, transfer, len(class_names), bootstrap, training[method], checkpoint_bytes[method]
        )
        write_json(METRICS / f"{method}.json", metrics[method])
        write_text(REPORTS / f"{method}.txt", report_text(method, test.labels, predictions, class_names))
        shown.append(_write_confusion(method, test.labels, predictions, class_names))
    rows = [[method, *(m[key] for key in _TRADEOFF)] for method, m in metrics.items()]
    write_csv(PLOTS / "tradeoff.csv", ["method", *_TRADEOFF], rows)
    save_figure(tradeoff_figure(metrics, bootstrap.confidence), PLOTS / "tradeoff.png")
    best_epochs = {method: m["best_epoch"] for method, m in metrics.items()}
    save_figure(learning_curves_figure(curves, best_epochs), PLOTS / "learning_curves.png")
    return "\n\n".join([*shown, summary_text(metrics, bootstrap.confidence)])


def _write_confusion(method: str, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str:
    """Write the confusion matrix as a figure and as one row per text, which DVC counts itself; return it as text."""
    pairs = zip(labels, predictions, strict=True)
    named = ((class_names[actual], class_names[predicted]) for actual, predicted in pairs)
    write_csv(CONFUSION / f"{method}.csv", ["actual", "predicted"], named)
    matrix = confusion_matrix(labels, predictions, labels=np.arange(len(class_names)))
    title = f"{METHOD_LABELS[method]} on the test set"
    save_figure(confusion_figure(matrix, class_names, title), CONFUSION / f"{method}.png")
    return f"{title}\n{confusion_text(matrix, class_names)}"
