"""Every tool, over both transports, in both eras of the protocol."""

import time

import anyio
import pytest
from company import eventually, moment, told
from mcp import Client

pytestmark = pytest.mark.anyio

CONTRACT = {
    "cde_delegateTask",
    "cde_getTaskStatus",
    "cde_listActiveTasks",
    "cde_getWorkerStats",
    "cde_cancelTask",
    "cde_getTaskLog",
    "cde_listDepartments",
}


async def test_the_newest_protocol_is_found_by_itself(company, transport):
    async with Client(company.server(transport)) as client:
        assert client.protocol_version == "2026-07-28"
        assert client.server_info.name == "nexus"
        assert "cde_delegateTask" in client.instructions


async def test_tools_are_listed_with_hints_and_schemas(company, transport, era):
    async with company.client(transport, era) as asked:
        assert (asked.client.protocol_version == "2026-07-28") == (era == "stateless")
        tools = {tool.name: tool for tool in (await asked.client.list_tools()).tools}
        assert CONTRACT <= tools.keys()
        for tool in tools.values():
            assert tool.description and tool.annotations and tool.output_schema
            for name, schema in tool.input_schema["properties"].items():
                assert schema["description"], (tool.name, name)
        assert tools["cde_getTaskStatus"].annotations.read_only_hint
        assert tools["cde_cancelTask"].annotations.destructive_hint


async def test_a_task_from_delegation_to_result(company, transport, era, tmp_path):
    async with company.client(transport, era, cwd=tmp_path) as asked:
        begun = time.monotonic()
        answer = await asked.ok(
            "delegateTask",
            task_description="echo out; echo err >&2; pwd",
            task_type="testing",
            preferred_agent="shell",
            context={"why": "a test"},
            project_path=".",
        )
        # It never waits for the work; the bound is far above what it takes, and far below a process's life.
        assert time.monotonic() - begun < 5
        assert answer["status"] == "success"
        assert answer["message"] == "Task delegated successfully"
        assert (answer["department"], answer["assigned_agent"], answer["task_type"]) == ("qa", "shell", "testing")
        task = answer["task_id"]
        assert answer["log_uri"] == f"nexus://tasks/{task}/log"

        status = await asked.ended(task)
        assert status["status"] == "completed", status
        assert status["description"].startswith("echo out")
        assert (status["task_type"], status["department"], status["preferred_agent"]) == ("testing", "qa", "shell")
        assert (status["attempt"], status["error"]) == (1, None)
        assert status["worker_id"].startswith("qa/worker-")
        assert moment(status["created_at"]) <= moment(status["started_at"]) <= moment(status["completed_at"])
        assert status["result"]["exit_code"] == 0
        assert status["result"]["output"].startswith("out\n")
        if transport == "stdio":
            # The client's own directory, not the company's.
            assert status["project_path"] == str(tmp_path)

        lines = await asked.log(task)
        assert {"out", "err"} <= set(lines)
        resource = await asked.client.read_resource(answer["log_uri"])
        assert "out\n" in resource.contents[0].text and resource.contents[0].mime_type == "text/plain"
        assert (await asked.client.list_resource_templates()).resource_templates[0].uri_template == (
            "nexus://tasks/{id}/log"
        )


async def test_a_failing_task_says_why(company, transport, era):
    async with company.client(transport, era) as asked:
        status = await asked.ended(await asked.delegate("echo broken; exit 3"))
        assert status["status"] == "failed"
        assert status["result"]["exit_code"] == 3 and "3" in status["error"]
        assert "broken" in status["result"]["output"]


async def test_run_waits_and_reports_progress(company, transport, era):
    seen = []

    async def progress(count, _total, message):
        seen.append((count, message))

    async with company.client(transport, era) as asked:
        work = {"task_description": "echo first; sleep 1; echo last", "preferred_agent": "shell"}
        result = await asked.call("runTask", progress, **work)
        assert not result.is_error
        assert result.structured_content["status"] == "completed"
        assert result.structured_content["result"]["output"] == "first\nlast\n"
        counts = [count for count, _ in seen]
        assert counts and counts == sorted(set(counts))

        failed = await asked.call("runTask", task_description="exit 4", task_type="command")
        assert failed.is_error
        task = told(failed)
        assert (task["status"], task["result"]["exit_code"]) == ("failed", 4)


async def test_active_tasks_are_listed_and_cancelled(company, transport, era):
    async with company.client(transport, era) as asked:
        description = "sleep 600 # " + "x" * 200
        task = await asked.delegate(description, department="engineering")
        running = await asked.until(task, "running")
        assert running["completed_at"] is None and running["result"] is None

        active = await asked.ok("listActiveTasks", department="engineering")
        assert active["status"] == "success" and active["total_tasks"] >= 1
        (line,) = [line for line in active["tasks"] if line["task_id"] == task]
        assert line["description"] == description[:100] + "..."
        assert (line["status"], line["task_type"], line["preferred_agent"]) == ("running", "code_generation", "shell")

        stats = await asked.ok("getWorkerStats")
        assert (stats["status"], stats["max_workers"], len(stats["workers"])) == ("success", 6, 6)
        assert stats["active_workers"] >= 1 and stats["total_tasks_queued"] >= 0
        (worker,) = [worker for worker in stats["workers"] if worker["current_task"] == task]
        assert worker["is_busy"] and worker["worker_id"] == running["worker_id"]

        cancelled = await asked.ok("cancelTask", task_id=task)
        assert cancelled["message"] == "Task cancelled successfully" and cancelled["task_id"] == task
        # When it is said, it is so: there is nothing to wait for.
        assert (await asked.ok("getTaskStatus", task_id=task))["status"] == "cancelled"
        active = await asked.ok("listActiveTasks")
        assert task not in [line["task_id"] for line in active["tasks"]]
        everything = await asked.ok("listTasks", status=["cancelled"], limit=1000)
        assert task in [line["task_id"] for line in everything["tasks"]]
        again = await asked.refused("cancelTask", task_id=task)
        assert again["status"] == "error"


async def test_departments_are_listed(company, transport, era):
    async with company.client(transport, era) as asked:
        answer = await asked.ok("listDepartments")
        found = {department["name"]: department for department in answer["departments"]}
        assert found.keys() == {"engineering", "qa", "product"}
        assert found["qa"]["workers"] == 2 and found["qa"]["agents"] == ["shell"]
        assert found["qa"]["task_types"] == ["testing"] and found["qa"]["state"] == "running"


async def test_a_failed_task_is_retried(company, tmp_path):
    async with company.client() as asked:
        mark = company.meeting / tmp_path.name
        task = await asked.delegate(f"test -e {mark}")
        assert (await asked.ended(task))["status"] == "failed"
        mark.touch()
        assert (await asked.ok("retryTask", task_id=task))["task_id"] == task
        assert (await asked.until(task, "completed", "queued", "running"))["task_id"] == task

        async def completed():
            return (await asked.ok("getTaskStatus", task_id=task))["status"] == "completed"

        await eventually(completed, f"{task} was never completed")


async def test_three_departments_work_in_parallel_while_logs_are_read(company, transport, era, tmp_path):
    """Each task waits for the other two: they end only if they run at the same time."""
    names = ["engineering", "qa", "product"]
    place = company.meeting / tmp_path.name
    place.mkdir()
    meet = "; ".join(f"until test -e {place}/{name}; do sleep 0.05; done" for name in names)
    async with company.client(transport, era) as asked:
        tasks, took = {}, []

        async def delegate(name):
            begun = time.monotonic()
            command = f"echo {name} is here; touch {place}/{name}; {meet}; until test -e {place}/go; do sleep 0.05; done"
            tasks[name] = await asked.delegate(command, department=name)
            took.append(time.monotonic() - begun)

        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(delegate, name)
        assert max(took) < 5

        for name in names:
            await asked.until(tasks[name], "running")

            async def printed(name=name):
                return f"{name} is here" in await asked.log(tasks[name])

            await eventually(printed, f"{name}'s log can't be read while it runs")

        cancelled = await asked.ok("cancelTask", task_id=tasks["product"])
        assert cancelled["was"] == "running"
        (place / "go").touch()
        ended = {name: await asked.ended(tasks[name]) for name in names}
        assert {name: status["status"] for name, status in ended.items()} == {
            "engineering": "completed",
            "qa": "completed",
            "product": "cancelled",
        }
        latest_start = max(moment(status["started_at"]) for status in ended.values())
        earliest_end = min(moment(status["completed_at"]) for status in ended.values())
        assert latest_start < earliest_end


async def test_the_same_key_is_the_same_task(company, tmp_path):
    async with company.client() as asked:
        work = {"task_description": "echo x", "preferred_agent": "shell", "idempotency_key": str(tmp_path)}
        once = await asked.ok("delegateTask", **work)
        again = await asked.ok("delegateTask", **work)
        assert once["task_id"] == again["task_id"]
        assert (once["duplicate"], again["duplicate"]) == (False, True)
        await asked.ended(once["task_id"])


async def test_a_log_is_read_by_pages(company):
    async with company.client() as asked:
        task = await asked.delegate("seq 1 250")
        await asked.ended(task)
        assert await asked.log(task, limit=100) == [str(number) for number in range(1, 251)]
