"""The stages of the pipeline, one module each, and what they share in the packages beside them."""

import gc
import sys

# `python -m stages.x` imports this package first, before libraries that take seconds to load
if sys.argv[:1] == ["-m"]:
    from stages.interrupted import end_quietly_on_interrupt

    end_quietly_on_interrupt()
    gc.disable()  # imports leave nothing to collect; looking for it takes a tenth of their time
