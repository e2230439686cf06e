"""DVC's note of the files that are in use, which a process that is killed while it writes leaves half written."""

import json
import time
from pathlib import Path

IN_USE = Path(".dvc/tmp/rwlock")
LOOKS = 3
PAUSE = 0.3  # seconds between two looks


def mend(note: Path = IN_USE) -> None:
    """Delete the note if it is no JSON, and say so: DVC refuses to start as long as it is there.

    It is looked at several times, since a DVC that works may be writing it.
    """
    for look in range(LOOKS):
        try:
            json.loads(note.read_text(encoding="utf-8"))
            return
        except FileNotFoundError:
            return
        except ValueError:
            if look < LOOKS - 1:
                time.sleep(PAUSE)
    note.unlink(missing_ok=True)
    print(f"{note}: left half written by a process that was killed; deleted", flush=True)
