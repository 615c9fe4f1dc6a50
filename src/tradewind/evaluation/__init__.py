"""From forecasts to positions, accounts and what may be said of them; tables in, tables out, no Kedro."""
