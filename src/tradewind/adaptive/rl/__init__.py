"""Agents: a market to act in with the backtest's own arithmetic, rewards, training, policies without pickles."""
