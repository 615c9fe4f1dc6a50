"""A bundle in the forms of other servers. The graph is the same file everywhere: whoever runs it gets the same."""

from tradewind.learning.models.onnx_forecaster import INPUT, OUTPUT
from tradewind.operations.bundle.contents import GRAPH, SPEC, Bundle
from tradewind.operations.bundle.sealing import Files


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
