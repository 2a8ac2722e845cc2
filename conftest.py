"""Settings of every test process."""

import os

# threads that wait by spinning slow everything down where tests share their cores; read when torch loads
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
