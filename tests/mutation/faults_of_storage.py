"""Named faults in keys, stores and joins."""

from tests.mutation.fault import Fault

_FIT = "tests/learning/models/test_fitting.py"
_ATOMIC = "tests/test_atomic.py"
_DELIVERIES = "tests/data/files/test_deliveries.py tests/kinds/test_kind_04_stale_rows.py"
_RECEIPTS = "tests/kinds/test_kind_02_receipts.py"

FAULTS = [
    # keys and stores
    Fault(
        "the key without the parameters",
        "learning/models/walk_forward.py",
        "parameters=task.parameters.model_dump(),",
        "parameters=None,",
        _FIT,
    ),
    Fault(
        "the key without the rules",
        "learning/models/walk_forward.py",
        "rules=rules, seed",
        "rules=None, seed",
        _FIT,
    ),
    Fault(
        "the key without the seed",
        "learning/models/walk_forward.py",
        "seed=task.seed, format",
        "seed=0, format",
        _FIT,
    ),
    Fault(
        "the key without the values",
        "learning/models/walk_forward.py",
        "digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())",
        "pass",
        _FIT,
    ),
    Fault(
        "the key without the names",
        "learning/models/walk_forward.py",
        "digest.update(json.dumps(list(rows.columns)).encode())",
        "pass",
        _FIT,
    ),
    Fault(
        "hashes of model files unread",
        "datasets/model_store.py",
        "if hashlib.sha256(content).hexdigest() != hashes[name]:",
        "if False:",
        "tests/learning/models/test_walk_forward.py",
    ),
    Fault(
        "a model of another key is taken",
        "datasets/model_store.py",
        'if key not in (None, manifest["key"]):',
        "if False:",
        "tests/datasets/test_model_store.py",
    ),
    Fault(
        "no fsync before the rename",
        "atomic.py",
        "        _sync(temporary)\n        temporary.replace(path)",
        "        temporary.replace(path)",
        _ATOMIC,
    ),
    Fault(
        "no fsync of the folder",
        "atomic.py",
        "temporary.replace(path)\n        sync_folder(path.parent)",
        "temporary.replace(path)",
        _ATOMIC,
    ),
    Fault(
        "copied instead of renamed",
        "atomic.py",
        "temporary.replace(path)\n        sync_folder",
        "path.write_bytes(temporary.read_bytes())\n        sync_folder",
        _ATOMIC,
    ),
    Fault(
        "the latest delivery of a content counts",
        "data/files/deliveries.py",
        "is_first[1:] = (opened[1:]",
        "is_first[:-1] = (opened[1:]",
        _DELIVERIES,
    ),
    Fault("no row is provisional", "data/files/deliveries.py", "+= PROVISIONAL_MS", "+= 0", _DELIVERIES),
    Fault(
        "provisional rows replace finished ones",
        "data/files/deliveries.py",
        "reach, volume, ~provisional, rows",
        "reach, volume, provisional, rows",
        _DELIVERIES,
    ),
    Fault(
        "sqlite keeps the latest moment",
        "data/stores/sqlite.py",
        "content_hash = ? AND received_at > ?",
        "content_hash = ? AND received_at < ?",
        _DELIVERIES + " tests/laws/test_stores.py -k sqlite",
    ),
    Fault(
        "the door makes no checks",
        "data/files/deliveries.py",
        "reason = reasons_to_reject(typed, key, received_at, calendar)",
        'reason = np.full(len(typed), "", dtype=object)',
        _RECEIPTS,
    ),
    Fault(
        "rows off the grid are bars",
        "data/files/cleaning.py",
        "~grid.is_on_grid(opened_ms)",
        "opened_ms < 0",
        _RECEIPTS,
    ),
    # joins
    Fault(
        "a settlement paid a bar early",
        "learning/features/market_columns.py",
        'np.searchsorted(timestamp, known_at, side="left")',
        'np.searchsorted(timestamp, known_at, side="right") - 1',
        "tests/trading/engine/test_histories.py",
    ),
    Fault(
        "side values known a bar early",
        "learning/features/market_columns.py",
        'known_at, value = epoch_ms(series["known_at"]),',
        'known_at, value = epoch_ms(series["known_at"]) - 3_600_000,',
        "tests/laws/test_joins.py",
    ),
]
