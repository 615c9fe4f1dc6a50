"""What a run leaves in MLflow and TensorBoard: called by the hooks, never by a node."""

from tradewind.tracking.recorders import RECORDERS, record_parameters, take_over
from tradewind.tracking.store import COMPARED, load_run, make_store

__all__ = ["COMPARED", "RECORDERS", "load_run", "make_store", "record_parameters", "take_over"]
