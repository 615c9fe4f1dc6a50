"""`python -m tradewind.console`, the same as `tradewind`."""

from tradewind.console import main

main(prog_name="tradewind")
