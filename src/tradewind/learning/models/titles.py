"""What models are called in tables and pages; apart from the models, so that no page is made anew by a new one."""

# As people write them, where the words of the name alone do not do.
TITLES = {
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "lstm": "LSTM",
    "tft": "TFT",
    "mlp": "MLP",
    "gaussian_nb": "naive Bayes",
}
