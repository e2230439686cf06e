# sh stages/project/activated.sh COMMAND      run a command in the project's environment, activated or not
#
# Stages run as `python`. After `. .venv/bin/activate` that is the right one. Where no environment is active (VIRTUAL_ENV is
# empty), .venv goes first in PATH: that of this folder, or of the checkout whose experiment this is, because `dvc exp run
# --temp` and `--queue` work in a folder below .dvc/tmp/exps. Without either, what PATH has is used.
if [ -z "$VIRTUAL_ENV" ]; then
    for folder in "$PWD" "${PWD%/.dvc/tmp/exps/*}"; do
        if [ -x "$folder/.venv/bin/$1" ]; then
            PATH="$folder/.venv/bin:$PATH"
            break
        fi
    done
fi
if ! command -v "$1" >/dev/null; then
    echo "error: there is no $1 in PATH, and no .venv; make the environment with \`make setup\`, or activate yours" >&2
    exit 1
fi
exec "$@"
