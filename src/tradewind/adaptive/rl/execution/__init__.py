"""Agents that execute an order: trained through the impact worlds' equations, and held against their optima."""
