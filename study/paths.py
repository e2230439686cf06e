"""Where the study writes its files, relative to the project's folder."""

from stages.project.paths import METRICS, SCRATCH

FOLDER = METRICS / "study"
CELLS = FOLDER / "cells"  # one file per finished cell
INPUTS = FOLDER / "inputs"  # per method, the code, data and settings on which its cells depend
RATES = FOLDER / "rates.json"
TABLE = FOLDER / "cells.csv"
SECONDS = FOLDER / "seconds.csv"  # measured with a clock: in git, in no hash

KEPT = SCRATCH / "study"
FEATURES = KEPT / "features"
LOCKS = KEPT / "locks"
LOGS = KEPT / "logs"
