"""Hold a run folder until killed: python hold_run_folder.py FOLDER."""

import sys
import time
from pathlib import Path

from ddp_utils.run_folder import lock_run_folder

with lock_run_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
