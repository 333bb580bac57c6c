"""Instructions per image of fold, encode, index and loop, held against what is accepted.

    python -m benchmarks.instructions [--accept]

Counted by Valgrind (`make programs` installs it) on fixed input, without Kafka; half a minute, and the same
within half a per cent with the same libraries, whatever else the machine does. For an image with eight tags:

    fold    its outcome into changed rows, in a transaction of a hundred
    encode  these rows and its records into bytes and batches, and the rows applied
    index   what queries need, told of each row
    loop    its upload through a unit: parse, order, data URL, rules, tasks; all but the fold and Kafka

Ends with 1 where one is more than 5 % above what benchmarks/results/instructions.json has for this Python,
with 2 where nothing can be counted, with 3 where that file has nothing to compare with. `--accept` writes it.
"""

import sys

from benchmarks.instructions.accepted import NOT_COUNTED, accept, accepted, interpreter, judged
from benchmarks.instructions.counted import CountingError, count
from benchmarks.program import parser_of


def main() -> None:
    """Read the command line, count and judge."""
    parser = parser_of(__doc__)
    parser.add_argument("--accept", action="store_true", help="hold the next ones against these")
    options = parser.parse_args()
    try:
        counts = count()
    except CountingError as error:
        print(f"instructions: {error}", file=sys.stderr)
        sys.exit(NOT_COUNTED)
    verdict = judged(counts, accepted().get(interpreter()))
    print(verdict.text)
    if options.accept:
        accept(counts)
        return
    sys.exit(verdict.code)


if __name__ == "__main__":
    main()
