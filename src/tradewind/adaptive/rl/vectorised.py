"""What every environment of many episodes answers to stable-baselines3, which expects environments inside."""

from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from tradewind.errors import BadParameters


class OneMarketVecEnv(VecEnv):
    """Episodes that share one market and its rules, stepped in one call: none of them is an object of its own."""

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute, the same for every episode; None for what there is not (as the render mode)."""
        return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: episodes share one market and its rules.

        Args:
            attr_name: named in the message.
            value: not used.
            indices: not used.
        """
        raise BadParameters(f"{attr_name} cannot be set: make another environment")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Refused: there are no environments inside.

        Args:
            method_name: named in the message.
            method_args: not used.
            indices: not used.
            method_kwargs: not used.
        """
        raise BadParameters(f"there is no method {method_name} of single episodes")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Never."""
        return [False for _ in self._get_indices(indices)]
