"""Boosted trees as one node of an ONNX graph, with the thresholds and the leaves in double precision.

Written from each library's own dump: converters round the thresholds to single precision, and a row that lies on one
then falls to the other side.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tradewind.errors import BadModel

CLASSES = 3


@dataclass
class TreeNodes:
    """The nodes of all trees, in the columns that `TreeEnsembleRegressor` wants.

    Attributes:
        rows: one a node: tree, node, feature, threshold, mode, true node, false node, whether missing goes to true.
        leaves: one a leaf: tree, node, class, value.
        base: what is added to each class.
    """

    rows: list[tuple[int, int, int, float, str, int, int, int]] = field(default_factory=list)
    leaves: list[tuple[int, int, int, float]] = field(default_factory=list)
    base: tuple[float, ...] = (0.0,) * CLASSES

    def add_leaf(self, tree: int, node: int, kind: int, value: float) -> None:
        """A leaf of one class.

        Args:
            tree: number of the tree.
            node: its number within the tree.
            kind: index of the class that the value counts for.
            value: added to the raw score of the class.
        """
        self.rows.append((tree, node, 0, 0.0, "LEAF", 0, 0, 0))
        self.leaves.append((tree, node, kind, value))

    def attributes(self) -> dict[str, Any]:
        """The attributes of the ONNX node."""
        from onnx import numpy_helper

        tree, node, feature, threshold, mode, true, false, missing = zip(*self.rows, strict=True)
        of_tree, of_node, kind, value = zip(*self.leaves, strict=True)

        def doubles(values: Any, name: str) -> Any:
            return numpy_helper.from_array(np.array(values, dtype=np.float64), name)

        return {
            "n_targets": CLASSES, "post_transform": "NONE", "aggregate_function": "SUM",
            "nodes_treeids": tree, "nodes_nodeids": node, "nodes_featureids": feature, "nodes_modes": mode,
            "nodes_truenodeids": true, "nodes_falsenodeids": false, "nodes_missing_value_tracks_true": missing,
            "nodes_values_as_tensor": doubles(threshold, "thresholds"),
            "target_treeids": of_tree, "target_nodeids": of_node, "target_ids": kind,
            "target_weights_as_tensor": doubles(value, "leaves"),
            "base_values_as_tensor": doubles(self.base, "base"),
        }  # fmt: skip


def lightgbm_nodes(content: bytes, rounds: int) -> TreeNodes:
    """The first `rounds` of a LightGBM model in its text format.

    Raises:
        BadModel: a split that is not `<=`, or a model that takes zeros for missing.
    """
    import lightgbm

    dumped = lightgbm.Booster(model_str=content.decode()).dump_model(num_iteration=rounds)
    nodes = TreeNodes()
    for number, tree in enumerate(dumped["tree_info"]):
        _add_lightgbm(nodes, number, number % CLASSES, tree["tree_structure"])
    return nodes


def _add_lightgbm(nodes: TreeNodes, tree: int, kind: int, root: Mapping[str, Any]) -> None:
    waiting, last = [(0, root)], 0
    while waiting:
        number, branch = waiting.pop()
        if "leaf_value" in branch:
            nodes.add_leaf(tree, number, kind, float(branch["leaf_value"]))
            continue
        if branch["decision_type"] != "<=" or branch["missing_type"] == "Zero":
            raise BadModel(
                f"a split {branch['decision_type']!r} with missing {branch['missing_type']!r} cannot be exported"
            )
        threshold = float(branch["threshold"])
        # Where training saw nothing missing, LightGBM reads a missing value as 0.
        to_left = bool(branch["default_left"]) if branch["missing_type"] == "NaN" else threshold >= 0.0
        left, right = last + 1, last + 2
        last += 2
        split = int(branch["split_feature"])
        nodes.rows.append((tree, number, split, threshold, "BRANCH_LEQ", left, right, int(to_left)))
        waiting += [(left, branch["left_child"]), (right, branch["right_child"])]


def xgboost_nodes(content: bytes, rounds: int) -> TreeNodes:
    """The first `rounds` of an XGBoost model in UBJSON."""
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    learner = json.loads(booster.save_raw(raw_format="json"))["learner"]
    model = learner["gradient_booster"]["model"]
    base = np.atleast_1d(json.loads(learner["learner_model_param"]["base_score"]))
    nodes = TreeNodes(base=tuple(np.broadcast_to(base.astype(np.float32).astype(np.float64), CLASSES).tolist()))
    for number, (tree, kind) in enumerate(zip(model["trees"], model["tree_info"], strict=True)):
        if number >= rounds * CLASSES:
            break
        for node, left in enumerate(tree["left_children"]):
            # The dump writes as few digits as name the single: read as a double, a row on the threshold changes sides.
            condition = float(np.float32(tree["split_conditions"][node]))
            if left == -1:
                nodes.add_leaf(number, node, int(kind), condition)
                continue
            right, split = tree["right_children"][node], tree["split_indices"][node]
            missing = int(tree["default_left"][node])
            nodes.rows.append((number, node, int(split), condition, "BRANCH_LT", int(left), int(right), missing))
    return nodes
