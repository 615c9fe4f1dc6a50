"""Every named fault is noticed by the narrow tests beside it, and those tests pass without it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutation.fault import Fault
from tests.mutation.faults import FAULTS
from tests.mutation.runner import BROKEN, KILLED, ROOT, SURVIVED, copied_source, judge


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    with copied_source() as folder:
        yield folder


@pytest.mark.depth
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_fault_is_noticed(copy: Path, fault: Fault) -> None:
    verdict, said = judge(copy, *fault[1:])
    assert verdict == KILLED, said


TESTS = sorted({(fault.tests, fault.plain) for fault in FAULTS})


@pytest.mark.depth
@pytest.mark.parametrize(("tests", "plain"), TESTS)
def test_the_same_tests_pass_without_a_fault(copy: Path, tests: str, plain: bool) -> None:
    """Else any fault would be noticed: a comment is put in instead of one."""
    right = "class TradewindError(Exception):"
    verdict, said = judge(copy, "errors.py", right, f"# no fault\n{right}", tests, plain)
    assert verdict == SURVIVED, said


def test_every_fault_can_be_put_in_and_is_named_once() -> None:
    """What was renamed or moved since is seen here, without running anything."""
    for fault in FAULTS:
        source = (ROOT / "src" / "tradewind" / fault.file).read_text()
        assert source.count(fault.right) == 1, f"{fault.name}: {fault.file} has it {source.count(fault.right)} times"
        assert fault.wrong != fault.right
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 60


@pytest.mark.depth
def test_a_fault_that_changes_nothing_survives_and_one_that_cannot_be_put_in_is_told(copy: Path) -> None:
    tests = "tests/trading/execution/test_costs.py"
    right = "return self.taker_fee_bps * 1e-4 +"
    assert judge(copy, "trading/execution/costs.py", right, right.replace("return ", "return  "), tests)[0] == SURVIVED
    assert judge(copy, "trading/execution/costs.py", "no such text", "", tests)[0] == BROKEN
