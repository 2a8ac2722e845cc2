"""Ids of the environments. Importing this does not import torch: entry points are names."""

from __future__ import annotations

import gymnasium

ENTRY_POINTS = {
    "evosnn/Steer-v0": "evosnn.envs.steer:SteerEnv",
    "evosnn/Grow-v0": "evosnn.envs.grow:GrowEnv",
    "evosnn/TMaze-v0": "evosnn.envs.t_maze:TMazeEnv",
    "evosnn/HiddenCartPole-v0": "evosnn.envs.hidden_cart_pole:HiddenCartPoleEnv",
}
_BATCHED = {
    "evosnn/TMaze-v0": "evosnn.envs.t_maze:TMazeVectorEnv",
    "evosnn/HiddenCartPole-v0": "evosnn.envs.hidden_cart_pole:HiddenCartPoleVectorEnv",
}
_THRESHOLDS = {"evosnn/TMaze-v0": 80.0, "evosnn/HiddenCartPole-v0": 475.0}


def register() -> None:
    """Register all environments; those that are registered already stay as they are."""
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=entry_point,
                vector_entry_point=_BATCHED.get(env_id),
                reward_threshold=_THRESHOLDS.get(env_id),
                max_episode_steps=500 if env_id == "evosnn/HiddenCartPole-v0" else None,
            )
