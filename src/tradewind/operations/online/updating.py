"""A bundle updated by the labels that have settled since: another bundle, and never further away than was agreed."""

import io
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadModel, TradewindError
from tradewind.learning.labels.settling import is_settled
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES
from tradewind.learning.models.online import UPDATABLE, Lessons, lessons_of, updated
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.learning.models.onnx_graph import to_onnx
from tradewind.learning.models.row_model import OUTSIDE, RowForecaster
from tradewind.learning.models.walk_forward import fingerprint
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import Bundle, array_file, json_file
from tradewind.operations.bundle.drift import log_losses
from tradewind.operations.bundle.measuring import latency_baseline
from tradewind.operations.bundle.origins import ORIGINS
from tradewind.operations.bundle.past import ITSELF
from tradewind.operations.bundle.regimes import RegimesInService
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.bundle.warming import DECISIONS, STATE
from tradewind.operations.online.rules import OnlineRules

LINEAGE, TRAINED = "online.json", "online-trained.npy"
COMPARED_ROWS = 20_000  # of the walk-forward, from which the canary's checks learn how alike the two are
Floats = NDArray[np.float64]


class TooFar(TradewindError):
    """An update would move the forecasts further than was agreed: retrain instead."""


class Distance(NamedTuple):
    """How far an update moves the forecasts on the probe rows.

    Attributes:
        change: largest change of any probability, from the parent.
        divergence: mean Kullback-Leibler divergence from the parent, nats.
        from_training: largest change of any probability, from the last version that was trained from the start.
    """

    change: float
    divergence: float
    from_training: float


class Update(NamedTuple):
    """The files of an updated bundle, and what there is to know about the update, as JSON."""

    files: Files
    lineage: dict[str, Any]


def updated_bundle(
    parent: Bundle, rows: pd.DataFrame, as_of: datetime, rules: OnlineRules, created_at: str
) -> Update | None:  # fmt: skip
    """The parent after the labels that have settled since its last one; None where they are too few.

    The parent forecasts the new rows before it learns them: their loss is in the lineage. What decides, the probe and
    the state are new; references, verdict and evidence stay those of the procedure that the parent was trained by.

    Args:
        parent: the champion.
        rows: model input of all symbols, in the order of time; later labels than are known at `as_of` are not read.
        as_of: when it is updated; aware.
        rules: how it learns, and how far it may go.
        created_at: UTC, ISO 8601.

    Raises:
        BadModel: a kind of model that cannot be updated, or whose graph does not say what it says.
        TooFar: the update would go beyond the bounds; nothing is made.
    """
    model, since = model_of(parent), pd.Timestamp(parent.spec.trained_to)
    due = int((is_settled(rows, as_of) & (rows["timestamp"] > since).to_numpy()).sum())
    if due < rules.least_rows:
        return None
    lessons = lessons_of(rows, since, as_of, rules.learning.half_life_days)
    before = parent.document(LINEAGE) if LINEAGE in parent.files else {}
    number = int(before.get("updates", 0)) + 1
    if number > rules.most_updates:
        raise TooFar(
            f"{parent.spec.name} was updated {number - 1} times since its training, and operations.online.most_updates "
            f"is {rules.most_updates}: retrain it"
        )
    after = updated(model, lessons, rules.learning)
    probe, expected = parent.array(contents.PROBE), _forecasts(after, parent.array(contents.PROBE))
    trained = parent.array(TRAINED) if TRAINED in parent.files else parent.array(contents.EXPECTED)
    distance = distance_of(parent.array(contents.EXPECTED), expected, trained)
    require_near(distance, rules)
    graph = to_onnx(after)
    forecaster = OnnxForecaster.from_bytes(graph, after.features)
    apart = float(np.abs(forecaster.predict_many(probe) - expected).max())
    if not apart <= contents.PROBE_TOLERANCE:
        raise BadModel(f"{after.name}: the ONNX graph differs from the updated model by {apart:.1e} on the probe rows")
    lineage = {
        "parent": parent.identity, "trained": before.get("trained", parent.identity), "updates": number,
        "as_of": as_of.isoformat(), "distance": distance._asdict(), "rules": rules.learning.model_dump(mode="json"),
        **_prequential(model, lessons),
    }  # fmt: skip
    kept = {
        name: content
        for name, content in parent.files.items()
        # Of the parent: what calls this makes the first three anew; the last is about a refit and its own folds.
        if name not in (STATE, DECISIONS, ORIGINS, ITSELF)
    }
    files: Files = {
        **kept, **after.files(), contents.GRAPH: graph, contents.SPEC: json_file(_spec(parent, lessons, created_at)),
        contents.LATENCY: json_file(latency_baseline(forecaster.predict_row, probe)),
        contents.EXPECTED: array_file(expected), contents.WALK_FORWARD: _moved_edges(parent, model, after, rows),
        LINEAGE: json_file(lineage), TRAINED: array_file(trained),
    }  # fmt: skip
    regimes = parent.regimes()
    return Update(files | (RegimesInService(regimes.models).files() if regimes else {}), lineage)


def model_of(bundle: Bundle) -> RowForecaster:
    """The model that a bundle keeps beside its graph.

    Raises:
        BadModel: it is none that can be updated.
    """
    name = bundle.spec.name
    if name not in UPDATABLE:
        raise BadModel(
            f"{name} ({bundle.spec.family}) cannot be updated online, only {', '.join(UPDATABLE)} can: `kedro retrain` "
            "trains it anew"
        )
    kind = catalogue.row_model(name)
    own = {OUTSIDE, *([kind.model_file] if kind.model_file else [])}
    return kind.from_files({key: content for key, content in bundle.files.items() if key in own})


def distance_of(parent: Floats, update: Floats, trained: Floats) -> Distance:
    """How far forecasts are from others of the same rows.

    Args:
        parent: (rows, 4), of the version that is updated.
        update: the same after it.
        trained: the same of the last version that was trained from the start.
    """
    before, after = (np.maximum(one[:, :3], 1e-12) for one in (parent, update))
    divergence = float((after * np.log(after / before)).sum(axis=1).mean())
    change, whole = (float(np.abs(update[:, :3] - one[:, :3]).max()) for one in (parent, trained))
    return Distance(change, divergence, whole)


def require_near(distance: Distance, rules: OnlineRules) -> None:
    """Nothing, where an update stays within the bounds.

    Raises:
        TooFar: it does not; no number counts as beyond.
    """
    bounds = {
        "most_change": (distance.change, rules.most_change),
        "most_divergence": (distance.divergence, rules.most_divergence),
        "most_from_training": (distance.from_training, rules.most_from_training),
    }
    beyond = [f"{name} {most:g} (it is {found:.4f})" for name, (found, most) in bounds.items() if not found <= most]
    if beyond:
        raise TooFar(f"the update is refused, it goes beyond operations.online.{', '.join(beyond)}: retrain instead")


def _forecasts(model: RowForecaster, probe: NDArray[np.float32]) -> Floats:
    return np.stack([model.predict_row(row) for row in probe])


def _prequential(model: RowForecaster, lessons: Lessons) -> dict[str, Any]:
    """What was learned, and the loss on it before it was."""
    new = lessons.new
    loss = log_losses(model.predict(new)[PROBABILITIES].to_numpy(np.float64), new["label"].to_numpy(dtype=np.float64))
    first, last = new["timestamp"].min(), new["timestamp"].max()
    return {"rows": len(new), "from": first.isoformat(), "to": last.isoformat(), "loss_before": float(loss.mean())}


def _spec(parent: Bundle, lessons: Lessons, created_at: str) -> dict[str, Any]:
    """Evidence stays that of the procedure, as with a refit: nothing in it is about the update itself."""
    new, spec = lessons.new, parent.spec
    evidence = spec.evidence.model_copy(update={"data_sha256": fingerprint(new, before=spec.evidence.data_sha256)})
    changes = {
        "created_at": created_at, "trained_to": new["timestamp"].max().isoformat(),
        "trained_rows": spec.trained_rows + len(new), "evidence": evidence,
    }  # fmt: skip
    return spec.model_copy(update=changes).model_dump(mode="json")


def _moved_edges(parent: Bundle, before: RowForecaster, after: RowForecaster, rows: pd.DataFrame) -> bytes:
    """The parent's edges out of sample, each moved by what the update changes on its row: what the canary's checks
    learn how alike the two are from."""
    edges = parent.array(contents.WALK_FORWARD)[-COMPARED_ROWS:].copy()
    number = {symbol: at for at, symbol in enumerate(parent.spec.universe.symbols)}
    instants = rows["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    keys = pd.MultiIndex.from_arrays([rows["symbol"].map(number), instants])
    places = keys.get_indexer(pd.MultiIndex.from_arrays([edges["symbol"], edges["timestamp"]]))
    found = rows.iloc[places[places >= 0]]
    forecasts = [model.predict(found) for model in (before, after)]
    mine, theirs = ((one["p_up"] - one["p_down"]).to_numpy() for one in forecasts)
    edges["edge"][places >= 0] += (theirs - mine).astype(np.float32)
    out = io.BytesIO()
    np.save(out, edges, allow_pickle=False)
    return out.getvalue()
