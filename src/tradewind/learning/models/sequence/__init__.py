"""Networks that read a window of bars: windows, heads, backbones, training, and the forecaster around them."""
