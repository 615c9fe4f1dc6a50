"""Sessions of ONNX Runtime that are given one thread and no more than so much memory.

A graph of 250 bytes may ask for gigabytes: its size says nothing about the tensors that it makes. All sessions of a
process share one arena, which refuses what is beyond its limit.
"""

import threading
from typing import Any

MOST_BYTES = 256 << 20
_LIMITED, _LOCK = threading.Event(), threading.Lock()
_SAME_AS_REQUESTED = 1  # the arena grows by what is asked for, not to the next power of two


def open_session(content: bytes) -> Any:
    """A session of the graph; whatever ONNX Runtime says against it is raised as it is.

    Args:
        content: of an ONNX file without data outside it.
    """
    import onnxruntime

    _limit_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is raised
    options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _limit_memory() -> None:
    """Once a process: ONNX Runtime refuses a second arena."""
    import onnxruntime

    with _LOCK:
        if _LIMITED.is_set():
            return
        _LIMITED.set()
        _make_arena(onnxruntime)


def _make_arena(onnxruntime: Any) -> None:
    arena = onnxruntime.OrtArenaCfg({"max_mem": MOST_BYTES, "arena_extend_strategy": _SAME_AS_REQUESTED})
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, arena)
