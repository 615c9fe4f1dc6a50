"""The project in a notebook: every table by its name, and what an idea comes to before it is in the library."""

from tradewind.notebook import logs  # noqa: F401 - before what imports Kedro's framework
from tradewind.notebook.project import NotebookProject, open_project

__all__ = ["NotebookProject", "open_project"]
