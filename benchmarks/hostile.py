"""Two hundred hostile or broken files, each imported in a process of its own: none may run, crash it, or get in.

    python benchmarks/hostile.py
    python benchmarks/hostile.py --every 8    # every eighth alone

A payload that ran would leave a mark on the disk. Files are made from fixed numbers, so that every run meets the same.
"""

import argparse
import collections
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import hostile_files

SECONDS = 60
MEMORY_BYTES = 6 << 30  # of addresses, of which torch alone takes more than half


def tried(source: str, marks: Path) -> tuple[str, str]:
    """How an import ended, in a child process: `refused`, `taken`, `bug` or `crash`, and the message."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.chdir(marks)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(writing, json.dumps(imported(source)).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if status or not said:
        return "crash", f"status {status}"
    kind, message = json.loads(said)
    return kind, message


def imported(source: str) -> tuple[str, str]:
    from mynah.core.errors import MynahError
    from mynah.voices.adoption import adopt

    try:
        adopt(source, "singer")
    except MynahError as error:
        message = f"{type(error).__name__}: {error}"
        # An error without a reason is no answer.
        return ("refused" if len(str(error)) > 10 and "\n" not in str(error) else "bug"), message[:400]
    except BaseException:
        return "bug", traceback.format_exc()[-2000:]
    return "taken", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take only every so many")
    parser.add_argument("--show", action="store_true", help="print every message")
    args = parser.parse_args()
    outcomes: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["MYNAH_HOME"] = str(place / "home")
        shelf = place / "home" / "voices"
        marks = place / "marks"
        marks.mkdir()
        # Before anything is forked, so that children have it already, and to see that the honest one gets in.
        honest = hostile_files.honest(place)
        assert imported(str(honest)) == ("taken", ""), imported(str(honest))
        assert (shelf / "singer" / "weights.safetensors").exists()
        from mynah.voices import library

        library.remove("singer")
        sources = list(hostile_files.all_of_them(place / "files", marks).items())[:: args.every]
        for what, source in sources:
            before = sorted(marks.iterdir())
            kind, message = tried(source, marks)
            if sorted(marks.iterdir()) != before:
                kind, message = "ran", f"left {sorted(marks.iterdir())}"
            left = [path.name for path in shelf.iterdir() if path.name != ".lock"]
            if kind == "refused" and left:
                kind, message = "bug", f"left {left} in the library"
            if kind == "taken":
                library.remove("singer")
            outcomes[kind] += 1
            kinds[message.partition(":")[0] if kind == "refused" else kind] += 1
            if kind != "refused" or args.show:
                print(f"{kind}: {what}: {message}", file=sys.stdout if kind == "refused" else sys.stderr)
    print(f"{len(sources)} files")
    print(f"{outcomes['ran']} executed code")
    print(f"{outcomes['crash']} crashed the process, {outcomes['bug']} ended in a bug")
    print(f"{outcomes['taken']} got in")
    print(f"{outcomes['refused']} gave a typed error: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    return 0 if outcomes["refused"] == len(sources) else 1


if __name__ == "__main__":
    sys.exit(main())
