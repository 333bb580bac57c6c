"""The vendor's own tests as judges of a running gateway.

    CLOUDINARY_URL=cloudinary://KEY:SECRET@CLOUD?upload_prefix=http://127.0.0.1:PORT \
        .venv/bin/python tests/gateway/judges/run.py python|node|java CHECKOUT [NAME...]

CHECKOUT is a folder with the source of the SDK of that language, tests included. The gateway must be allowed
to fetch pictures from this machine (TAGSTREAM_ALLOW_SOURCES=127.0.0.1:9555).
"""

import os
import sys
import tempfile
from pathlib import Path

import pictures
import scope
import suites

PORT = 9555


def main() -> int:
    """Run one language's suite, and tell how each test in scope went."""
    language, checkout = sys.argv[1], Path(sys.argv[2]).absolute()
    if "upload_prefix=http://127.0.0.1:" not in os.environ.get("CLOUDINARY_URL", ""):
        sys.exit("CLOUDINARY_URL must name a gateway on this machine, by upload_prefix=http://127.0.0.1:PORT")
    pictures.Pictures(PORT, checkout)
    bench = suites.Bench(checkout, Path(tempfile.mkdtemp(prefix="judges-")), f"http://127.0.0.1:{PORT}")
    print(f"work and log in {bench.scratch}")
    named = {name: sys.argv[3:] or names for name, names in scope.JAVA.items()}
    verdicts = getattr(suites, language)(bench, named)
    told = [scope.told(language, verdict) for verdict in verdicts]
    for where in scope.PLACES:
        rows = [row for row in told if row[0] == where]
        print(f"\n{where}: {len(rows)}")
        for _, name, why in rows if where != "sent nothing" else ():
            print(f"  {name}" + (f"   {why}" if why else ""))
    return any(row[0] == "failed" for row in told)


if __name__ == "__main__":
    sys.exit(main())
