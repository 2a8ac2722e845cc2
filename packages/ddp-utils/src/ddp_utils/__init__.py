"""What every training run shares: processes, data sharding, precision, memory, checkpoints, stopping, logs."""
