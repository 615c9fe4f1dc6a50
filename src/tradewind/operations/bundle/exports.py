"""A bundle in the forms of other servers. The graph is the same file everywhere: whoever runs it gets the same."""

import io
import json
import zipfile
from pathlib import Path

from tradewind.learning.models.onnx_forecaster import INPUT, OUTPUT
from tradewind.operations.bundle.contents import GRAPH, SPEC, Bundle
from tradewind.operations.bundle.sealing import Files

HANDLER = "torchserve_handler.py"


def triton_repository(bundle: Bundle, version: int) -> Files:
    """A model repository of Triton Inference Server, which KServe's Triton runtime reads, too; names are paths.

    Args:
        bundle: what is exported.
        version: its number in the registry, which is its folder's name.
    """
    forecaster, name = bundle.forecaster, bundle.spec.name
    window = [forecaster.window_bars] if forecaster.reads_windows else []
    shape = ", ".join(str(size) for size in (*window, len(forecaster.features)))
    config = f"""name: "{name}"
platform: "onnxruntime_onnx"
max_batch_size: 1024
input [ {{ name: "{INPUT}" data_type: TYPE_FP32 dims: [ {shape} ] }} ]
output [ {{ name: "{OUTPUT}" data_type: TYPE_FP64 dims: [ 4 ] }} ]
version_policy: {{ specific: {{ versions: [ {version} ] }} }}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
dynamic_batching {{ }}
parameters {{ key: "identity" value: {{ string_value: "{bundle.identity}" }} }}
"""
    return {
        f"{name}/config.pbtxt": config.encode(),
        f"{name}/{version}/model.onnx": bundle.files[GRAPH],
        f"{name}/features.txt": "\n".join(forecaster.features).encode() + b"\n",
        f"{name}/{SPEC}": bundle.files[SPEC],
    }


def torchserve_archive(bundle: Bundle, version: int) -> bytes:
    """A model archive (.mar) of TorchServe, which is unmaintained upstream (pytorch/serve #3396).

    Args:
        bundle: what is exported.
        version: its number in the registry.

    Returns:
        The same bytes for the same bundle.
    """
    manifest = {
        "createdOn": bundle.spec.created_at, "runtime": "python",
        "model": {
            "modelName": bundle.spec.name, "serializedFile": "model.onnx", "handler": HANDLER,
            "modelVersion": str(version),
        },
        "archiverVersion": "0.12.0",
    }  # fmt: skip
    files = {
        "MAR-INF/MANIFEST.json": json.dumps(manifest, indent=2).encode(),
        "model.onnx": bundle.files[GRAPH],
        HANDLER: Path(__file__).with_name(HANDLER).read_bytes(),
        "features.txt": "\n".join(bundle.forecaster.features).encode() + b"\n",
        SPEC: bundle.files[SPEC],
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
