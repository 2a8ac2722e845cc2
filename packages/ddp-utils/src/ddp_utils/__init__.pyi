from .atomic import atomic_file, atomic_folder
from .bad_batch import BadBatchBudget, TooManyBadBatchesError
from .checkpoint import Checkpoint, CheckpointError, Checkpoints, verify_checkpoint
from .distributed import (
    RemoteError,
    World,
    all_max,
    all_min,
    all_true,
    any_true,
    barrier,
    broadcast_object,
    gather_objects,
    is_main,
    process_group,
    raise_together,
    rank,
    resolve_device,
    run_on_main,
    world_size,
)
from .gradients import all_finite, all_reduce_gradients, broadcast_module
from .launcher import EXIT_RESUMABLE, is_launched, launch, report_exit
from .log import setup_logging
from .memory import find_batch_size, is_out_of_memory, memory_report, retry_on_out_of_memory
from .metrics import MetricsLog, WeightedMeans, read_metrics
from .precision import Precision, PrecisionName
from .progress_bar import progress
from .random_state import capture_random_state, restore_random_state
from .row_threads import over_rows
from .run_folder import RunFolderInUseError, environment, lock_run_folder, write_environment
from .sampler import DistributedBatchSampler
from .seed import keyed_generator, keyed_numpy_generator, seed_everything
from .sharded_stream import ShardedStream, shard_stream
from .stopping import EarlyStopping, SignalStop, Stopped
from .tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from .training_config import TrainingConfig, learning_rate_at
from .training_loop import mean_losses, split_held_out, train_model

__all__ = [
    "EXIT_RESUMABLE",
    "BadBatchBudget",
    "Checkpoint",
    "CheckpointError",
    "Checkpoints",
    "DistributedBatchSampler",
    "EarlyStopping",
    "FileFormatError",
    "MetricsLog",
    "Precision",
    "PrecisionName",
    "RemoteError",
    "RunFolderInUseError",
    "ShardedStream",
    "SignalStop",
    "Stopped",
    "TooManyBadBatchesError",
    "TrainingConfig",
    "WeightedMeans",
    "World",
    "all_finite",
    "all_max",
    "all_min",
    "all_reduce_gradients",
    "all_true",
    "any_true",
    "atomic_file",
    "atomic_folder",
    "barrier",
    "broadcast_module",
    "broadcast_object",
    "capture_random_state",
    "environment",
    "find_batch_size",
    "gather_objects",
    "is_launched",
    "is_main",
    "is_out_of_memory",
    "keyed_generator",
    "keyed_numpy_generator",
    "launch",
    "learning_rate_at",
    "lock_run_folder",
    "mean_losses",
    "memory_report",
    "over_rows",
    "process_group",
    "progress",
    "raise_together",
    "rank",
    "read_metrics",
    "read_tensor_file",
    "report_exit",
    "resolve_device",
    "restore_random_state",
    "retry_on_out_of_memory",
    "run_on_main",
    "seed_everything",
    "setup_logging",
    "shard_stream",
    "split_held_out",
    "train_model",
    "verify_checkpoint",
    "world_size",
    "write_environment",
    "write_tensor_file",
]
