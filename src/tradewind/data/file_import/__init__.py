"""Files as found in the wild: what they hold, understood with evidence or asked for, every row accounted for."""
