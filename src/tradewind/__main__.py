"""`tradewind`: the light commands of what is in production, above all those of a paper account that must act at once.

`tradewind run` is `kedro run` for the installed package. Else Kedro is not loaded, but by `paper` itself; the commands
of the service are in `tradewind.console`.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tradewind.errors import BadParameters, TradewindError
from tradewind.operations.journal.halt_file import write_halt_file

FOLDER = Path("data/09_paper/run")
SERVING = {
    "serve": "answer forecasts over REST, gRPC and protocol v2",
    "token": "make a token for the service",
    "models": "what is registered: list, compare, move, roll back",
    "canary": "try a successor beside the champion",
    "backup": "keep journal, registry and stores in one sealed file, while everything runs",
    "backup-key": "make the key of backups",
    "restore": "bring a backup back",
    "rollout": "stages of capital: where it stands, evidence, approvals, forward and back",
    "alarms": "tell people of alarms: check the rules, receive, watch, test",
}
ORDERS = ("pause", "reduce", "resume", "flatten", "override")


def main(given: list[str] | None = None) -> int:
    """Run a command; 0, or 1 with one line that says what is wrong."""
    words = sys.argv[1:] if given is None else given
    if words[:1] == ["paper"]:
        os.execvp(sys.executable, [sys.executable, "-m", "kedro", *words])  # noqa: S606 - our own interpreter
    if words[:1] and words[0] in SERVING:
        from tradewind.console import main as console

        console(words, prog_name="tradewind")
    try:
        if words[:1] == ["run"] or _is_option_of_run(words):
            _run(words[1:] if words[0] == "run" else words)
        options = _parser().parse_args(words)
        options.run(options)
    except TradewindError as error:
        print(f"tradewind: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _is_option_of_run(words: list[str]) -> bool:
    """Whether the first word is an option of `kedro run`, as those of packaged Kedro projects are written."""
    return bool(words) and words[0].startswith("-") and words[0] not in ("-h", "--help")


def _run(words: list[str]) -> None:
    """`kedro run`, with whose configuration Kedro comes to life: so that is looked for first."""
    given = any(word.partition("=")[0] == "--conf-source" or word in ("--help", "-h") for word in words)
    if not given and not (Path("conf") / "base").is_dir():
        raise BadParameters(
            f"there is no configuration in {Path.cwd()}: run it in a folder that holds the project's `conf`, or name "
            "one with --conf-source; `kedro package` puts it beside the wheel (tar -xzf conf-tradewind.tar.gz)"
        )
    from tradewind.cli.pipelines import run_packaged

    run_packaged(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tradewind", description="What is in production: models, and paper accounts.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("run", help="run pipelines, in a folder with the configuration (see `tradewind run --help`)")
    commands.add_parser("paper", help="open a paper account (see `kedro paper --help`)")
    for name, purpose in SERVING.items():
        commands.add_parser(name, help=purpose)
    halt = commands.add_parser("halt", help="stop all orders at once, also while the process hangs")
    halt.set_defaults(run=_halt)
    for name in ORDERS:
        order = commands.add_parser(name, help=f"{name} the running account")
        order.set_defaults(run=_order, action=name)
        if name == "resume":
            order.add_argument("--reset", default="", help="limits that begin anew: daily_loss, drawdown")
        if name == "override":
            order.add_argument("--code", required=True)
            order.add_argument("--minutes", type=float, required=True)
        _who(order)
    _who(halt)
    status = commands.add_parser("status", help="state, equity, positions, limits")
    status.add_argument("--folder", type=Path, default=FOLDER)
    status.set_defaults(run=_status)
    journal = commands.add_parser("journal", help="verify, show or export a journal").add_subparsers(required=True)
    for name, run in (("verify", _verify), ("show", _show), ("export", _export)):
        one = journal.add_parser(name)
        one.add_argument("folder", type=Path, nargs="?", default=FOLDER)
        one.set_defaults(run=run)
        if name == "verify":
            one.add_argument("--anchors", type=Path, default=None, help="heads kept elsewhere")
        else:
            one.add_argument("--kind", default="", help="only records of this kind")
            one.add_argument("--after", type=int, default=0, help="only records after this number")
        if name == "export":
            one.add_argument("--output", type=Path, required=True, help="file to write, JSON lines")
    return parser


def _who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True)
    parser.add_argument("--who", default=os.environ.get("USER", "operator"))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the run")


def _print(line: str) -> None:
    print(line)  # noqa: T201


def _halt(options: argparse.Namespace) -> None:
    if not options.folder.is_dir():
        raise BadParameters(f"there is no run in {options.folder}: name its folder with --folder")
    path = write_halt_file(options.folder, f"{options.who}: {options.reason}")
    _print(f"{path} is there: no order leaves. `tradewind resume` lifts it")


def _ask(folder: Path, path: str, body: dict[str, str] | None = None) -> dict[str, object]:
    try:
        address = str(json.loads((folder / "address.json").read_bytes())["address"])
        if body is not None:
            body = {**body, "token": (folder / "token").read_text(), "as": "json"}
    except OSError as error:
        raise BadParameters(f"no paper account runs in {folder}: name its folder with --folder") from error
    if not address.startswith("http://127.0.0.1:"):
        raise BadParameters(f"{folder / 'address.json'} names another machine: {address}")
    content = urllib.parse.urlencode(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(address + path, content, timeout=10) as answer:  # noqa: S310 - checked above
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        found = json.loads(error.read() or b"{}") if error.code == 409 else {"refused": f"status {error.code}"}
        raise BadParameters(str(found["refused"])) from error
    except (urllib.error.URLError, TimeoutError) as error:
        raise BadParameters(f"the process does not answer at {address}: `tradewind halt` works without it") from error
    return dict(found)


def _order(options: argparse.Namespace) -> None:
    body = {"action": options.action, "who": options.who, "reason": options.reason}
    if options.action == "resume":
        body["reset"] = options.reset.replace(",", " ")
    if options.action == "override":
        body |= {"code": options.code, "minutes": str(options.minutes)}
    found = _ask(options.folder, "control", body)
    _print(f"{found['state']}{' paused' if found['paused'] else ''}: {found['reason']}")


def _status(options: argparse.Namespace) -> None:
    for name, value in _ask(options.folder, "v1/state").items():
        _print(f"{name:<12} {json.dumps(value)}")


def _verify(options: argparse.Namespace) -> None:
    from tradewind.operations.journal.anchors import verify

    path = options.folder / "journal.jsonl" if options.folder.is_dir() else options.folder
    found = verify(path, options.anchors)
    torn = f"; {found.torn_bytes} bytes of an unfinished record at its end" if found.torn_bytes else ""
    _print(f"{path}: {found.records} records, each as it was written; {found.anchors} anchors met{torn}")
    _print(f"head {found.records} {found.hash}")


def _show(options: argparse.Namespace) -> None:
    from tradewind.operations.journal.journal import read

    for one in read(options.folder / "journal.jsonl", options.after):
        if options.kind in ("", one.kind):
            _print(f"{one.seq:>7} <- {one.cause:<7} {one.kind:<14} {json.dumps(one.body)[:400]}")


def _export(options: argparse.Namespace) -> None:
    from tradewind.atomic import write_bytes
    from tradewind.operations.journal.journal import read
    from tradewind.operations.journal.records import canonical

    chosen = [one for one in read(options.folder / "journal.jsonl", options.after) if options.kind in ("", one.kind)]
    write_bytes(options.output, b"".join(canonical(one._asdict()) + b"\n" for one in chosen))
    _print(f"{len(chosen)} records written to {options.output}")


if __name__ == "__main__":
    sys.exit(main())
