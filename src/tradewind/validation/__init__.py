"""How often the verdict is wrong, on markets whose answer is known."""
