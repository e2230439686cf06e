"""What every stage needs: parameters, paths, files, errors, and how a stage runs."""

import logging
import sys
from importlib.util import find_spec

# Everything of the project imports this room first, so a Python without the packages ends here in one message, not in a
# traceback about the first package that is missing.
if sys.version_info < (3, 11):  # noqa: UP036 (this file is what an older one reads)
    sys.exit("error: Python 3.11 or newer is needed, " + sys.executable + " is " + sys.version.split()[0])
MISSING = [
    name for name in ("filelock", "pydantic", "yaml", "torch", "transformers", "peft", "datasets") if find_spec(name) is None
]
if MISSING:
    sys.exit(
        f"error: {sys.executable} lacks {', '.join(MISSING)}; activate the environment of this project (. .venv/bin/activate), "
        "or make it first (make setup)"
    )
# PEFT loads it wherever it is installed, and it then tells each time which of its kernels for inference in bfloat16 it lacks
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
