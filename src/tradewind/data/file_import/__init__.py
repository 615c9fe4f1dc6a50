"""Imports files of unknown layout: detects what they hold, reports the evidence, and accounts for every row."""
