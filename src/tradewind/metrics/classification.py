"""How good the probabilities of three classes are: each measure from its formula, lower layers only."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CLASSES = np.array([-1, 0, 1])
CLASS_NAMES = {-1: "down", 0: "flat", 1: "up"}
FLOOR = 1e-15  # a probability of 0 for what happened would cost infinitely much

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


def accuracy(label: Labels, probability: Floats) -> float:
    """Share of rows whose likeliest class came true. `probability` is (rows, 3): down, flat, up."""
    return float(np.mean(CLASSES[probability.argmax(axis=1)] == label))


def log_loss(label: Labels, probability: Floats) -> float:
    """Mean of -log of the probability given to what happened (Good 1952)."""
    given = probability[np.arange(len(label)), label.astype(np.int64) + 1]
    return float(-np.log(np.maximum(given, FLOOR)).mean())


def brier(label: Labels, probability: Floats) -> float:
    """Mean squared distance to the outcome, summed over the classes, 0 to 2 (Brier 1950)."""
    return float(((probability - (label[:, None] == CLASSES)) ** 2).sum(axis=1).mean())


def macro_f1(label: Labels, probability: Floats) -> float:
    """Mean over the classes of the harmonic mean of precision and recall; 0 for a class never seen nor predicted."""
    predicted = CLASSES[probability.argmax(axis=1)]
    scores = []
    for kind in CLASSES:
        hits = np.sum((predicted == kind) & (label == kind))
        total = np.sum(predicted == kind) + np.sum(label == kind)
        scores.append(2 * hits / total if total else 0.0)
    return float(np.mean(scores))


MEASURES = {"accuracy": accuracy, "log_loss": log_loss, "brier": brier, "macro_f1": macro_f1}


def certain(chosen: Labels) -> Floats:
    """Probability 1 for the predicted class: what a rule without probabilities claims."""
    return (chosen[:, None] == CLASSES).astype(np.float64)


def confusion_table(label: Labels, probability: Floats) -> pd.DataFrame:
    """actual, predicted (down, flat, up), count, and share of the actual class."""
    likeliest = CLASSES[probability.argmax(axis=1)]
    rows = []
    for actual in CLASSES:
        total = np.sum(label == actual)
        for predicted in CLASSES:
            count = int(np.sum((label == actual) & (likeliest == predicted)))
            rows.append((CLASS_NAMES[actual], CLASS_NAMES[predicted], count, count / total if total else np.nan))
    return pd.DataFrame(rows, columns=["actual", "predicted", "count", "share"])
