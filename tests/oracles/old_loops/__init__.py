"""The loops over an account as they were before `engine.account`: what the one loop must equal."""
