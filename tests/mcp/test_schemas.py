"""Every answer of every tool fits the schema that the tool declares; a refusal is text alone, which fits any."""

import jsonschema
import pytest

pytestmark = pytest.mark.anyio

UNKNOWN = "01980000-0000-7000-8000-000000000000"
# Formats of JSON Schema, and of MCP's own `uri-template`. Validators warn of others at every connection.
FORMATS = {"date-time", "uri", "uri-template", "uuid"}


def formats(schema):
    if isinstance(schema, dict):
        if isinstance(schema.get("format"), str):
            yield schema["format"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from formats(part)


async def test_answers_and_refusals_of_every_tool(company, transport, era):
    async with company.client(transport, era) as asked:
        tools = {tool.name: tool for tool in (await asked.client.list_tools()).tools}
        for tool in tools.values():
            jsonschema.Draft202012Validator.check_schema(tool.output_schema)
            assert set(formats([tool.input_schema, tool.output_schema])) <= FORMATS, tool.name

        seen = {"answered": set(), "refused": set()}

        async def ask(name, **arguments):
            # `call` itself asserts that an error has no structured content.
            result = await asked.call(name, **arguments)
            if not result.is_error:
                jsonschema.validate(result.structured_content, tools[f"cde_{name}"].output_schema)
            seen["refused" if result.is_error else "answered"].add(f"cde_{name}")
            return result.structured_content

        shell = {"preferred_agent": "shell", "task_description": "echo x; exit 3"}
        failed = (await ask("delegateTask", **shell))["task_id"]
        delayed = (await ask("delegateTask", **shell, not_before="2200-01-01T00:00:00Z"))["task_id"]
        completed = (await ask("runTask", preferred_agent="shell", task_description="echo x"))["task_id"]
        await asked.ended(failed)
        running = (await ask("delegateTask", preferred_agent="shell", task_description="sleep 600"))["task_id"]
        await asked.until(running, "running")
        for task in (failed, delayed, completed, running):
            await ask("getTaskStatus", task_id=task)
            await ask("getTaskLog", task_id=task)
        for name in ("listActiveTasks", "listTasks", "getWorkerStats", "listDepartments"):
            await ask(name)
        for task in (running, delayed):
            await ask("cancelTask", task_id=task)
            await ask("getTaskStatus", task_id=task)
        # What was cancelled before it was due waits again.
        await ask("retryTask", task_id=delayed)
        assert (await ask("getTaskStatus", task_id=delayed))["status"] == "queued"
        await ask("cancelTask", task_id=delayed)
        await ask("sendMessage", department="qa", text="hello")
        await ask("readMessages", department="qa")

        await ask("runTask", **shell)
        await ask("delegateTask")
        for name in ("getTaskStatus", "getTaskLog", "cancelTask", "retryTask"):
            await ask(name, task_id=UNKNOWN)
        for name in ("listActiveTasks", "listTasks", "readMessages"):
            await ask(name, department="nope")
        await ask("sendMessage", department="nope", text="hello")
        for name in ("getWorkerStats", "listDepartments"):
            await ask(name, nonsense=1)
        assert seen == {"answered": tools.keys(), "refused": tools.keys()}
