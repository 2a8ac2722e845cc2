"""A planner that learns the model it plans in (Schrittwieser et al. 2020, Hubert et al. 2021)."""

from evosnn.muzero.mcts import SearchConfig as SearchConfig
from evosnn.muzero.planner import MuZero as MuZero
from evosnn.muzero.planner import MuZeroConfig as MuZeroConfig
