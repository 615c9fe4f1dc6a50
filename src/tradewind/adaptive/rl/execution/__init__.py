"""Agents that execute an order: trained through the equations of the impact worlds, held against what is known there."""
