"""A job that is killed in its step `filters`, as by the kernel when memory runs out."""

from __future__ import annotations

import os
import signal

print('@omnivideo {"event": "progress", "stage": "filters", "in": 1}', flush=True)
os.kill(os.getpid(), signal.SIGKILL)
