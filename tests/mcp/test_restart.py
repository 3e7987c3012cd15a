"""The company is stopped and started again: what had ended is still known, what had not goes on."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from company import ERAS

pytestmark = pytest.mark.anyio


def children(pid: int) -> set[int]:
    """All that a process has started, and what those have."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child} | children(child)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_finished_tasks_stay_readable_and_unfinished_ones_go_on(own_company, transport, era):
    company, go = own_company, own_company.meeting / "go"
    async with company.client(transport, era) as asked:
        done = await asked.delegate("echo kept; exit 0", department="qa")
        before = await asked.ended(done)
        stopped = await asked.delegate("sleep 600", department="product")
        await asked.until(stopped, "running")
        await asked.ok("cancelTask", task_id=stopped)
        running = await asked.delegate(f"until test -e {go}; do sleep 0.05; done; echo went on", department="qa")
        await asked.until(running, "running")
        started = children(company.process.pid)
    assert started
    assert company.stop() == 0, company.story.read_text()
    assert not {pid for pid in started if alive(pid)}

    go.touch()
    company.start()
    async with company.client(transport, era) as asked:
        assert await asked.ok("getTaskStatus", task_id=done) == before
        assert await asked.log(done) == ["kept"]
        assert (await asked.ok("getTaskStatus", task_id=stopped))["status"] == "cancelled"
        after = await asked.ended(running)
        assert after["status"] == "completed" and "went on" in after["result"]["output"]
        # Being stopped with the company was not the task's fault.
        assert after["attempt"] == 1
    assert company.stop() == 0, company.story.read_text()


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_outlives_a_restart_of_the_company(own_company, era):
    """No session is kept, so there is none to lose: with the same port the client just goes on."""
    company = own_company
    async with company.client("http", era) as asked:
        done = await asked.delegate("echo kept")
        before = await asked.ended(done)
        assert company.stop() == 0, company.story.read_text()
        company.listen = urlsplit(company.web).netloc
        company.start()
        assert await asked.ok("getTaskStatus", task_id=done) == before
    assert company.stop() == 0, company.story.read_text()
