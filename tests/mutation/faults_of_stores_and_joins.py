"""Named faults in stores, names, joins, journals, lives of symbols and disks, in lines that had none before."""

from tests.mutation.fault import Fault

_FIT = "tests/learning/models/test_fitting.py tests/learning/models/test_walk_forward.py"
_TRIAL_LEDGER = "tests/datasets/test_trial_ledger.py"
_STORES = "tests/laws/test_stores.py -k sqlite"
_DELIVERIES = "tests/data/stores/test_unions.py tests/data/files/test_deliveries.py"
_UNIVERSE = "tests/data/files/test_names.py tests/market/test_universe.py"
_HISTORIES = (
    "tests/learning/features/test_market_columns.py tests/laws/test_joins.py tests/trading/engine/test_histories.py"
)
_FEATURE_ENGINEERING = "tests/learning/models/test_walk_forward.py tests/pipelines/test_feature_engineering.py"
_JOURNAL = "tests/operations/journal/test_journal.py"
_DATA_ENGINEERING = "tests/pipelines/test_data_engineering.py -k 'outside or within'"
_FEATURE_ENGINEERING_TOO = "tests/pipelines/test_feature_engineering.py -k shortly"
_SESSIONS = "tests/test_sessions.py -k 'nothing_to_do or filters'"

FAULTS = [
    Fault(
        "what is there is not replaced",
        "datasets/model_store.py",
        "            self.forget(key)\n",
        "",
        "tests/datasets/test_model_store.py",
    ),
    Fault(
        "two models in one place",
        "datasets/model_store.py",
        "key[:24]",
        "key[:1]",
        "tests/datasets/test_model_store.py " + _FIT,
    ),
    Fault(
        "what a killed run left in the store",
        "datasets/model_store.py",
        'for partial in folder.glob(".partial-*"):',
        "for partial in ():",
        "tests/datasets/test_model_store.py tests/laws/test_kills.py",
    ),
    Fault("a trial counted twice", "datasets/trial_ledger.py", 'if entry["key"] not in keys]', "]", _TRIAL_LEDGER),
    Fault("earlier trials forgotten", "datasets/trial_ledger.py", "[*entries, *fresh]", "fresh", _TRIAL_LEDGER),
    Fault(
        "trades that a source has not are infinite",
        "data/stores/sqlite.py",
        'for name in ("quote_volume", "trades"):',
        'for name in ("quote_volume",):',
        _STORES,
    ),
    Fault(
        "spans that were answered are forgotten",
        "data/stores/sqlite.py",
        "if delivery.covered is not None:",
        "if False:",
        _STORES,
    ),
    Fault(
        "a rejected row where it stood last",
        "data/stores/sqlite.py",
        "min(source_row, excluded.source_row)",
        "max(source_row, excluded.source_row)",
        _STORES,
    ),
    Fault(
        "two values for one moment",
        "data/stores/tables.py",
        "    if len(differing):",
        "    if False:",
        "tests/data/stores/test_sqlite.py tests/laws/test_stores.py -k sqlite",
    ),
    Fault(
        "a row rejected for two reasons counts once",
        "data/stores/tables.py",
        '"timeframe", "reason", "content"]',
        '"timeframe", "content"]',
        _DELIVERIES,
    ),
    Fault("the last month left out", "data/stores/months.py", "last + 2)", "last + 1)", _STORES),
    Fault("an altered row is read", "data/stores/integrity.py", "    if len(altered):", "    if False:", _DELIVERIES),
    Fault(
        "minus zero is another content",
        "data/files/deliveries.py",
        "columns[name] + 0.0)",
        "columns[name])",
        _DELIVERIES,
    ),
    Fault(
        "a bar that closes at this moment is open",
        "data/files/deliveries.py",
        "> received_at_ms] = STILL_OPEN",
        ">= received_at_ms] = STILL_OPEN",
        _DELIVERIES,
    ),
    Fault(
        "two rows of one bar taken for a whole delivery",
        "data/files/deliveries.py",
        "if (times[1:] > times[:-1]).all():",
        "if (times[1:] >= times[:-1]).all():",
        _DELIVERIES,
    ),
    Fault(
        "a provisional row beside its finished one",
        "data/files/deliveries.py",
        "kept = is_last | (",
        "kept = is_last | True | (",
        "tests/data/stores/test_unions.py tests/data/files/test_deliveries.py tests/kinds/test_kind_04_stale_rows.py",
    ),
    Fault(
        "both pairs of currencies without their mark",
        "data/files/names.py",
        "        and not any(base.upper() in QUOTES for base, _ in readings[1:])\n",
        "",
        _UNIVERSE,
    ),
    Fault(
        "any reading of a pair will do",
        "data/files/names.py",
        "readings[:1] == [(parts[0], parts[1])]",
        "(parts[0], parts[1]) in readings",
        _UNIVERSE,
    ),
    Fault(
        "a quote alone is a pair", "data/files/names.py", "len(name) > len(quote)", "len(name) >= len(quote)", _UNIVERSE
    ),
    Fault(
        "a mark is dropped between three parts", "data/files/names.py", 'else "-".join(parts)', "else plain", _UNIVERSE
    ),
    Fault(
        "symbols apart by case alone", "market/universe.py", "if alike[name.lower()] != name:", "if False:", _UNIVERSE
    ),
    Fault(
        "a partition that leads on after its name",
        "datasets/partitioned.py",
        "if _PARTITION.fullmatch(partition) is None:",
        "if _PARTITION.match(partition) is None:",
        "tests/datasets/test_tables.py",
    ),
    Fault(
        "a side value known with the bar's close left out",
        "learning/features/market_columns.py",
        'np.searchsorted(published_at, timestamp, side="right") - 1',
        'np.searchsorted(published_at, timestamp, side="left") - 1',
        _HISTORIES,
    ),
    Fault(
        "a settlement without a value paid",
        "learning/features/market_columns.py",
        "is_paid = ~np.isnan(value)",
        "is_paid = np.ones(len(value), dtype=bool)",
        _HISTORIES,
    ),
    Fault(
        "stale a moment late",
        "learning/features/market_columns.py",
        ">= stale_after_ms)]",
        "> stale_after_ms)]",
        _HISTORIES,
    ),
    Fault(
        "a return from one segment into another",
        "learning/features/market_columns.py",
        " & (number[1:] == number[:-1])",
        "",
        _HISTORIES,
    ),
    Fault(
        "as many features missing as allowed is too many",
        "learning/models/model_input.py",
        "<= rules.max_missing_share",
        "< rules.max_missing_share",
        _FEATURE_ENGINEERING,
    ),
    Fault(
        "rows without a label are not forecast",
        "learning/models/model_input.py",
        '"right" if method.labels_every_bar else "inner"',
        '"inner"',
        _FEATURE_ENGINEERING,
    ),
    Fault(
        "rows without a regime are left out",
        "learning/models/model_input.py",
        'how="left", validate',
        'how="inner", validate',
        _FEATURE_ENGINEERING + " tests/pipelines/test_regimes.py",
    ),
    Fault(
        "the cause of a record is the one after it",
        "operations/journal/journal.py",
        "first - 1 - entry.cause",
        "first - entry.cause",
        _JOURNAL,
    ),
    Fault(
        "records that a cut loses",
        "operations/journal/journal.py",
        "        os.fdatasync(self._file)",
        "        pass",
        _JOURNAL,
    ),
    Fault(
        "records written for whoever has taken over",
        "operations/journal/journal.py",
        "        self._check_turn()  # after",
        "        pass  # after",
        "tests/operations/journal/test_fence.py -k while_another",
    ),
    Fault(
        "what was torn is not kept",
        "operations/journal/journal.py",
        "torn.write(os.pread(self._file, min(_STEP, size - start), start))",
        "pass",
        _JOURNAL,
    ),
    Fault(
        "a fsync of folders that a share refuses ends a write",
        "atomic.py",
        "if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):",
        "if True:",
        "tests/test_mounts.py -k sync",
    ),
    Fault(
        "a name on another disk is nobody's error",
        "atomic.py",
        "if error.errno in _OTHER_MOUNT:",
        "if False:",
        "tests/test_mounts.py -k renamed_over",
    ),
    Fault(
        "a link to what is away is a folder to be made",
        "atomic.py",
        "if folder.is_symlink():",
        "if False:",
        "tests/test_mounts.py -k away",
    ),
    Fault(
        "a backup renamed onto another disk",
        "operations/backup/restoring.py",
        "if source.stat().st_dev == real.parent.stat().st_dev:",
        "if True:",
        "tests/operations/backup/test_backup.py -k another_disk",
    ),
    Fault(
        "rows outside a symbol's time count against it",
        "data/quality/checked_bars.py",
        "if key.symbol in universe.members:",
        "if False:",
        _DATA_ENGINEERING,
    ),
    Fault(
        "validity is the share of a life",
        "data/quality/scores.py",
        'int(evidence.counts["rows_received"]) - evidence.reasons[OUTSIDE]',
        'int(evidence.counts["rows_received"])',
        _DATA_ENGINEERING,
    ),
    Fault(
        "a symbol that has left is late",
        "pipelines/data_engineering/quality_nodes.py",
        "min(as_of_ms, ends_ms.get(one.key.symbol, as_of_ms))",
        "as_of_ms",
        _DATA_ENGINEERING,
    ),
    Fault(
        "faults within a life are forgiven",
        "data/quality/checked_bars.py",
        "rejected[is_fault], rules",
        "rejected[:0], rules",
        _DATA_ENGINEERING,
    ),
    Fault(
        "one short life stops all labels",
        "learning/labels/of_universe.py",
        "if len(without) == len(tables):",
        "if without:",
        _FEATURE_ENGINEERING_TOO,
    ),
    Fault(
        "a short life passes in silence",
        "learning/labels/of_universe.py",
        "    for problem in without:",
        "    for problem in ():",
        _FEATURE_ENGINEERING_TOO,
    ),
    Fault(
        "one symbol without features stops all",
        "learning/models/model_input.py",
        "if not any(n_rows):",
        "if not all(n_rows):",
        _FEATURE_ENGINEERING_TOO,
    ),
    Fault("an empty stage is an error", "sessions.py", "or not empty:", "or True:", _SESSIONS),
    Fault(
        "filters that leave nothing are an empty stage",
        "sessions.py",
        "if any(name not in EMPTY or pipelines[name].nodes for name in names):",
        "if all(name not in EMPTY for name in names):",
        _SESSIONS,
    ),
    Fault(
        "two spellings of one name go on",
        "data/files/names.py",
        "        if other != text:",
        "        if False:",
        "tests/data/files/test_names.py",
    ),
]
