"""Named faults in what files say of their rows, in what replaces what, and in what vouches for a stored model."""

from tests.mutation.fault import Fault

_STALE = "tests/kinds/test_kind_04_stale_rows.py -k 'not random and not torso'"
_FORMATS = "tests/kinds/test_kind_11_formats.py"
_REPLACES = "tests/kinds/test_kind_12_one_replaces_another.py"
_OTHERS = "tests/kinds/test_kind_14_files_of_others.py -k 'model or list'"
_SEARCH = "tests/learning/models/test_fitting.py -k 'search or trials'"
_ROLES = "tests/evaluation/test_roles.py"
_REASONS = "tests/trading/decision/test_reasons.py"
_DECIDERS = "tests/trading/decision/test_deciders.py"
_BOOSTING = "tests/learning/models/test_boosting.py"

FAULTS = [
    # rows
    Fault(
        "a bar that was still forming taken from a file",
        "data/file_import/bar_files.py",
        "        _reject(reason, NOT_CLOSED, forming)\n",
        "",
        _STALE,
    ),
    Fault(
        "a bar that was still forming taken from a folder",
        "data/files/cleaning.py",
        "        faults[NOT_CLOSED] = forming\n",
        "        pass\n",
        _STALE,
    ),
    Fault(
        "any column called complete is a mark",
        "data/files/cells.py",
        '    if not words.isin([*_NO, "true", "1", "yes", "", "nan", "none", "<na>"]).all():\n        return None\n',
        "",
        _STALE,
    ),
    Fault(
        "the bar before the present one is provisional",
        "data/files/deliveries.py",
        'newest = opened[(reason == "") | ((reason == STILL_OPEN) & (opened <= received_at_ms))].max(initial=0)',
        'newest = opened[reason == ""].max(initial=0)',
        _STALE,
    ),
    Fault(
        "a row of the future finishes a torso",
        "data/files/deliveries.py",
        "(reason == STILL_OPEN) & (opened <= received_at_ms)",
        "reason == STILL_OPEN",
        _STALE,
    ),
    Fault(
        "one number with a gap turns the table",
        "data/file_import/number_texts.py",
        "if not any(2 * _count(cells, _GROUPED_BY_GAP) > len(cells) for cells in columns.values()):",
        "if not any(_count(cells, _GROUPED_BY_GAP) for cells in columns.values()):",
        _FORMATS,
    ),
    # what replaces what
    Fault(
        "bars of several markets supersede each other",
        "data/file_import/several_markets.py",
        "if crowded > 1 else None",
        "if crowded < 0 else None",
        _REPLACES,
    ),
    Fault(
        "versions of one bar are markets",
        "data/file_import/several_markets.py",
        'if not pd.DataFrame({"time": times, "word": words}).duplicated().any():',
        "if True:",
        _REPLACES,
    ),
    Fault(
        "a second reading laid over the first",
        "data/file_import/outcome.py",
        "    if step != 0:\n",
        "    if step == 1:\n",
        _REPLACES,
    ),
    Fault(
        "trades read otherwise are known",
        "cli/import_targets.py",
        "            _require_same(new, path)\n",
        "",
        _REPLACES,
    ),
    # models
    Fault(
        "a rewritten manifest vouches for its model",
        "datasets/model_store.py",
        "if hashlib.sha256(found).hexdigest().encode() != sealed:",
        "if not sealed:",
        _OTHERS,
    ),
    Fault(
        "a model without a seal is taken",
        "datasets/model_store.py",
        "return read_sealed(place, key)[0] if place.exists() else None",
        "return (read_sealed if seal_of(place).exists() else read_model)(place, key)[0] if place.exists() else None",
        _OTHERS,
    ),
    Fault(
        "a list of models says nothing of the models",
        "provenance/contents.py",
        "hashlib.sha256(manifest.read_bytes())",
        "hashlib.sha256(manifest.is_file() and b'')",
        _OTHERS,
    ),
    Fault(
        "a full disk at a model is nobody's error",
        "datasets/model_store.py",
        "            raise explain(place, error) from error\n",
        "            raise\n",
        "tests/laws/test_full_disk.py -k model_store",
    ),
    Fault(
        "what another writer is writing swept up",
        "datasets/partitioned.py",
        "is_abandoned(file) if is_partial(file) else is_stale_table",
        "is_partial(file) or is_stale_table",
        "tests/datasets/test_tables.py -k swept",
    ),
    Fault(
        "nothing at all is accepted",
        "datasets/accepted.py",
        "if unknown or not data:",
        "if unknown:",
        "tests/datasets/test_accepted.py -k only_checked",
    ),
    Fault(
        "trees grown after the best round forecast",
        "learning/models/xgboost.py",
        "return 0, self.best_rounds",
        "return 0, 0",
        _BOOSTING,
    ),
    Fault(
        "a parameter that never reaches the library",
        "learning/models/lightgbm.py",
        '"lambda_l2": self.parameters.reg_lambda',
        '"lambda_l2": 1.0',
        _BOOSTING,
    ),
    Fault(
        "early stopping as long as the training",
        "learning/models/boosting.py",
        '"early_stopping_rounds": early_stopping_rounds}',
        '"early_stopping_rounds": max_rounds}',
        _BOOSTING + " -k rules",
    ),
    Fault(
        "tuning judged without weights",
        "learning/models/tuning.py",
        "weights=sample.weight)",
        "weights=None)",
        _SEARCH,
    ),
    Fault(
        "trials of another seed counted",
        "learning/models/tuning.py",
        'rules=rules.model_dump(exclude={"n_trials"}), seed=seed,',
        'rules=rules.model_dump(exclude={"n_trials"}),',
        _SEARCH,
    ),
    Fault(
        "tuned on labels that reach into the first test",
        "learning/models/tuning.py",
        "rows[training_mask(rows, first)]",
        'rows[(rows["timestamp"] < first.test_start).to_numpy()]',
        _SEARCH,
    ),
    Fault(
        "a label alive on the bar of its decision",
        "learning/labels/weights.py",
        "first, last = rows + 1, outcomes.exit_row[rows]",
        "first, last = rows, outcomes.exit_row[rows]",
        "tests/learning/labels/test_weights.py -k lives",
    ),
    Fault(
        "the last record told again",
        "operations/journal/journal.py",
        "if seq > after:",
        "if seq >= after:",
        "tests/operations/journal/test_journal.py -k reading_on",
    ),
    Fault(
        "a killed writer's half of a record taken over",
        "operations/journal/fence.py",
        '                if not line.endswith(b"\\n"):\n                    break\n',
        "",
        "tests/operations/journal/test_fence.py -k unfinished",
    ),
    Fault(
        "weeks that are asked for begin on Thursdays",
        "data/quality/grid.py",
        "anchor = int(opened_ms[0]) % bar_ms",
        "anchor = 0",
        "tests/data/quality/test_runs.py -k weeks",
    ),
    Fault(
        "a symbol leaves a day before its last",
        "market/universe.py",
        "_midnight_ms(member.until + timedelta(days=1))",
        "_midnight_ms(member.until)",
        "tests/market/test_universe.py -k both_days",
    ),
    # roles
    Fault(
        "the first instant of a test in the fold before",
        "evaluation/roles.py",
        'side="right") - 1',
        'side="left") - 1',
        _ROLES,
    ),
    Fault(
        "the instant after all tests tested",
        "evaluation/roles.py",
        '(history["timestamp"] < end)',
        '(history["timestamp"] <= end)',
        _ROLES,
    ),
    Fault(
        "the holdout among what is varied and compared",
        "evaluation/roles.py",
        'with_role(positions, folds)["role"].to_numpy() == "walk_forward"',
        'with_role(positions, folds)["role"].to_numpy() != ""',
        _ROLES,
    ),
    # risk
    Fault(
        "what is on order to be sold elsewhere not counted",
        "trading/risk/gate.py",
        "{order.symbol, *view.positions, *view.buying, *view.selling}",
        "{order.symbol, *view.positions, *view.buying}",
        "tests/trading/risk/test_gate.py -k rests_in",
    ),
    Fault(
        "a pause keeps positions from being closed",
        "trading/risk/gate.py",
        "if view.paused and not view.flattening else None",
        "if view.paused else None",
        "tests/trading/risk/test_gate.py -k pause",
    ),
    Fault(
        "a market order has to stand on a tick",
        "trading/risk/gate.py",
        'if order.kind == "limit" and abs(',
        "if abs(",
        "tests/trading/risk/test_gate.py -k tick",
    ),
    Fault(
        "next to nothing is a lot",
        "trading/risk/gate.py",
        " or round(lots) == 0 else None",
        " else None",
        "tests/trading/risk/test_gate.py -k no_lot",
    ),
    Fault(
        "halted before all is closed",
        "trading/risk/states.py",
        "and state.mode == REDUCING and not state.flattening:",
        "and state.mode == REDUCING:",
        "tests/trading/risk/test_states.py -k however",
    ),
    # account, registry, parameters, deciders
    Fault(
        "a turn is told as an entry alone",
        "trading/decision/reasons.py",
        "(LEFT if before != 0.0 else 0) | (ENTERED if now != 0.0 else 0)",
        "ENTERED if now != 0.0 else LEFT",
        _REASONS,
        True,
    ),
    Fault(
        "an edge at its threshold is told as too small",
        "trading/decision/reasons.py",
        "abs(edge[row]) < entry",
        "abs(edge[row]) <= entry",
        _REASONS,
        True,
    ),
    Fault(
        "a state of another model goes on",
        "trading/decision/decider.py",
        "self._window, identity, type(policy)",
        "self._window, type(policy)",
        _DECIDERS,
    ),
    Fault(
        "a state of another window of the volatility goes on",
        "trading/decision/decider.py",
        "repr(assembly), self._window, identity",
        "repr(assembly), identity",
        _DECIDERS,
    ),
    Fault(
        "a champion that was rolled back from is good for having been it twice",
        "operations/registry/registry.py",
        "        if move.after in good:\n            good.remove(move.after)\n",
        "",
        "tests/operations/registry/test_registry.py -k good_no_more",
    ),
    Fault(
        "a ruined account has won what it lost",
        "trading/engine/account.py",
        "return BarResult(-1.0, 0.0, 0.0, -1.0, traded * share, 0.0, count)",
        "return BarResult(1.0, 0.0, 0.0, -1.0, traded * share, 0.0, count)",
        "tests/trading/engine/test_backtest.py -k ruined",
        True,
    ),
    Fault(
        "a champion that is moved to itself is its own predecessor",
        "operations/registry/registry.py",
        "before = present.champion if present.champion != to else present.previous",
        "before = present.champion",
        "tests/operations/registry/test_registry.py -k two_roles",
    ),
    Fault(
        "a champion that came back is still on trial",
        "operations/registry/registry.py",
        "after = Roles(to, None if present.canary == to else present.canary, before)",
        "after = Roles(to, present.canary, before)",
        "tests/operations/registry/test_registry.py -k two_roles",
    ),
    Fault(
        "a strategy judged that the run does not make",
        "cli/parameter_checks.py",
        "verdict.judged is not None and verdict.judged not in known:",
        "verdict.judged is not None and not known:",
        "tests/kinds/test_kind_09_parameters.py -k 'nothing_else'",
    ),
]
