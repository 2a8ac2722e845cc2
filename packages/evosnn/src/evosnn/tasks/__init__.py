"""Tasks in which networks live: batched over rows, each row an individual's episode."""
