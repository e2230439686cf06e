"""python -m stages.forecast

Says which stages `dvc repro` will run and for how long, from metrics/durations.json. `make repro` starts with it, so it also
clears away what keeps DVC from starting after a kill.
"""

import json
import subprocess

from stages.forecast import in_use
from stages.project.durations import expected, total
from stages.project.parameters import load_params
from stages.project.pipeline import stage_definitions, stages_after
from stages.project.running import report_errors


def main() -> None:
    """Print a line for each stage that is to run, and one for all of them."""
    in_use.mend()
    params, definitions = load_params(), stage_definitions()
    changed = changed_stages(list(definitions))
    later = stages_after(changed, definitions)
    stages = [stage for stage in definitions if stage in changed or stage in later]
    for stage in stages:
        print(f"{stage:14} {expected(stage, definitions[stage], params).phrase}")
    if stages:
        print(f"{'all':14} {total(stages, definitions, params).phrase}; less where DVC has the results in its cache", flush=True)


def changed_stages(names: list[str]) -> set[str]:
    """Return the stages whose inputs or outputs changed, as `dvc status` says; all of them if it cannot say."""
    done = subprocess.run(["dvc", "status", "--json"], capture_output=True, text=True, check=False)
    try:
        return set(json.loads(done.stdout)) & set(names)
    except ValueError:
        return set(names)


if __name__ == "__main__":
    with report_errors():
        main()
