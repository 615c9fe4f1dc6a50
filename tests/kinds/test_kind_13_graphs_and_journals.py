"""Kind 13, at the doors of a running service: graphs that grow when they are run, data outside them, endless lines."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tradewind.errors import BadData, BadModel
from tradewind.learning.models.onnx_forecaster import LARGEST_BATCH, OnnxForecaster
from tradewind.learning.models.sequence.exported import make_session
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import LONGEST_LINE

BATCH_ROWS = LARGEST_BATCH // 8  # of two features
WEIGHT = helper.make_tensor("w", TensorProto.FLOAT, [2, 4], np.arange(8.0).tolist())
PROGRAM = """
import re, sys
from pathlib import Path
import numpy as np
from tradewind.errors import BadData, BadModel
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.journal import Journal, read
folder = Path(sys.argv[1])
for name in ("constant.onnx", "expanded.onnx", "tiled.onnx"):
    try:
        OnnxForecaster.from_bytes((folder / name).read_bytes(), ["a", "b"]).predict_row(np.zeros(2, np.float32))
    except BadModel as error:
        assert "within 256 MB" in str(error) or "cannot be read" in str(error), error
    else:
        raise SystemExit(f"{name} was run")
holes = folder / "holes.jsonl"
assert len(list(read(holes))) == 1 and verify(holes).records == 1
with Journal(holes) as journal:
    assert journal.head[0] == 1 and journal.torn_bytes > 600 << 20
try:
    list(read(folder / "long.jsonl"))
except BadData as error:
    assert "record 2 is longer than any" in str(error)
else:
    raise SystemExit("the long line was read")
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10)
"""


def graph(*nodes: onnx.NodeProto, **numbers: list[int]) -> bytes:
    """A forecaster of two features; `numbers` are constants of whole numbers."""
    constants = [helper.make_tensor(name, TensorProto.INT64, [len(one)], one) for name, one in numbers.items()]
    read_, said = (helper.make_tensor_value_info(*about) for about in (
        ("features", TensorProto.FLOAT, ["n", 2]), ("forecast", TensorProto.FLOAT, ["n", 4])))  # fmt: skip
    made = helper.make_graph(list(nodes), "g", [read_], [said], [WEIGHT, *constants])
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString())


HONEST = graph(helper.make_node("MatMul", ["features", "w"], ["forecast"]))


def bombs() -> dict[str, bytes]:
    node, times = helper.make_node, helper.make_node("MatMul", ["z", "w"], ["forecast"])
    total = node("ReduceSum", ["big", "axis"], ["z"], keepdims=0)
    zeros = node("ConstantOfShape", ["shape"], ["big"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0]))
    added = node("Add", ["features", "y"], ["z"])
    return {
        "constant.onnx": graph(zeros, node("ReduceSum", ["big"], ["y"], keepdims=1), added, times,
                               shape=[1, 400_000_000]),
        "expanded.onnx": graph(node("Expand", ["features", "shape"], ["big"]), total, times,
                               shape=[500_000_000, 1, 2], axis=[0]),
        "tiled.onnx": graph(node("Unsqueeze", ["features", "axis"], ["f"]), node("Tile", ["f", "shape"], ["big"]),
                            total, times, shape=[500_000_000, 1, 1], axis=[0]),
    }  # fmt: skip


def test_graphs_and_journals_made_to_fill_the_memory_are_refused_below_half_a_gigabyte(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("peak memory is told in kB on Linux only")
    for name, content in bombs().items():
        assert len(content) < 400
        (tmp_path / name).write_bytes(content)
    for name in ("holes", "long"):
        with Journal(tmp_path / f"{name}.jsonl") as journal:
            journal.append([Entry("begun", {})], 1)
    with (tmp_path / "holes.jsonl").open("ab") as file:
        file.truncate(700 << 20)
    with (tmp_path / "long.jsonl").open("ab") as file:
        file.truncate(700 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr[-2000:]
    assert int(found.stdout) < 512


def test_an_honest_graph_says_the_same_in_batches_of_any_size() -> None:
    model = OnnxForecaster.from_bytes(HONEST, ["a", "b"])
    x = np.random.default_rng(1).standard_normal((BATCH_ROWS + 3, 2)).astype(np.float32)
    np.testing.assert_allclose(model.predict_many(x), x @ np.arange(8, dtype=np.float32).reshape(2, 4), rtol=1e-5)
    assert model.predict_many(x[:0]).shape == (0, 4)


@pytest.mark.parametrize("name", ["inside.bin", "../outside.bin", "/etc/hostname"])
def test_a_graph_with_its_data_in_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    for one in (tmp_path / "folder/inside.bin", tmp_path / "outside.bin"):
        one.write_bytes(bytes(32))
    monkeypatch.chdir(tmp_path / "folder")
    model = onnx.ModelProto.FromString(HONEST)
    (weight,) = model.graph.initializer
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", "0"), ("length", "32")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    for opened in (lambda content: OnnxForecaster.from_bytes(content, ["a", "b"]), make_session):
        with pytest.raises(BadModel, match="cannot be read"):
            opened(model.SerializeToString())


def test_a_record_that_is_longer_than_a_line_may_be_is_not_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        with pytest.raises(BadData, match=r"a journal's line 8,388,608 at most"):
            journal.append([Entry("begun", {}), Entry("large", {"text": "x" * LONGEST_LINE})], 1)
        assert journal.head[0] == 0
        journal.append([Entry("begun", {"text": "x" * (LONGEST_LINE - 200)})], 1)
    assert verify(tmp_path / "j.jsonl").records == len(list(read(tmp_path / "j.jsonl"))) == 1
