"""A bundle of an agent acts in a fresh process as in its run, decides bar by bar as at once, and is refused altered."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tests.operations.agent_bundles import agent_bundle, agent_files, market, one_seed_files, told_otherwise
from tests.operations.bundles import TERMS, bundle_files
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES
from tradewind.errors import BadModel
from tradewind.learning.features.assembly import Arrivals
from tradewind.learning.features.market_columns import epoch_ms
from tradewind.operations.bundle import agents, contents
from tradewind.operations.bundle.contents import Bundle, essence
from tradewind.operations.bundle.sealing import Files, place_of, read_bundle, write_bundle
from tradewind.operations.bundle.warming import DECISIONS, STATE, _bars, _side, read_decisions
from tradewind.operations.registry.gate import GateRules, missing_evidence
from tradewind.operations.registry.registry import Registry

AGAIN = """
import sys
from pathlib import Path
from tests.operations.agent_bundles import market
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.sealing import place_of, read_bundle

folder, identity = Path(sys.argv[1]), sys.argv[2]
bundle = Bundle.from_files(read_bundle(place_of(folder, identity), identity), identity)
here = market()
side = {name: {"funding": here.side[here.side["symbol"] == name]} for name in here.bars}
bundle.decider().decide_history(here.bars, side).to_parquet(folder / "decided.parquet")
print(bundle.probe_error())
assert not {"torch", "stable_baselines3", "kedro", "mlflow"} & set(sys.modules)
"""


def at_once(bundle: Bundle) -> pd.DataFrame:
    here = market()
    side = {name: {"funding": here.side[here.side["symbol"] == name]} for name in here.bars}
    return bundle.decider().decide_history(here.bars, side)


@pytest.mark.parametrize("algorithm", ["ppo", deep("td3")])
def test_bar_by_bar_it_decides_as_at_once(algorithm: str) -> None:
    bundle, here = agent_bundle(algorithm), market()
    decider, whole = bundle.decider(), at_once(bundle)
    state, told, before = decider.begin(), {}, -1
    bars = sorted((one for name in here.bars for one in _bars(name, here.bars[name])), key=lambda one: one.timestamp)
    side = sorted(_side(bundle, here.side, bars[-1].timestamp), key=lambda one: one.known_at)
    for at in sorted({one.timestamp for one in bars}):
        news = tuple(one for one in side if before < one.known_at <= at)
        arrivals = Arrivals(at, tuple(one for one in bars if one.timestamp == at), news)
        state, decisions = decider.advance(state, arrivals)
        told |= {(one.symbol, one.timestamp): one for one in decisions}
        before = at
        if len(told) % 400 == 0:  # a killed process goes on from bytes
            state = decider.from_bytes(decider.to_bytes(state))
    expected = whole.assign(at=epoch_ms(whole["timestamp"]))
    found = [told[row.symbol, row.at] for row in expected.itertuples()]
    np.testing.assert_array_equal([one.target for one in found], expected["target"])
    assert [" ".join(one.reasons) for one in found] == expected["reasons"].tolist()
    assert expected["target"].nunique() > 2 and not expected.loc[expected["reasons"] == "", "target"].isin([0.0]).any()
    # The state that is served is the one after the market's last bar.
    served = read_decisions(bundle.files[DECISIONS])
    assert all(one.target == told[name, one.timestamp].target for name, one in served.items())
    assert decider.from_bytes(bundle.files[STATE]).assembly.done_ms == bars[-1].timestamp


def test_in_a_fresh_process_it_acts_as_in_its_run(tmp_path: Path) -> None:
    identity = write_bundle(tmp_path, agent_files())
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path), identity], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # What it held in the episodes of its run is in the bundle, made without a decider.
    assert float(done.stdout) <= contents.PROBE_TOLERANCE
    assert np.abs(agent_bundle().array(agents.PROBE_POSITIONS)).max() > 0.4
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "decided.parquet"), at_once(agent_bundle()), check_exact=True
    )


def without(files: Files, column: str) -> Files:
    """The same bundle whose policies are shown one column of their account less."""
    changed = dict(files)
    for name in files:
        if name.startswith("seed-") and name.endswith("policy.json"):
            about = json.loads(files[name])
            about["environment"]["account"].remove(column)
            changed[name] = json.dumps(about).encode()
    return changed


def test_a_missing_column_of_its_account_shows_in_the_probe_and_stops_at_the_gate() -> None:
    rules = GateRules(row_p99_ms=1000)
    assert missing_evidence(agent_bundle("td3"), rules) == ()
    shown = {column: Bundle.from_files(without(agent_files("td3"), column), "b" * 64) for column in ACCOUNT_FEATURES}
    apart = {column: bundle.probe_error() for column, bundle in shown.items()}
    assert min(apart.values()) > contents.PROBE_TOLERANCE, apart
    (missing,) = missing_evidence(shown["position"], rules)
    assert missing.startswith("probe equal to")


def test_every_file_that_was_altered_or_is_missing_is_refused(tmp_path: Path) -> None:
    files = agent_files()
    identity = write_bundle(tmp_path, files)
    place = place_of(tmp_path, identity)
    for name, content in files.items():
        (place / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BadModel, match=f"{name} was altered"):
            read_bundle(place, identity)
        (place / name).write_bytes(content)
    assert read_bundle(place, identity) == files
    for name in ("seed-1-policy.json", "seed-0-training.json", agents.PROBE_POSITIONS):
        with pytest.raises(BadModel, match=f"lacks {name}"):
            Bundle.from_files({one: content for one, content in files.items() if one != name}, "a" * 64)


def test_parts_of_another_bundle_or_version_are_refused() -> None:
    files, other = agent_files(), one_seed_files()
    # Seeds of one training belong together; they are not what the probe was made with.
    assert Bundle.from_files(other, "a" * 64).probe_error() > contents.PROBE_TOLERANCE
    foreign = agent_files("td3")
    with pytest.raises(BadModel, match="are not of one training"):
        Bundle.from_files(files | {one: foreign[one] for one in foreign if one.startswith("seed-1-")}, "a" * 64)
    with pytest.raises(BadModel, match="has no output spread"):
        Bundle.from_files(files | {contents.GRAPH: bundle_files()[contents.GRAPH]}, "a" * 64)
    spec = json.loads(files[contents.SPEC])
    for changed in ({"format": 1}, {"family": "linear"}):
        altered = files | {contents.SPEC: json.dumps(spec | changed).encode()}
        with pytest.raises(BadModel, match="has format"):
            Bundle.from_files(altered, "a" * 64)
    assert essence(files) != essence(other)


def test_it_is_registered_and_enters_production_by_the_same_gate(tmp_path: Path) -> None:
    registry = Registry(tmp_path, GateRules(row_p99_ms=1000))
    files = agent_files()
    for one in (files, told_otherwise(files, verdict="watch")):
        registry.register(one)
    spec = registry.load(1).spec
    assert (spec.name, spec.family, spec.evidence.verdict) == ("ppo", "agent", "go")
    assert spec.parameters["agent"]["algorithm"] == "ppo" and spec.training["seeds"] == 2
    assert missing_evidence(registry.load(1), GateRules(row_p99_ms=1000)) == ()
    assert "verdict go" in missing_evidence(registry.load(2), GateRules(row_p99_ms=1000))[0]
    assert TERMS.universe.symbols == spec.universe.symbols


def test_what_decides_is_in_the_fingerprint_of_its_decider() -> None:
    """A state that was saved with another policy, or other costs of its account, is not gone on with."""
    files: dict[str, Any] = agent_files()
    spec = json.loads(files[contents.SPEC])
    spec["trading"]["costs"]["taker_fee_bps"] = 7.0
    dearer = Bundle.from_files(files | {contents.SPEC: json.dumps(spec).encode()}, "a" * 64)
    other = Bundle.from_files(one_seed_files(), "a" * 64)
    prints = {one.decider().fingerprint for one in (agent_bundle(), other, dearer)}
    assert len(prints) == 3
