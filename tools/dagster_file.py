"""Write the Dagster definitions in docs/scheduling anew from the pipelines: `python tools/dagster_file.py`.

Rendered as kedro-airflow renders its DAG, from the same settings; kedro-airflow itself can name one file only.
"""

from pathlib import Path

import jinja2
import yaml
from kedro.framework.project import configure_project

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = PROJECT / "docs/scheduling"
MADE = FOLDER / "tradewind_exchange_dagster.py"
ENV = "exchange"


def rendered() -> str:
    """The file's text, by the pipelines as they are now."""
    configure_project("tradewind")
    from tradewind.pipeline_registry import register_pipelines

    settings = yaml.safe_load((PROJECT / "conf/base/airflow.yml").read_text())["default"]
    environment = jinja2.Environment(
        autoescape=True, loader=jinja2.FileSystemLoader(FOLDER), lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.get_template("dagster_definitions.j2")
    return template.render(env=ENV, pipeline=register_pipelines()["__default__"], **settings)


if __name__ == "__main__":
    MADE.write_text(rendered())
    print(f"written: {MADE.relative_to(PROJECT)}")
