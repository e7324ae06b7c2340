"""The code that runs in Lambda: one module per consumer, plus `handlers.cdc`, the runtime they share."""
