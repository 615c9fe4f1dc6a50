"""Commands that give registered models to other tools."""

from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import mlflow_settings

FORMS = ("onnx", "triton", "mlflow", "tensorflow", "torchserve")
REGISTRY = click.option(
    "--registry", "folder", type=click.Path(path_type=Path), default=Path("data/09_deployment/registry"),
    show_default=True, help="Folder of the registry.",
)  # fmt: skip


def _registry(project: ProjectMetadata, folder: Path) -> Any:
    from tradewind.errors import BadParameters
    from tradewind.operations.registry.registry import Registry

    place = folder if folder.is_absolute() else project.project_path / folder
    if not place.is_dir():
        raise BadParameters(f"there is no registry at {place}: run kedro run --pipelines deployment first")
    return Registry(place)


@click.command("export-model")
@click.argument("version", type=int)
@click.option("--form", type=click.Choice(FORMS), default="onnx", show_default=True,
              help="One file; a repository of Triton and KServe; a model of MLflow; a SavedModel; a .mar.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), required=True, help="File or folder to write.")
@REGISTRY
@click.pass_obj
def export_model(project: ProjectMetadata, version: int, form: str, output: Path, folder: Path) -> None:
    """Write the registered VERSION in another server's form, after its hashes were checked."""
    from tradewind.atomic import write_bytes
    from tradewind.errors import BadParameters
    from tradewind.operations.bundle.contents import GRAPH
    from tradewind.operations.bundle.exports import torchserve_archive, triton_repository
    from tradewind.operations.bundle.saved_model import save_saved_model

    bundle = _registry(project, folder).load(version)
    if bundle.agent is not None:
        raise BadParameters(
            f"version {version} is the agent {bundle.spec.name}: another server keeps no account for its policies to "
            "see. Its files (decision.onnx, seed-N-policy.onnx) are in the registry; tradewind serve and kedro paper "
            "decide with it"
        )
    if form == "onnx":
        write_bytes(output, bundle.files[GRAPH])
    elif form == "triton":
        for name, content in triton_repository(bundle, version).items():
            write_bytes(output / name, content)
    elif form == "torchserve":
        write_bytes(output, torchserve_archive(bundle, version))
    elif form == "tensorflow":
        save_saved_model(bundle, output)
    else:
        from tradewind.tracking.models import save_mlflow_model

        save_mlflow_model(bundle, output)
    click.echo(f"written to {output}")


@click.command("mirror-registry")
@REGISTRY
@click.pass_obj
def mirror_registry(project: ProjectMetadata, folder: Path) -> None:
    """Show versions and roles in MLflow, as aliases such as `production-champion`. Nothing here ever reads them."""
    tracking_uri = mlflow_settings(project)["server"]["mlflow_tracking_uri"]
    made = mirror(_registry(project, folder), tracking_uri, project.project_path / "mlartifacts/mirror")
    click.echo(f"{made} versions are new in MLflow; aliases are as in the registry")


def mirror(registry: Any, tracking_uri: str, artifacts: Path) -> int:
    """Make MLflow's registry say what ours says; how many versions were new to it.

    Args:
        registry: ours.
        tracking_uri: of MLflow.
        artifacts: folder for the exported models.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    from tradewind.operations.registry.records import ENVIRONMENTS
    from tradewind.tracking.models import save_mlflow_model

    client, known, made = MlflowClient(tracking_uri, tracking_uri), dict[int, tuple[str, str]](), 0
    for one in registry.versions():
        name = f"tradewind.{one.name}"
        try:
            client.get_registered_model(name)
        except MlflowException:
            client.create_registered_model(name)
        found = client.search_model_versions(f"name = '{name}'")
        there = {entry.tags.get("identity"): entry.version for entry in found}
        if one.identity not in there:
            path = artifacts / one.identity[:24]
            if not path.exists():
                save_mlflow_model(registry.load(one.version), path)
            tags = {"identity": one.identity, "version": str(one.version), "verdict": one.verdict}
            there[one.identity] = client.create_model_version(name, str(path), tags=tags).version
            made += 1
        known[one.version] = (name, str(there[one.identity]))
    for name in {name for name, _ in known.values()}:
        for alias in client.get_registered_model(name).aliases:
            client.delete_registered_model_alias(name, alias)
    for environment in ENVIRONMENTS:
        for role, version in registry.roles(environment)._asdict().items():
            if version is not None:
                name, number = known[version]
                client.set_registered_model_alias(name, f"{environment}-{role}", number)
    return made
