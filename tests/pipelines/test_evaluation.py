"""From forecasts to a verdict, on a market small enough to make up."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.evaluation.accounts import SensitivityRules
from tradewind.evaluation.positions import judged_strategy
from tradewind.evaluation.robustness import RobustnessRules
from tradewind.evaluation.roles import with_role
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.ensemble.joining import EnsembleRules
from tradewind.market import schema
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.verdict import VerdictRules
from tradewind.pipelines.evaluation import nodes
from tradewind.pipelines.evaluation.ensemble_nodes import combine_forecasts
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.setup import TradingSetup
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules

UNIVERSE = Universe(venue="made", symbols=("A", "B"), timeframe="1h")
COSTS = Costs(taker_fee_bps=5.0, half_spread_bps=1.0, slippage_share_of_volatility=0.02)
SETUP = TradingSetup(
    costs=COSTS,
    execution=OrderRules(),
    signal=SignalRules(entry_threshold=0.1, exit_threshold=0.02, cost_multiple=0.0),
    sizing=SizingRules(target_volatility_annual=0.4, max_position=1.0, volatility_window=24),
)
N, WARM = 3_000, 600
ORIGIN = pd.Timestamp("2024-01-01", tz="UTC").as_unit("ms")
HOUR = pd.Timedelta(hours=1).as_unit("ms")
Tables = dict[str, Callable[[], pd.DataFrame]]


def lazily(tables: dict[str, pd.DataFrame]) -> Tables:
    return {name: lambda table=table: table for name, table in tables.items()}


def market(seed: int, strength: float) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Bars whose drift is known a bar before, and forecasts that know it."""
    tables, forecasts = {}, []
    opened = pd.Series(ORIGIN + HOUR * np.arange(N)).astype("datetime64[ms, UTC]")
    for at, symbol in enumerate(UNIVERSE.symbols):
        rng = np.random.default_rng([seed, at])
        known = np.repeat(rng.choice([-1.0, 1.0], N // 50), 50)
        change = 0.005 * rng.standard_normal(N)
        change[1:] += strength * 0.005 * known[:-1]
        close = 100 * np.exp(np.cumsum(change))
        opening = np.concatenate([[100.0], close[:-1]])
        tables[UNIVERSE.partition(symbol)] = pd.DataFrame(
            {
                "venue": "made",
                "symbol": symbol,
                "timeframe": "1h",
                "timestamp": opened + HOUR,
                "open_time": opened,
                "open": opening,
                "high": np.maximum(opening, close),
                "low": np.minimum(opening, close),
                "close": close,
                "volume": 1.0,
                "segment": np.repeat(np.array([0, 1], dtype=np.int32), [1_500, N - 1_500]),
            }
        )
        chance = 0.4 + 0.2 * (known > 0)
        rows = {"symbol": symbol, "timestamp": opened + HOUR, "p_down": 1 - chance, "p_flat": 0.0, "p_up": chance}
        forecasts.append(pd.DataFrame(rows))
    table = pd.concat(forecasts, ignore_index=True).assign(
        model="knowing", family="made", seed=7, path=-1, horizon=1, expected_return=np.nan
    )
    return tables, table


def folds() -> pd.DataFrame:
    edges = ORIGIN + HOUR * np.array([WARM, 1_200, 1_800, 2_400, N - 10])
    return pd.DataFrame(
        {
            "fold": np.arange(4),
            "train_start": pd.Series([ORIGIN] * 4),
            "train_end": edges[:-1],
            "test_start": edges[:-1],
            "test_end": edges[1:],
            "role": ["walk_forward"] * 3 + ["holdout"],
        }
    )


def in_folds(forecasts: pd.DataFrame) -> pd.DataFrame:
    """The forecasts of the test windows, with their fold."""
    inside = forecasts[
        (forecasts["timestamp"] >= folds()["test_start"].min()) & (forecasts["timestamp"] < folds()["test_end"].max())
    ]
    return with_role(inside, folds()).drop(columns="role").reset_index(drop=True)


NO_ORACLE = pd.DataFrame({"symbol": [], "timestamp": [], "target": []}).astype({"symbol": "str"})
NO_AGENTS: Tables = {}
NO_ENSEMBLE = pd.DataFrame()
NO_RULES = EnsembleRules()
FUNDING = pd.DataFrame(
    {"series": "funding", "symbol": "A", "known_at": ORIGIN + 8 * HOUR * np.arange(300), "value": 1e-4}
)


def traded(tables: dict[str, pd.DataFrame]) -> TradedMarket:
    return nodes.load_market(lazily(tables), FUNDING, UNIVERSE, SETUP)


def gathered(*tables: pd.DataFrame) -> Tables:
    """As a gathered dataset hands tables over: a function each, by the place of its file."""
    return lazily({f"stage/{number}": table for number, table in enumerate(tables)})


def decide(tables: dict[str, pd.DataFrame], *forecasts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    told = gathered(*map(in_folds, forecasts))
    return nodes.make_positions(
        traded(tables), folds(), told, NO_AGENTS, NO_ORACLE, 7, NO_ENSEMBLE, VerdictRules(), NO_RULES
    )


def verdict_of(seed: int, strength: float) -> tuple[dict[str, object], pd.DataFrame]:
    tables, forecasts = market(seed, strength)
    bars, positions = traded(tables), lazily(decide(tables, forecasts))
    accounts, trades = nodes.run_backtests(positions, bars)
    for account in accounts.values():
        schema.Backtest.validate(account)
    assert (trades["knowing"]["exit_time"] > trades["knowing"]["entry_time"]).all()
    returns, parts = nodes.aggregate_portfolios(positions, lazily(accounts), bars, folds(), {})
    assert set(parts["by"]) == {"fold", "symbol", "year"}
    stress = SensitivityRules(cost_multiples=(0.0, 1.0, 2.0, 3.0))
    costs = nodes.measure_cost_sensitivity(positions, bars, folds(), stress)
    boards = nodes.rank_strategies(returns, StatisticsRules(n_resamples=200, mean_block_days=3), 7, bars)
    at_once = costs[costs["cost_multiple"] == 1.0].set_index("strategy")["total_return"]
    pd.testing.assert_series_equal(
        at_once.sort_index(), boards[0].set_index("strategy")["total_return"].sort_index(), rtol=2e-3, atol=2e-3
    )
    significance, selection, ledger, _ = nodes.measure_significance(
        returns, [], bars, {}, StatisticsRules(n_resamples=200, mean_block_days=3), 7
    )
    trials, looks = ([entry for entry in ledger if entry["kind"] == kind] for kind in ("trial", "holdout"))
    assert [entry["strategy"] for entry in trials] == ["knowing"] and selection["trials"] == 1
    assert len(looks) == selection["holdout_looks"] == 1
    # The same run again is the same trial and the same look; another result in the holdout is another look.
    rules = StatisticsRules(n_resamples=100, mean_block_days=3)
    again = nodes.measure_significance(returns, ledger, bars, {}, rules, 7)[1]
    assert (again["trials"], again["holdout_looks"]) == (1, 1)
    other = returns.assign(net=returns["net"].where(returns["role"] != "holdout", returns["net"] + 1e-4))
    assert nodes.measure_significance(other, ledger, bars, {}, rules, 7)[1]["holdout_looks"] == 2
    return nodes.judge_strategies(*boards, costs, significance, selection, VerdictRules()), boards[0]


def test_who_knows_the_drift_is_told_apart_from_who_does_not() -> None:
    found, board = verdict_of(1, 0.4)
    assert (found["verdict"], found["strategy"]) == ("go", "knowing")
    assert board["strategy"].iloc[0] == "knowing"
    found, _ = verdict_of(1, 0.0)
    assert (found["verdict"], found["edge"]) == ("no-go", "not shown")


def test_every_strategy_is_judged_on_the_same_bars_of_the_test_windows() -> None:
    positions = decide(*market(2, 0.2))
    keys = {name: pd.MultiIndex.from_frame(table[["symbol", "timestamp"]]) for name, table in positions.items()}
    for name, table in positions.items():
        schema.Positions.validate(table)
        assert keys[name].equals(keys["knowing"])
        assert table["timestamp"].min() >= folds()["test_start"].min()
        assert table["timestamp"].max() < folds()["test_end"].max()


def test_a_model_is_flat_where_it_has_no_forecast() -> None:
    tables, forecasts = market(3, 0.2)
    silent = (forecasts["timestamp"] >= ORIGIN + 1_000 * HOUR) & (forecasts["timestamp"] < ORIGIN + 1_100 * HOUR)
    table = decide(tables, forecasts[~silent])["knowing"]
    inside = (table["timestamp"] >= ORIGIN + 1_000 * HOUR) & (table["timestamp"] < ORIGIN + 1_100 * HOUR)
    assert (table.loc[inside, "target"] == 0).all()
    assert (table.loc[~inside, "target"] != 0).any()


RULES = ("knowing", "buy_and_hold", "time_series_momentum", "mean_reversion", "last_bar_reversal")


@pytest.mark.parametrize("cut", range(WARM + 10, 2_900, 230))
def test_prices_and_forecasts_of_the_future_change_no_earlier_target(cut: int) -> None:
    (first, known), (second, other) = market(4, 0.2), market(5, 0.2)
    instant = ORIGIN + cut * HOUR
    tables = {
        name: pd.concat([table[table["timestamp"] <= instant], second[name][second[name]["timestamp"] > instant]])
        for name, table in first.items()
    }
    forecasts = pd.concat([known[known["timestamp"] <= instant], other[other["timestamp"] > instant]])
    before, after = decide(first, known), decide(tables, forecasts.sort_values(["symbol", "timestamp"]))
    for name in RULES:
        early = before[name]["timestamp"] <= instant
        pd.testing.assert_frame_equal(before[name][early], after[name][early])


def test_the_same_seed_gives_the_same_positions() -> None:
    tables, forecasts = market(6, 0.2)
    first, second = decide(tables, forecasts), decide(tables, forecasts)
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name])


def test_the_holdouts_forecasts_reach_no_walk_forward_target() -> None:
    tables, forecasts = market(7, 0.2)
    start = folds()["test_start"].iloc[-1]
    turned = forecasts.copy()
    late = turned["timestamp"] >= start
    turned.loc[late, ["p_down", "p_up"]] = forecasts.loc[late, ["p_up", "p_down"]].to_numpy()
    first, second = decide(tables, forecasts), decide(tables, turned)
    for name, table in first.items():
        early = table["timestamp"] < start
        pd.testing.assert_frame_equal(table[early], second[name][early])
    assert not first["knowing"].equals(second["knowing"])


def test_a_forecast_from_another_folds_model_stops_the_run() -> None:
    tables, forecasts = market(8, 0.2)
    stale = in_folds(forecasts).assign(fold=lambda table: (table["fold"] + 1) % 4)
    with pytest.raises(BadData, match="outside their fold.s test window"):
        nodes.make_positions(
            traded(tables), folds(), gathered(stale), NO_AGENTS, NO_ORACLE, 7, NO_ENSEMBLE, VerdictRules(), NO_RULES
        )


def test_a_rule_does_not_look_back_across_a_gap() -> None:
    tables, forecasts = market(9, 0.2)
    shifted = {
        name: table.assign(
            **{
                column: table[column].where(table["segment"] == 0, table[column] * 3)
                for column in ("open", "high", "low", "close")
            }
        )
        for name, table in tables.items()
    }
    first, second = decide(tables, forecasts), decide(shifted, forecasts)
    for name, table in first.items():
        np.testing.assert_allclose(table["target"], second[name]["target"], atol=1e-9)


def test_the_ledger_counts_each_model_once_and_other_markets_never() -> None:
    tables, forecasts = market(1, 0.2)
    bars, positions = traded(tables), lazily(decide(tables, forecasts))
    accounts, _ = nodes.run_backtests(positions, bars)
    returns, _ = nodes.aggregate_portfolios(positions, lazily(accounts), bars, folds(), {})
    rules = StatisticsRules(n_resamples=200)
    _, first, entries, days = nodes.measure_significance(returns, [], bars, {}, rules, 7)
    _, again, *_ = nodes.measure_significance(returns, entries, bars, {}, rules, 7)
    assert (first["trials"], again["trials"]) == (1, 1)
    assert len(days) == days["day"].nunique() and set(days.columns) == {"day", *positions}
    known, one = (next(entry for entry in entries if entry["kind"] == kind) for kind in ("market", "trial"))
    earlier = [known, *({**one, "key": str(n), "idea": str(n)} for n in range(30))]
    elsewhere = [{**entry, "market": "another", "marks": ["other"]} for entry in earlier]
    tried, more, *_ = nodes.measure_significance(returns, earlier, bars, {}, rules, 7)
    alone, other, *_ = nodes.measure_significance(returns, elsewhere, bars, {}, rules, 7)
    assert (more["trials"], other["trials"]) == (31, 1)
    deflated = [table.set_index("strategy").loc["knowing", "deflated_sharpe"] for table in (alone, tried)]
    assert deflated[0] > deflated[1]  # the same result is worth less after thirty tries


def test_what_is_varied_looks_at_the_walk_forward_folds_alone() -> None:
    (first, known), (second, _) = market(11, 0.3), market(12, 0.3)
    start = folds()["test_start"].iloc[-1]
    later = {
        name: pd.concat([table[table["timestamp"] < start], second[name][second[name]["timestamp"] >= start]])
        for name, table in first.items()
    }
    few = RobustnessRules(delays_bars=(0, 2), cost_multiples=(1,), capitals=(1e4,), entry_thresholds=(0.1, 0.3))
    found = []
    for tables in (first, later):
        positions = lazily(decide(tables, known))
        bars = traded(tables)
        stressed = nodes.stress_strategies(positions, bars, folds(), few, 7)
        plateau = nodes.vary_parameters(bars, folds(), few, gathered(in_folds(known)), NO_ENSEMBLE)
        found.append({**stressed, "plateau": plateau})
    for name, table in found[0].items():
        # The last decision of the last fold is filled by a bar of the holdout, which is not there.
        pd.testing.assert_frame_equal(table, found[1][name], obj=name)
    assert len(found[0]["plateau"]) == 10 and found[0]["stress"].empty
    worlds = found[0]["worlds"].set_index("world")["sharpe"]
    assert worlds["as it was"] > 0


@pytest.mark.parametrize("execution", [OrderRules(), OrderRules(stop_loss=0.01), OrderRules(take_profit=0.01)])
def test_tables_of_the_same_costs_agree_under_every_order_rule(execution: OrderRules) -> None:
    tables, known = market(17, 0.3)
    costs = Costs(taker_fee_bps=5.0, maker_fee_bps=5.0, half_spread_bps=0.0, slippage_share_of_volatility=0.0)
    setup = SETUP.model_copy(update={"costs": costs, "execution": execution})
    bars = nodes.load_market(lazily(tables), FUNDING, UNIVERSE, setup)
    positions = nodes.make_positions(
        bars, folds(), gathered(in_folds(known)), NO_AGENTS, NO_ORACLE, 7, NO_ENSEMBLE, VerdictRules(), NO_RULES
    )
    judged = lazily({"knowing": positions["knowing"]})
    at_once = nodes.measure_cost_sensitivity(judged, bars, folds(), SensitivityRules(cost_multiples=(1.0, 2.0)))
    sharpe = at_once["sharpe"].iloc[0]
    rules = RobustnessRules(side_bps=(5,), cost_multiples=(1,), delays_bars=(0,), capitals=(1e4,))
    found = nodes.stress_strategies(judged, bars, folds(), rules, 7)
    for name in ("costs", "delays"):
        assert found[name]["sharpe"].iloc[0] == pytest.approx(sharpe, rel=1e-9), name
    assert found["worlds"].set_index("world").loc["as it was", "sharpe"] == pytest.approx(sharpe, rel=1e-9)
    alone = UNIVERSE.model_copy(update={"symbols": ("A",), "reference_symbol": "A"})
    one = nodes.load_market(lazily({UNIVERSE.partition("A"): tables[UNIVERSE.partition("A")]}), FUNDING, alone, setup)
    only_a = {"knowing": positions["knowing"].query("symbol == 'A'").reset_index(drop=True)}
    without_b = nodes.measure_cost_sensitivity(
        lazily(only_a), one, folds(), SensitivityRules(cost_multiples=(1.0, 2.0))
    )
    left = found["leave_one_out"].query("left_out == 'symbol'").set_index("group")["sharpe"]
    assert left["B"] == pytest.approx(without_b["sharpe"].iloc[0], rel=1e-9)


def test_forecasts_are_compared_on_the_same_instants() -> None:
    tables, known = market(13, 0.4)
    rng = np.random.default_rng(1)
    inputs = {}
    for symbol in UNIVERSE.symbols:
        table = tables[UNIVERSE.partition(symbol)]
        chance = known[known["symbol"] == symbol]["p_up"].to_numpy()
        label = np.where(rng.random(len(table)) < chance, 1, -1).astype(np.int8)
        inputs[symbol] = table[["symbol", "timestamp"]].assign(label=label, horizon_end=table["timestamp"] + HOUR)
    blind = known.assign(model="blind", p_up=0.5, p_down=0.5)
    found = nodes.compare_forecasts(lazily(inputs), folds(), gathered(in_folds(known), in_folds(blind)), NO_ENSEMBLE)
    pairs = found.set_index(["model", "against"])
    assert pairs.loc[("knowing", "blind"), "statistic"] < -3
    assert pairs.loc[("knowing", "class shares"), "p_value"] < 0.01
    assert pairs.loc[("blind", "knowing"), "statistic"] == pytest.approx(-pairs.loc[("knowing", "blind"), "statistic"])
    assert pairs.loc[("blind", "class shares"), "loss"] == pytest.approx(np.log(2))


def test_every_seed_is_run_as_the_model_is() -> None:
    tables, known = market(14, 0.4)
    other = known.assign(seed=8)
    blind = known.assign(model="blind", seed=9, p_up=0.5, p_down=0.5)
    unseeded = known.assign(model="ruled", seed=0)
    own = {"s/knowing": in_folds(known), "s/blind": in_folds(blind), "s/ruled": in_folds(unseeded)}
    others = {"s/knowing": in_folds(other), "s/blind": in_folds(blind.assign(seed=10))}
    found = nodes.run_seeds(traded(tables), folds(), lazily(own), lazily(others))
    assert found[["model", "seed"]].to_numpy().tolist() == [["knowing", 7], ["blind", 9], ["knowing", 8], ["blind", 10]]
    assert found["sharpe"].iloc[0] == found["sharpe"].iloc[2] > 1 and found["sharpe"].iloc[1] == 0


def test_a_horizon_is_traded_where_its_quantiles_clear_the_costs() -> None:
    tables, known = market(15, 0.4)
    side = np.sign(known["p_up"] - 0.5)
    spread = np.array([-0.02, -0.008, 0.0, 0.008, 0.02])
    names = ["q05", "q25", "q50", "q75", "q95"]

    def told(model: str, horizon: int, size: float) -> pd.DataFrame:
        table = known[["symbol", "timestamp"]].assign(model=model, horizon=horizon)
        table[names] = spread + size * side.to_numpy()[:, None]
        return in_folds(table)

    few = [told("knowing", 4, 0.01), told("knowing", 24, -0.01), told("last_value", 4, 0.01), told("timid", 4, 0.0)]
    found = nodes.trade_horizons(traded(tables), folds(), gathered(*few))
    assert found[["model", "horizon"]].to_numpy().tolist() == [["knowing", 4], ["knowing", 24], ["timid", 4]]
    right, wrong, flat = found["sharpe"]
    assert right > 1 > -1 > wrong and flat == 0


def test_an_agents_positions_stand_beside_the_models() -> None:
    tables, known = market(16, 0.4)
    held = in_folds(known)[["symbol", "timestamp"]].assign(
        strategy="ppo", family="agent", seed=-1, path=-1, target=0.25
    )
    agents = held[held["timestamp"] >= held["timestamp"].iloc[10]]
    positions = nodes.make_positions(
        traded(tables),
        folds(),
        gathered(in_folds(known)),
        gathered(agents),
        NO_ORACLE,
        7,
        NO_ENSEMBLE,
        VerdictRules(),
        NO_RULES,
    )
    found = positions["ppo"].groupby("symbol", sort=False)["target"]
    assert positions["ppo"][["symbol", "timestamp"]].equals(positions["knowing"][["symbol", "timestamp"]])
    origin = ["family", "seed", "path"]
    assert set(map(tuple, positions["ppo"][origin].to_numpy().tolist())) == {("agent", -1, -1)}
    assert set(map(tuple, positions["knowing"][origin].to_numpy().tolist())) == {("made", 7, -1)}
    assert set(positions["buy_and_hold"]["family"]) == set(positions["random_same_turnover"]["family"]) == {"baseline"}
    assert (found.nth(-1) == 0.25).all() and found.first().tolist()[0] == 0.0  # flat where the agent says nothing


def test_agents_are_scored_seed_by_seed_against_holding() -> None:
    tables, known = market(17, 0.4)
    side = np.sign(known["p_up"] - 0.5)
    each = [
        in_folds(known)[["symbol", "timestamp"]].assign(strategy="ppo", seed=seed, target=sign * side)
        for seed, sign in ((7, 0.5), (8, 0.5), (9, -0.5))
    ]
    positions = decide(tables, known)
    bars = traded(tables)
    accounts, _ = nodes.run_backtests(lazily(positions), bars)
    returns, _ = nodes.aggregate_portfolios(lazily(positions), lazily(accounts), bars, folds(), {})
    told, rules = gathered(pd.concat(each)), StatisticsRules(n_resamples=200)
    scores, profile = nodes.score_agents(returns, bars, folds(), rules, 7, told)
    (row,) = scores.to_dict("records")
    assert profile["share"].iloc[0] == 1 and profile["share"].iloc[-1] == 0
    assert (row["strategy"], row["seeds"], row["folds"]) == ("ppo", 3, 3)
    assert 0.5 < row["above_zero"] < 0.8 and row["lowest"] < -1 < 1 < row["highest"]
    assert row["iqm_low"] < row["iqm"] < row["iqm_high"]


@pytest.mark.parametrize("judged", ["knowing", "cautious"])
def test_the_imitating_baselines_are_made_from_the_judged_strategy(judged: str) -> None:
    """Whichever model is the better one; the worse one has another exposure, and comes first."""
    tables, known = market(18, 0.4)
    cautious = known.assign(model="cautious")
    cautious.loc[cautious["timestamp"] > ORIGIN + HOUR * (N // 2), ["p_down", "p_up"]] = 0.5  # says nothing later
    wrong = known if judged == "cautious" else cautious
    wrong[["p_down", "p_up"]] = wrong[["p_up", "p_down"]].to_numpy()
    forecasts = (cautious, known) if judged == "knowing" else (known, cautious)
    positions = decide(tables, *forecasts)
    assert judged_strategy(positions, traded(tables), folds()) == judged
    mean = {
        name: with_role(table, folds()).assign(size=table["target"].abs()).groupby(["role", "symbol"])["size"].mean()
        for name, table in positions.items()
    }
    other = "knowing" if judged == "cautious" else "cautious"
    for imitation in ("random_same_turnover", "holding_same_exposure"):
        pd.testing.assert_series_equal(mean[imitation], mean[judged])
        assert not np.allclose(mean[imitation], mean[other])


def test_the_ensemble_is_judged_if_it_is_named_and_imitated() -> None:
    tables, known = market(18, 0.4)
    other = known.assign(model="other", **{"p_down": 1 / 3, "p_flat": 1 / 3, "p_up": 1 / 3})
    told = gathered(in_folds(known), in_folds(other))
    mean = combine_forecasts(told, NO_RULES, {}, {})
    named = VerdictRules(judged="equal_weight")
    positions = nodes.make_positions(traded(tables), folds(), told, NO_AGENTS, NO_ORACLE, 7, mean, named, NO_RULES)
    expected = in_folds(known).set_index(["symbol", "timestamp"])["p_up"] / 2 + 1 / 6
    found = mean.set_index(["symbol", "timestamp"])["p_up"]
    np.testing.assert_allclose(found, expected.reindex(found.index))
    size = {name: table["target"].abs().sum() for name, table in positions.items()}
    assert size["random_same_turnover"] == pytest.approx(size["equal_weight"])
    assert size["random_same_turnover"] != pytest.approx(size["knowing"])
    with pytest.raises(BadData, match="evaluation.verdict.judged: nobody is not among the strategies"):
        judged_strategy(positions, traded(tables), folds(), "nobody")


def test_ensembles_that_a_parameter_names_are_strategies_beside_the_mean() -> None:
    tables, known = market(18, 0.4)
    other = known.assign(model="other", **{"p_down": 1 / 3, "p_flat": 1 / 3, "p_up": 1 / 3})
    told = gathered(in_folds(known), in_folds(other))
    held = [
        in_folds(known)[["symbol", "timestamp"]].assign(strategy=name, family="agent", seed=-1, path=-1, target=target)
        for name, target in (("ppo", 0.5), ("td3", 0.3), ("sac", -1.0))
    ]
    labelled = {
        name: bars[["symbol", "timestamp"]].assign(
            label=np.sign(bars["close"].shift(-1) - bars["close"]), exit_time=bars["timestamp"] + HOUR,
            horizon_end=bars["timestamp"] + HOUR,
        )
        for name, bars in tables.items()
    }  # fmt: skip
    rules = EnsembleRules(forecasts=("stacking", "hedge"), agents=("agents_vote", "agents_weighted"))
    combined = combine_forecasts(told, rules, lazily(labelled), {})
    schema.Forecasts.validate(combined)
    assert set(combined["model"]) == {"equal_weight", "stacking", "hedge"}
    positions = nodes.make_positions(
        traded(tables), folds(), told, gathered(*held), NO_ORACLE, 7, combined, VerdictRules(judged="hedge"), rules
    )
    assert {"stacking", "hedge", "agents_vote", "agents_weighted"} <= set(positions)
    assert set(positions["agents_vote"]["target"]) == {0.4}  # two of three are long, by 0.5 and 0.3
    assert set(positions["hedge"]["family"]) == set(positions["agents_weighted"]["family"]) == {"ensemble"}
    size = {name: positions[name]["target"].abs().sum() for name in ("hedge", "random_same_turnover")}
    assert size["random_same_turnover"] == pytest.approx(size["hedge"])


def test_a_run_without_networks_or_searched_models_has_empty_tables() -> None:
    tables, _ = market(19, 0.2)
    bars = traded(tables)
    found = (
        nodes.trade_horizons(bars, folds(), {}), nodes.run_seeds(bars, folds(), {}, {}), nodes.run_paths({}, bars),
    )  # fmt: skip
    for table in found:
        assert table.empty and {"model", "sharpe"} <= set(table.columns)


def test_a_run_without_agents_has_empty_tables_of_the_same_columns() -> None:
    tables, known = market(19, 0.2)
    bars, positions = traded(tables), lazily(decide(tables, known))
    accounts, _ = nodes.run_backtests(positions, bars)
    returns, _ = nodes.aggregate_portfolios(positions, lazily(accounts), bars, folds(), {})
    scores, profile = nodes.score_agents(returns, bars, folds(), StatisticsRules(), 7, {})
    assert scores.empty and {"strategy", "iqm", "above_holding"} <= set(scores.columns)
    assert profile.empty and list(profile.columns) == ["strategy", "threshold", "share"]
